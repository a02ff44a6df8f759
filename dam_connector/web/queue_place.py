"""The place of a version in the list that a reviewer works through, kept in the address of its page."""

from dataclasses import dataclass
from typing import Any

from flask import request, url_for

from dam_connector.domain.version import Version, VersionState
from dam_connector.store.gallery import GalleryFilter
from dam_connector.store.users import UserRole
from dam_connector.usecases import stages
from dam_connector.web.request_context import PAGE_SIZE, services, signed_in_user

FILTER_FIELDS = ("batch", "category", "deliverable", "code", "text")
MAX_LISTED = 10_000  # versions of a list that are numbered


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """A version in its list, the oldest first."""

    query: dict[str, Any]  # the filter of the list, for addresses
    state: VersionState  # of the versions in the list
    ids: tuple[str, ...]  # of the versions in the list; of a very long list, the newest
    version_id: str

    @property
    def number(self) -> int:
        """Return the position of the version in the list, from 1 on; 0: it is not in the list."""
        return self.ids.index(self.version_id) + 1 if self.version_id in self.ids else 0

    @property
    def next_id(self) -> str:
        """Return the id of the version after this one; empty at the end."""
        return next((i for i in self.ids if i > self.version_id), "")

    @property
    def previous_id(self) -> str:
        """Return the id of the version before this one; empty at the beginning."""
        return next((i for i in reversed(self.ids) if i < self.version_id), "")

    @property
    def address(self) -> str:
        """Return the address of the list, at the card of the version."""
        anchor = f"card-{self.version_id}"
        if self.query.get("via") == "gallery":
            return url_for(
                "gallery.index", **{k: v for k, v in self.query.items() if k != "via"}, _anchor=anchor
            )
        before = sum(i < self.version_id for i in self.ids)
        cursor = self.ids[before - before % PAGE_SIZE - 1] if before >= PAGE_SIZE else None
        return url_for("versions.queue", **self.query, cursor=cursor, _anchor=anchor)

    @property
    def title(self) -> str:
        """Return the name of the list with its filters, e.g. `Review: packshot`."""
        name = "Gallery" if self.query.get("via") == "gallery" else "Review"
        filters = [v for k, v in self.query.items() if k in ("category", "deliverable", "code", "text")]
        return f"{name}: {', '.join(filters)}" if filters else name

    def version_address(self, version_id: str) -> str:
        """Return the address of another version in the same list."""
        return url_for("versions.version", version_id=version_id, **self.query)


def requested_query() -> dict[str, Any]:
    """Return the filter in the address of the request; nothing that no list understands."""
    query: dict[str, Any] = {k: v for k in FILTER_FIELDS if (v := request.args.get(k, "").strip()[:200])}
    if (state := request.args.get("state", "")) in set(VersionState) and state != VersionState.IN_REVIEW:
        query["state"] = state
    if request.args.get("via") == "gallery":
        query["via"] = "gallery"
    if request.args.get("waits") == "all":
        query["waits"] = "all"
    return query


def requested_stages() -> tuple[str, ...] | None:
    """Return the stages whose versions the list shows: those in which the reviewer is asked; None: all."""
    user = signed_in_user()
    if request.args.get("waits") == "all" or not user.role.includes(UserRole.REVIEWER):
        return None
    return stages.asked_stages(services(), name=user.name, roles=user.role.included)


def requested_place(version: Version) -> QueuePlace:
    """Return the place of a version in the list that the address of the request names."""
    query = requested_query()
    state = VersionState(query.get("state", VersionState.IN_REVIEW))
    fields: dict[str, Any] = {k: query.get(k, "") for k in FILTER_FIELDS}
    asked = requested_stages() if state is VersionState.IN_REVIEW and "via" not in query else None
    found = GalleryFilter(**fields, states=(state,), stages=asked)
    ids = services().gallery.ids(found, limit=MAX_LISTED)
    return QueuePlace(query=query, state=state, ids=tuple(sorted(ids)), version_id=version.id)
