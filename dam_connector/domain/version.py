"""Assets and their versions: numbered, immutable file sets, with the table of their state transitions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from dam_connector.domain.ids import AssetId, RunId, Sha256, Sku, VersionId
from dam_connector.domain.issue import Report
from dam_connector.domain.version_marks import VersionMarks, version_marks

ORIGINAL_MODEL = "original_model"  # in provenance: the hash of the model as its maker sent it
CONVERTED_MODEL = "converted_model"  # in provenance: of its GLB, where it was of another format
SOURCE_MARK = "source_"  # in provenance, followed by a view: the hash of a photo that was used

# views of evidence files, followed by the view of the photo
CUTOUT_PHOTO, CUTOUT_MASK, LIKENESS_PICTURE = "cutout-", "mask-", "likeness-"
# view of the evidence file that shows the plain GLB, the web GLB and their difference; for a channel, a dash
# and its name follow
WEB_PICTURE = "web-glb"


class VersionState(StrEnum):
    """How a version is now."""

    DRAFT = "draft"  # a run is making it
    BLOCKED = "blocked"  # its report has errors that nobody waived
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"  # a newer version took its place
    WITHDRAWN = "withdrawn"  # taken offline by a person


# States of a version that nothing blocks and no newer one replaced.
USABLE_STATES = tuple(
    s for s in VersionState if s not in (VersionState.DRAFT, VersionState.BLOCKED, VersionState.SUPERSEDED)
)


S = VersionState
TRANSITIONS: Mapping[VersionState, frozenset[VersionState]] = {
    S.DRAFT: frozenset({S.BLOCKED, S.IN_REVIEW, S.SUPERSEDED}),
    S.BLOCKED: frozenset({S.IN_REVIEW, S.SUPERSEDED}),
    S.IN_REVIEW: frozenset({S.APPROVED, S.REJECTED, S.SUPERSEDED}),
    # approved -> in_review: the decision was undone
    # approved -> withdrawn: it may be live in some channels while others are away
    S.APPROVED: frozenset({S.PUBLISHED, S.IN_REVIEW, S.REJECTED, S.SUPERSEDED, S.WITHDRAWN}),
    S.REJECTED: frozenset({S.APPROVED, S.IN_REVIEW, S.SUPERSEDED}),
    S.PUBLISHED: frozenset({S.SUPERSEDED, S.WITHDRAWN}),
    # superseded -> approved or published: a rollback to an earlier approved version
    S.SUPERSEDED: frozenset({S.APPROVED, S.PUBLISHED}),
    S.WITHDRAWN: frozenset({S.APPROVED, S.PUBLISHED, S.SUPERSEDED}),
}


class Role(StrEnum):
    """The purpose of a file in its version."""

    PRIMARY = "primary"  # the rendition or the GLB itself, in any of its formats
    USDZ = "usdz"
    PREVIEW = "preview"  # a picture of a model
    SIZE = "size"  # a rendition in a smaller size, whose longer side in pixels is its `view`
    CHANNEL = "channel"  # a GLB for the channel that its `view` names, in place of the one for the web
    EVIDENCE = "evidence"  # a picture of the report, which no channel gets


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFile:
    """One file of a version."""

    name: str
    format: str  # e.g. "jpeg", "glb", "web" (a GLB for the web)
    role: Role
    view: str  # camera of a preview, number of a spin frame, pixels of a smaller size; otherwise empty
    mime: str
    sha256: Sha256  # the key of its bytes in the blob storage
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One slot of one deliverable of one SKU."""

    id: AssetId
    sku: Sku
    deliverable: str  # its name in plugin.json
    slot: int  # from 1 on
    kind: str  # a `RunKind`: "image" or "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An immutable numbered file set of an asset, with report, provenance and state."""

    id: VersionId
    asset: Asset
    number: int  # from 1 on, per asset
    state: VersionState
    run_id: RunId  # the run that made it
    files: tuple[VersionFile, ...]
    report: Report
    provenance: Mapping[str, object]  # how it was made: generator, model, prompt, hashes of the inputs
    rules_fingerprint: str  # of the rules that it was made by
    created_at: datetime
    dam: str = ""  # the DAM connection that it was pushed to
    dam_ref: str = ""  # the DAM's id of it
    dam_state: str = ""  # the state that the DAM is known to have, a `VersionState`; empty: not known
    stage: str = ""  # the stage of the review in which it waits, a `ReviewStage.key`; empty without stages
    go_live_at: datetime | None = None  # when it goes live after approval; None: at once
    updated_at: datetime | None = None  # when anything about it changed last; None: it is not stored

    def file(self, format: str = "", role: Role | None = None, view: str = "") -> VersionFile | None:
        """Return the first file with this format, role and view, or None. Arguments left out match any.

        A file for one channel is returned only by its role: see `for_channel`.
        """
        return next(
            (
                f
                for f in self.files
                if (not format or f.format == format)
                and (f.role == role if role else f.role is not Role.CHANNEL)
                and (not view or f.view == view)
            ),
            None,
        )

    def for_channel(self, channel: str) -> "Version":
        """Return the version as a channel gets it: with its own GLB for the web, without those of others."""
        own = self.file(role=Role.CHANNEL, view=channel)
        files = [f for f in self.files if f.role is not Role.CHANNEL and not (own and f.format == own.format)]
        return replace(self, files=(*files, *([replace(own, role=Role.PRIMARY, view="")] if own else [])))

    @property
    def marks(self) -> VersionMarks:
        """Return the marks for lists and cards."""
        return version_marks(self.report.issues, [w.code for w in self.report.waivers])

    @property
    def channel_files(self) -> tuple[VersionFile, ...]:
        """Return the files that channels get: all but the pictures of the report."""
        return tuple(f for f in self.files if f.role is not Role.EVIDENCE)

    @property
    def ordered_files(self) -> tuple[VersionFile, ...]:
        """Return the files that channels get, with the main file (GLB, JPEG or PNG) first."""
        return tuple(
            sorted(
                self.channel_files,
                key=lambda f: (
                    f.role is not Role.PRIMARY,
                    f.format not in ("glb", "jpeg", "png"),
                    f.mime.startswith("video/"),
                    f.view,
                    f.name,
                ),
            )
        )

    @property
    def evidence_files(self) -> tuple[VersionFile, ...]:
        """Return the pictures of the report."""
        return tuple(f for f in self.files if f.role is Role.EVIDENCE)

    @property
    def likeness_files(self) -> tuple[VersionFile, ...]:
        """Return the pictures that compare a model with the photos."""
        return tuple(f for f in self.evidence_files if f.view.startswith(LIKENESS_PICTURE))

    @property
    def web_pictures(self) -> tuple[VersionFile, ...]:
        """Return the pictures that compare the GLBs for the web and for channels with the plain one."""
        return tuple(f for f in self.evidence_files if f.view.startswith(WEB_PICTURE))

    @property
    def mask(self) -> VersionFile | None:
        """Return the mask of the cut-out that the version is made from, or None."""
        return next((f for f in self.evidence_files if f.view.startswith(CUTOUT_MASK)), None)

    @property
    def masked_photo(self) -> VersionFile | None:
        """Return the photo to which `mask` belongs, at the same size, or None."""
        return next((f for f in self.evidence_files if f.view.startswith(CUTOUT_PHOTO)), None)

    @property
    def sources(self) -> dict[str, Sha256]:
        """Return the hashes of the pictures it was made from, by the keys of a product's fetched pictures."""
        return {
            key.removeprefix(SOURCE_MARK): Sha256(str(sha256))
            for key, sha256 in self.provenance.items()
            if key.startswith(SOURCE_MARK)
        }

    @property
    def masked_sha256(self) -> Sha256 | None:
        """Return the hash of the photo to which `mask` belongs, or None."""
        view = self.mask.view.removeprefix(CUTOUT_MASK) if self.mask else ""
        return self.sources.get(view)

    @property
    def spin_frames(self) -> tuple[VersionFile, ...]:
        """Return the frames of a spin in order, in one format (WebP if possible); none if it is no spin."""
        frames = [f for f in self.files if f.role is Role.PRIMARY and f.view]
        formats = [f.format for f in frames]
        format = "webp" if "webp" in formats else formats[0] if formats else ""
        return tuple(sorted((f for f in frames if f.format == format), key=lambda f: f.view))

    @property
    def list_picture(self) -> VersionFile | None:
        """Return the picture that lists show for this version, or None."""
        return find_list_picture(self.files)


