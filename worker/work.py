"""Work: the immutable value that steps pass on. It holds references, not bytes: checkpoints are small."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from dam_connector.domain.file_names import file_stem, file_suffix
from dam_connector.domain.ids import RunId, Sha256, VersionId
from dam_connector.domain.issue import Issue, Report
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable, Rules
from dam_connector.domain.version import Role, Version, VersionFile
from dam_connector.errors import NotFound
from dam_connector.wiring import Services
from worker.imaging.encode import MIME, extension
from worker.imaging.metadata import COMPOSITE_WITH_TRAINED_MEDIA, INHERITED, TRAINED_ALGORITHMIC_MEDIA

PHOTO_LABEL_PREFIX = "photo_"  # in provenance, before the name of a label that came with the photo
Fact = str | int | float | bool | None


class Park(Exception):
    """Raised by a step that must wait. The run sleeps in the database, and its worker takes the next one."""

    def __init__(self, until: datetime, work: "Work | None" = None, reason: str = "") -> None:
        """Create the exception.

        Args:
            until: The time at which the step runs again, unless the run is woken before.
            work: The work that the step wants to find then, e.g. with a provider's task.
            reason: What the run waits for, for people.
        """
        super().__init__(f"until {until.isoformat()}")
        self.until = until
        self.work = work
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The state of one run. Each step returns a changed copy; nothing else carries state between steps.

    It is stored as a checkpoint: the names of its fields are stored names.
    """

    run_id: RunId
    product: Product
    deliverable: Deliverable
    slot: int
    rules_fingerprint: str  # of the rules that the run was planned under
    note: str = ""  # a reviewer's, to this version's generator
    bulk: bool = False  # one run of many: runs that follow from it wait in the same queue
    batch_id: str = ""  # the batch that asked for it
    generator: str = ""  # the generator that a person chose
    sources: Mapping[str, Sha256] = field(default_factory=dict)  # the usable photos, by view
    raw_model: Sha256 | None = None  # the GLB between the steps that make the model
    files: tuple[VersionFile, ...] = ()
    issues: tuple[Issue, ...] = ()  # found before the checks
    facts: Mapping[str, Fact] = field(default_factory=dict)  # for the report
    provenance: Mapping[str, str] = field(default_factory=dict)
    task: str = ""  # "provider|id" of the task that it waits for
    version_id: VersionId | None = None
    number: int = 0  # the version's
    report: Report = field(default_factory=Report)

    def rules(self, services: Services) -> Rules:
        """Return the rules that this run was planned under."""
        return services.rules.with_fingerprint(self.rules_fingerprint)

    @property
    def assigned_version_id(self) -> VersionId:
        """Return the version's id.

        Raises:
            ValueError: The step assign_version did not run yet.
        """
        if self.version_id is None:
            raise ValueError("the run has no version yet")
        return self.version_id

    @property
    def model_sha256(self) -> Sha256:
        """Return the hash of the GLB in the making.

        Raises:
            ValueError: The step make_model did not run yet.
        """
        if self.raw_model is None:
            raise ValueError("the run has no model yet")
        return self.raw_model

    def version(self, services: Services, operation: str) -> Version:
        """Return the stored version.

        Raises:
            NotFound: It is not in the store. `operation` names the step in the message.
        """
        version = services.assets.get(self.assigned_version_id)
        if version is None:
            raise NotFound("store", operation, self.assigned_version_id)
        return version

    def with_issues(self, *issues: Issue) -> "Work":
        """Return the work with these issues added, each once."""
        return replace(self, issues=tuple(dict.fromkeys((*self.issues, *issues))))

    def without_issues(self, code_prefix: str) -> "Work":
        """Return the work without issues whose code begins with the prefix, e.g. `rendition.`."""
        return replace(self, issues=tuple(i for i in self.issues if not i.code.startswith(code_prefix)))

    def with_facts(self, **facts: Fact) -> "Work":
        """Return the work with these facts added."""
        return replace(self, facts={**self.facts, **facts})

    def with_file_names(self, services: Services) -> "Work":
        """Return the work with its files named by the rules, e.g. `CH123_Chair_V2_GLB_lod1.glb`."""
        rules = self.rules(services)

        def name(file: VersionFile) -> str:
            stem = file_stem(file.format, self.product, self.deliverable, self.slot, self.number, rules)
            return f"{stem}{file_suffix(file)}.{extension(file.format)}"

        return replace(self, files=tuple(replace(file, name=name(file)) for file in self.files))

    def with_file(
        self, services: Services, data: bytes, file_format: str, role: Role = Role.PRIMARY, view: str = ""
    ) -> "Work":
        """Store a file and return the work with it. `with_file_names` names it later.

        Args:
            services: The services, for their blobs.
            data: The file's bytes.
            file_format: Its format, e.g. `webp`.
            role: Its role in the version.
            view: The view that it shows. It replaces a file of the same format, role and view.
        """
        file = VersionFile(
            name="",
            format=file_format,
            role=role,
            view=view,
            mime=MIME[file_format],
            sha256=services.blobs.put(data),
            bytes=len(data),
        )
        others = tuple(f for f in self.files if (f.format, f.role, f.view) != (file_format, role, view))
        return replace(self, files=(*others, file))


def merge_photo_labels(labels: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the labels of several photos as entries of provenance.

    Each label comes from the first photo that has it; but one photo made by an AI marks them all.
    """
    merged: dict[str, str] = {}
    for photo in labels:
        merged = {**photo, **merged}
        if photo.get("source_type") in (TRAINED_ALGORITHMIC_MEDIA, COMPOSITE_WITH_TRAINED_MEDIA):
            merged["source_type"] = photo["source_type"]
    return {f"{PHOTO_LABEL_PREFIX}{name}": merged[name] for name in INHERITED if name in merged}
