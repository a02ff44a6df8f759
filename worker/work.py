"""Work: the frozen value handed from step to step. It holds references, not bytes, so that a checkpoint is small."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from dam_connector.domain.file_names import file_stem, file_suffix
from dam_connector.domain.ids import RunId, Sha256, VersionId
from dam_connector.domain.issue import Issue, Report
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable, Rules
from dam_connector.domain.version import Role, VersionFile
from dam_connector.wiring import Services
from worker.imaging.encode import MIME, extension
from worker.imaging.metadata import COMPOSITE_WITH_TRAINED_MEDIA, INHERITED, TRAINED_ALGORITHMIC_MEDIA

PHOTO_LABEL_PREFIX = "photo_"  # before the name of a label in provenance that the photo brought
Fact = str | int | float | bool | None


class Park(Exception):
    """Raised by a step that must wait: the run sleeps in the database until then and its worker takes the next one.

    `work` is what the step wants to find again, such as a provider's task.
    """

    def __init__(self, until: datetime, work: "Work | None" = None) -> None:
        super().__init__(f"until {until.isoformat()}")
        self.until = until
        self.work = work


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run on its way. Steps give a changed copy; nothing else carries state between them."""

    run_id: RunId
    product: Product
    deliverable: Deliverable
    slot: int
    rules_fingerprint: str
    note: str = ""
    bulk: bool = False  # one of many: what follows from it waits in the same lane
    batch_id: str = ""  # that asked for it
    generator: str = ""  # that a person chose
    sources: Mapping[str, Sha256] = field(default_factory=dict)  # by view, usable ones only
    raw_model: Sha256 | None = None  # the GLB between the model steps
    files: tuple[VersionFile, ...] = ()
    issues: tuple[Issue, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    task: str = ""  # the provider that was asked, and the id of its task in our books
    version_id: VersionId | None = None
    number: int = 0
    report: Report = field(default_factory=Report)
    published: Mapping[str, str] = field(default_factory=dict)  # channel to address

    def rules(self, services: Services) -> Rules:
        """The rules that this run was planned under."""
        return services.rules.with_fingerprint(self.rules_fingerprint)

    @property
    def draft(self) -> VersionId:
        """The version's id. Raises: ValueError before `assign_version`."""
        if self.version_id is None:
            raise ValueError("the run has no version yet")
        return self.version_id

    @property
    def model(self) -> Sha256:
        """The GLB in the making. Raises: ValueError before `make_model`."""
        if self.raw_model is None:
            raise ValueError("the run has no model yet")
        return self.raw_model

    def with_issues(self, *issues: Issue) -> "Work":
        return replace(self, issues=tuple(dict.fromkeys((*self.issues, *issues))))

    def without_issues(self, code_prefix: str) -> "Work":
        """The work without issues whose code begins so."""
        return replace(self, issues=tuple(i for i in self.issues if not i.code.startswith(code_prefix)))

    def with_facts(self, **facts: Fact) -> "Work":
        return replace(self, facts={**self.facts, **facts})

    def with_file_names(self, services: Services) -> "Work":
        """The files named by the rules: each with what tells the version's files apart, and its format's extension."""
        rules = self.rules(services)
        made = {
            f: file_stem(f.format, self.product, self.deliverable, self.slot, self.number, rules)
            for f in self.files
        }
        return replace(
            self,
            files=tuple(
                replace(f, name=f"{stem}{file_suffix(f)}.{extension(f.format)}") for f, stem in made.items()
            ),
        )

    def with_file(
        self, services: Services, data: bytes, format: str, role: Role = Role.PRIMARY, view: str = ""
    ) -> "Work":
        """Store a made file and add it, in the place of one with the same format, role and view; it is named later."""
        made = VersionFile(
            name="",
            format=format,
            role=role,
            view=view,
            mime=MIME[format],
            sha256=services.blobs.put(data),
            bytes=len(data),
        )
        kept = tuple(f for f in self.files if (f.format, f.role, f.view) != (format, role, view))
        return replace(self, files=(*kept, made))


def merge_photo_labels(labels: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The own labels of some photos as provenance holds them: each from the first that has it; one AI-made photo marks all."""
    merged: dict[str, str] = {}
    for own in labels:
        merged = {**own, **merged}
        if own.get("source_type") in (TRAINED_ALGORITHMIC_MEDIA, COMPOSITE_WITH_TRAINED_MEDIA):
            merged["source_type"] = own["source_type"]
    return {f"{PHOTO_LABEL_PREFIX}{name}": merged[name] for name in INHERITED if name in merged}