def find_list_picture(files: tuple[VersionFile, ...]) -> VersionFile | None:
    """Return the picture that lists show: the hero preview, another preview, or the rendition itself."""
    previews = [f for f in files if f.role is Role.PREVIEW]
    pictures = [f for f in files if f.mime in ("image/webp", "image/jpeg", "image/png")]
    return next((f for f in [*(p for p in previews if p.view == "hero"), *previews, *pictures]), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedVersion:
    """An approved version, pinned to the bytes that were approved. Channels accept nothing else.

    Raises:
        ValueError: The version is not approved, or its files are not the approved ones.
    """

    version: Version
    files_sha256: Mapping[str, Sha256]  # of the approved files, by name
    approved_by: str

    def for_channel(self, channel: str) -> "ApprovedVersion":
        """Return the version as a channel gets it, with the hashes of its files."""
        version = self.version.for_channel(channel)
        return replace(
            self,
            version=version,
            files_sha256={f.name: self.files_sha256[f.name] for f in version.files},
        )

    def __post_init__(self) -> None:
        if self.version.state not in (S.APPROVED, S.PUBLISHED):
            raise ValueError(f"version {self.version.id} is {self.version.state}, not approved")
        if dict(self.files_sha256) != {f.name: f.sha256 for f in self.version.files}:
            raise ValueError(f"the files of version {self.version.id} are not those that were approved")
