"""Asset and Version: numbered, immutable file sets, and the one table of their states."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dam_connector.domain.ids import AssetId, RunId, Sha256, Sku, VersionId
from dam_connector.domain.issue import Report


class VersionState(StrEnum):
    DRAFT = "draft"
    BLOCKED = "blocked"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


S = VersionState
TRANSITIONS: Mapping[VersionState, frozenset[VersionState]] = {
    S.DRAFT: frozenset({S.BLOCKED, S.IN_REVIEW, S.SUPERSEDED}),
    S.BLOCKED: frozenset({S.IN_REVIEW, S.SUPERSEDED}),
    S.IN_REVIEW: frozenset({S.APPROVED, S.REJECTED, S.SUPERSEDED}),
    S.APPROVED: frozenset(
        {S.PUBLISHED, S.IN_REVIEW, S.REJECTED, S.SUPERSEDED}
    ),  # in_review again: an undone decision
    S.REJECTED: frozenset({S.APPROVED, S.IN_REVIEW, S.SUPERSEDED}),
    S.PUBLISHED: frozenset({S.SUPERSEDED, S.WITHDRAWN}),
    S.SUPERSEDED: frozenset({S.APPROVED, S.PUBLISHED}),  # a rollback to an earlier approved version
    S.WITHDRAWN: frozenset({S.APPROVED, S.PUBLISHED, S.SUPERSEDED}),
}


class Role(StrEnum):
    """What a file of a version is for."""

    PRIMARY = "primary"
    USDZ = "usdz"
    PREVIEW = "preview"
    EVIDENCE = "evidence"  # a picture of the report: it stays here


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFile:
    """One file of a version; its bytes lie in the blobs under `sha256`."""

    name: str
    format: str
    role: Role
    view: str
    mime: str
    sha256: Sha256
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One slot of one deliverable of one SKU."""

    id: AssetId
    sku: Sku
    deliverable: str
    slot: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An immutable numbered file set of an asset, with report, provenance and state."""

    id: VersionId
    asset: Asset
    number: int
    state: VersionState
    run_id: RunId
    files: tuple[VersionFile, ...]
    report: Report
    provenance: Mapping[str, object]
    rules_fingerprint: str
    created_at: datetime
    dam: str = (
        ""  # the connection of the DAM that holds it, how that DAM names it, and what it last took it for
    )
    dam_ref: str = ""
    dam_state: str = ""
    go_live_at: datetime | None = None

    def file(self, format: str = "", role: Role | None = None, view: str = "") -> VersionFile | None:
        """The first file that has this format, role and view; those left out are not asked about."""
        return next(
            (
                f
                for f in self.files
                if (not format or f.format == format)
                and (role is None or f.role == role)
                and (not view or f.view == view)
            ),
            None,
        )

    @property
    def shipped(self) -> tuple[VersionFile, ...]:
        """What channels get: all but the report's own pictures."""
        return tuple(f for f in self.files if f.role is not Role.EVIDENCE)

    @property
    def ordered(self) -> tuple[VersionFile, ...]:
        """What is shipped, what the version is first of all in front: its GLB, or its picture."""
        return tuple(
            sorted(
                self.shipped,
                key=lambda f: (
                    f.role is not Role.PRIMARY,
                    f.format not in ("glb", "jpeg", "png"),
                    f.view,
                    f.name,
                ),
            )
        )

    @property
    def evidence(self) -> tuple[VersionFile, ...]:
        """The report's pictures."""
        return tuple(f for f in self.files if f.role is Role.EVIDENCE)

    @property
    def turn(self) -> tuple[VersionFile, ...]:
        """The pictures of a full turn, in order, in one format; nothing where the version is no turn."""
        frames = [f for f in self.files if f.role is Role.PRIMARY and f.view]
        wanted = "webp" if any(f.format == "webp" for f in frames) else frames[0].format if frames else ""
        return tuple(sorted((f for f in frames if f.format == wanted), key=lambda f: f.view))

    @property
    def picture(self) -> VersionFile | None:
        """The file to show for this version in a list: a preview of a model, or the rendition itself."""
        return picture_of(self.files)


def picture_of(files: tuple[VersionFile, ...]) -> VersionFile | None:
    """The file to show for these in a list."""
    previews = [f for f in files if f.role is Role.PREVIEW]
    pictures = [f for f in files if f.mime in ("image/webp", "image/jpeg", "image/png")]
    return next((f for f in [*(p for p in previews if p.view == "hero"), *previews, *pictures]), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedVersion:
    """A version somebody approved, pinned to the bytes they approved: the only thing a channel accepts."""

    version: Version
    files_sha256: Mapping[str, Sha256]
    approved_by: str

    def __post_init__(self) -> None:
        if self.version.state not in (S.APPROVED, S.PUBLISHED):
            raise ValueError(f"version {self.version.id} is {self.version.state}, not approved")
        if dict(self.files_sha256) != {f.name: f.sha256 for f in self.version.files}:
            raise ValueError(f"the files of version {self.version.id} are not those that were approved")
