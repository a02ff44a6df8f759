"""Versions with all that people did about them: decisions, comments, and where they are live."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from dam_connector.domain.comment import Comment
from dam_connector.domain.version import Version
from dam_connector.store.decisions import DecisionRecord, PublicationRecord
from dam_connector.wiring import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDetails(Version):
    """A version with its decisions, its comments, and where it is live."""

    # Newest first.
    decisions: tuple[DecisionRecord, ...]
    # Oldest first.
    comments: tuple[Comment, ...]
    live: tuple[PublicationRecord, ...]

    @property
    def decision(self) -> DecisionRecord | None:
        """Return the newest decision that was not undone, or None."""
        return next((d for d in self.decisions if not d.undone), None)


def with_details(services: Services, versions: Sequence[Version]) -> list[VersionDetails]:
    """Return versions with their details, read with one query for each kind."""
    ids = [version.id for version in versions]
    decisions = services.decisions.of_versions(ids)
    comments = services.comments.of_versions(ids)
    live = services.publications.of_versions(ids)
    return [
        VersionDetails(
            **{field.name: getattr(version, field.name) for field in fields(version)},
            decisions=tuple(d for d in decisions if d.version_id == version.id),
            comments=tuple(c for c in comments if c.version_id == version.id),
            live=tuple(p for p in live if p.version_id == version.id),
        )
        for version in versions
    ]
