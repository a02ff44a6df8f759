"""Rules: what plugin.json says, as frozen values. schemas/plugin.py builds them; absent means off or the default here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.model_profiles import MODEL_PROFILES, ModelProfile
from dam_connector.domain.run import RunKind

PHOTO = "photo"  # what a rendition is made from, unless it names a model deliverable
LOCAL = "local"  # the generator that is our own code
CAMERAS = ("hero", "front", "right", "back", "left", "top", "bottom")
FRAME_COUNTS = (8, 24, 36)


class Motion(StrEnum):
    """What a rendered model does in its pictures."""

    STILL = "still"
    SPIN = "spin"
    CLIP = "clip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One connection to an outside system: the adapter's name and its options, secrets still as `env/NAME`."""

    adapter: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRules:
    """Required fields, for all products and by category."""

    required: tuple[str, ...] = ("sku", "name", "category", "images.any")
    required_by_category: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def required_for(self, category: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.required + self.required_by_category.get(category, ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorCondition:
    """When a generator may make a deliverable: for these categories only, from so many photos on, at so much a task at most."""

    categories: tuple[str, ...] = ()
    min_views: int = 0
    max_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverable:
    """What to make for a product."""

    name: str
    kind: RunKind
    count: int = 1
    categories: tuple[str, ...] = ()
    made_from: str = PHOTO
    views: tuple[str, ...] = ()
    generator: tuple[str, ...] = (LOCAL,)
    when: Mapping[str, GeneratorCondition] = field(default_factory=dict)  # by generator
    prompt: str = ""
    avoid: str = ""
    formats: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    style: str = "studio"
    background: str = "#ffffff"
    fill: float = 0.86
    aspect: str = "1:1"
    size_px: int = 2048
    shadow: bool = True
    reflection: bool = False
    camera: str = "hero"
    motion: str = Motion.STILL
    frames: int = 24
    max_triangles: int = 30_000
    texture_px: int = 2048
    min_confidence: float = 0.0

    def is_for_category(self, category: str) -> bool:
        return not self.categories or category in self.categories

    def can_use_generator(self, generator: str, category: str, views: int) -> bool:
        """Whether a generator may make it for such a product; what it costs is another question."""
        when = self.when.get(generator, GeneratorCondition())
        return views >= when.min_views and (not when.categories or category in when.categories)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamingRules:
    """How files are called, and the folder they lie in."""

    default: str = "{sku}_{name:pascal}_V{version}_{format:upper}"
    patterns: Mapping[str, str] = field(default_factory=dict)
    folder: str = "{category:slug}/{sku}"

    def pattern_for(self, deliverable: str) -> str:
        return self.patterns.get(deliverable, self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRules:
    """Limits of the checks. Sources: docs/issues.md names one for each limit."""

    dimensions_tolerance_pct: float = 3.0  # Khronos 3D Commerce asset auditor, recommended schema
    max_triangles: int = 100_000  # the same
    max_texture_px: int = 2048  # the same
    max_materials: int = 5  # the same
    max_model_bytes: int = 5_242_880  # the same: 5120 KB
    max_image_bytes: int = 16_000_000  # Google Merchant Center, image_link
    max_components: int = 12
    severities: Mapping[IssueCode, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRules:
    """Who reviews, and with which words they may reject."""

    dam: str = "library"
    owners: Mapping[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ("proportions", "colour", "missing part", "wrong product", "picture quality")
    checklist: tuple[str, ...] = (
        "Does it match the product photo?",
        "Are the proportions close to the real product?",
        "Do material and colour look right?",
        "Is the file fit for web and mobile?",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRules:
    """How often PIMs, DAMs and channels are compared with our records, and whether what drifted is mended at once. 0: only when asked. files: those in
    DAMs are read and compared too."""

    every_hours: float = 0.0
    files: bool = False
    mend: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerRules:
    """How the AR page looks."""

    accent: str = "#2f5bd3"
    background: str = "#f4f4f4"
    brand: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All of plugin.json, with the fingerprint of its text."""

    name: str
    version: str
    fingerprint: str
    pim: Mapping[str, Connection]
    dam: Mapping[str, Connection]
    provider: Mapping[str, Connection]
    channel: Mapping[str, Connection]
    products: ProductRules
    deliverables: tuple[Deliverable, ...]
    naming: NamingRules
    checks: CheckRules
    review: ReviewRules
    viewer: ViewerRules
    reconcile: ReconcileRules = ReconcileRules()
    profiles: Mapping[str, ModelProfile] = field(default_factory=dict)

    @property
    def model_profiles(self) -> Mapping[str, ModelProfile]:
        """The profiles of models that are known: the built-in ones, and the admin's own or changed ones."""
        return {**MODEL_PROFILES, **self.profiles}

    def deliverable(self, name: str) -> Deliverable | None:
        return next((d for d in self.deliverables if d.name == name), None)
