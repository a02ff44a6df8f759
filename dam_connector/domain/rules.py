"""Rules: the contents of plugin.json as frozen values.

`schemas` loads them from the file; what is absent there has the default given here. The field names of
`Deliverable` and `CheckRules` are hashed by `planning.input_hash`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dam_connector.domain.categories import is_among, of_category
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.model_profiles import MODEL_PROFILES, ModelProfile
from dam_connector.domain.notify import NotifyRules
from dam_connector.domain.review_rules import ReviewRules
from dam_connector.domain.run import RunKind
from dam_connector.domain.sign_on import SignOnRules

if TYPE_CHECKING:  # it needs products, which need rules
    from dam_connector.domain.adoption import AdoptRule

PHOTO = "photo"  # `made_from` of a rendition that is not rendered from a model
LOCAL = "local"  # the generator that runs on our own workers
RECOLOURED = "recoloured"  # in provenance, the generator of a model that is another product's in its colour
JOINED = "joined"  # in provenance, the generator of a model with the approved colours of several products
BROUGHT = "brought"  # in provenance, the generator of a model that the product brought along
CAMERAS = ("hero", "front", "right", "back", "left", "top", "bottom")
MAX_CAP_USD = 1_000_000.0  # a larger cap is a slip of the keyboard
# The caps on a provider's spending, by period: option of its connection.
CAP_OPTIONS = {"day": "max_usd_per_day", "month": "max_usd_per_month", "batch": "max_usd_per_batch"}
WITHDRAW, KEEP = "withdraw", "keep"  # values of `on_delete`
FRAME_COUNTS = (8, 24, 36)  # how many frames a spin may have


class Motion(StrEnum):
    """How a model moves in what is rendered from it."""

    STILL = "still"
    SPIN = "spin"  # one picture for each angle of a full rotation
    CLIP = "clip"  # the rotation as an animated WebP


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One connection to an outside system."""

    adapter: str  # the adapter's name, e.g. "shopify"
    options: Mapping[str, object] = field(default_factory=dict)  # of this adapter; secrets as `env/NAME`


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRules:
    """The fields that products must have before anything is made."""

    required: tuple[str, ...] = ("sku", "name", "category", "images.any")
    required_by_category: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # in addition
    on_delete: str = WITHDRAW  # what happens to the live assets of a product that its PIM deletes

    def required_for(self, category: str) -> tuple[str, ...]:
        """Return the fields that a product of a category must have."""
        return tuple(dict.fromkeys(self.required + (of_category(self.required_by_category, category) or ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorCondition:
    """The conditions under which a generator may make a deliverable."""

    categories: tuple[str, ...] = ()  # only for these; empty: for all
    min_views: int = 0  # the product must have photos of so many views
    max_usd: float | None = None  # a task may cost so much; None: any price
    # Of `local` and models: the forecast must be so high. Hashed only where it is set.
    min_forecast: float = 0.0


DRACO, MESHOPT, WEBP, PLAIN = "draco", "meshopt", "webp", "plain"  # how a GLB is packed


@dataclass(frozen=True, slots=True, kw_only=True)
class WebBudget:
    """What the web GLB of a model may have at most, and how it is packed. 0: no limit."""

    max_bytes: int = 0
    max_triangles: int = 0
    texture_px: int = 0  # the longer side of each texture
    min_ssim: float = 0.9  # to the plain GLB, in the worst view: no step goes below it
    # Or `MESHOPT`, for a channel; or `PLAIN`: for viewers that read no compressed meshes.
    geometry: str = DRACO
    textures: str = WEBP  # or `PLAIN`: as JPEG or PNG


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourRules:
    """Which products share the shape of a model, and how those of other colours are made from it."""

    by: str = "parent"  # the fact that they share: `parent`, or `attributes.NAME`
    made_from: tuple[str, ...] = ("swatch", "photo")  # where a colour comes from, the preferred first
    max_de2000: float = 6.0  # CIEDE2000 to it; more is `variant.colour`


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverable:
    """One thing to make for each product."""

    name: str
    kind: RunKind
    count: int = 1  # how many slots are made
    categories: tuple[str, ...] = ()  # only for these; empty: for all
    made_from: str = PHOTO  # or the name of the model deliverable that it is rendered, or joined, from
    views: tuple[str, ...] = ()  # the photo to start from: the first of these that the product has
    generator: tuple[str, ...] = (LOCAL,)  # `local` or provider connections, the most preferred first
    when: Mapping[str, GeneratorCondition] = field(default_factory=dict)  # by generator
    prompt: str = ""  # template; empty: one that fits the style
    avoid: str = ""  # what pictures must not show
    formats: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()  # that it must satisfy
    style: str = "studio"  # or "lifestyle"
    background: str = "#ffffff"  # "#rrggbb", "#rrggbb to #rrggbb" or "transparent"
    fill: float = 0.86  # share of the tighter side that the product fills
    aspect: str = "1:1"  # width to height
    size_px: int = 2048  # the longer side
    sizes: tuple[int, ...] = ()  # longer sides of further, smaller files of each format
    shadow: bool = True
    reflection: bool = False
    camera: str = "hero"  # one of `CAMERAS`, or azimuth and elevation in degrees as "35,18"
    motion: str = Motion.STILL
    frames: int = 24  # of a spin or clip
    max_triangles: int = 30_000
    texture_px: int = 2048
    web_budget: WebBudget | None = None  # of its web GLB; None: only packed
    budgets: Mapping[str, WebBudget] = field(default_factory=dict)  # of GLBs of their own, by channel
    colours: ColourRules | None = None  # products of several colours share its shape; None: each has its own
    min_confidence: float = 0.0  # a local model below this goes to the next generator

    @property
    def is_joined(self) -> bool:
        """Return whether it is one model of the colours of several products, made from their models."""
        return self.kind is RunKind.MODEL and self.made_from != PHOTO

    @property
    def is_local_only(self) -> bool:
        """Return whether our own code alone makes it."""
        return set(self.generator) == {LOCAL}

    def is_for_category(self, category: str) -> bool:
        """Return True if it is made for products of a category."""
        return not self.categories or is_among(category, self.categories)

    def can_use_generator(self, generator: str, category: str, views: int) -> bool:
        """Return True if a generator may make it, price and forecast aside.

        Args:
            generator: `local` or the name of a provider connection.
            category: The product's category.
            views: How many views the product has photos of.
        """
        when = self.when.get(generator, GeneratorCondition())
        return views >= when.min_views and (not when.categories or is_among(category, when.categories))


@dataclass(frozen=True, slots=True, kw_only=True)
class NamingRules:
    """The patterns of file names and folders."""

    default: str = "{sku}_{name:pascal}_V{version}_{format:upper}"
    patterns: Mapping[str, str] = field(default_factory=dict)  # by deliverable
    folder: str = "{category:slug}/{sku}"
    channels: Mapping[str, str] = field(default_factory=dict)  # a pattern or a preset, by channel
    codes: Mapping[str, str] = field(default_factory=dict)  # for {view_code}, by deliverable or view

    def pattern_for(self, deliverable: str) -> str:
        """Return the pattern for the files of a deliverable."""
        return self.patterns.get(deliverable, self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRules:
    """The limits of the checks, with their sources, and severities by issue code."""

    dimensions_tolerance_pct: float = 3.0  # Khronos 3D Commerce asset auditor, recommended schema
    max_triangles: int = 100_000  # the same
    max_texture_px: int = 2048  # the same
    max_materials: int = 5  # the same
    max_model_bytes: int = 5_242_880  # the same: 5120 KB
    max_image_bytes: int = 16_000_000  # Google Merchant Center, image_link
    max_components: int = 12
    severities: Mapping[IssueCode, str] = field(default_factory=dict)  # "error", "warning", "info" or "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingRules:
    """How products are cut out of their photos."""

    net: str = "u2netp.onnx"  # file of the net that takes part in the cut-out; "none": no net
    min_probability: float = 0.6  # a cut-out that is usable with a lower probability blocks the version


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRules:
    """How PIMs, DAMs and channels are compared with our records."""

    every_hours: float = 0.0  # 0: only when somebody asks for it
    files: bool = False  # whether the files in DAMs are read and compared too
    mend: bool = False  # whether differences are corrected at once


class Apply(StrEnum):
    """When a changed plugin.json takes effect on what exists."""

    LATER = "later"  # at once for what is made from now on; on the rest when it is applied
    CONFIRM = "confirm"  # not at all until it is applied
    AUTOMATIC = "automatic"  # at once, on all


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRules:
    """How changes of plugin.json take effect."""

    apply: str = Apply.LATER


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerRules:
    """The design of the AR page, and whether it counts."""

    accent: str = "#2f5bd3"  # colour of buttons
    background: str = "#f4f4f4"
    brand: str = ""  # above the product's name; empty: the product's brand
    count: bool = False  # whether views and AR starts are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All of plugin.json."""

    name: str  # the plugin's name
    version: str  # the plugin's version
    fingerprint: str  # of the file's text
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
    changes: ChangeRules = ChangeRules()
    notify: NotifyRules = NotifyRules()
    imaging: ImagingRules = ImagingRules()
    adopt: "Mapping[str, AdoptRule]" = field(default_factory=dict)  # by deliverable
    sign_on: SignOnRules | None = None  # None: no single sign-on
    profiles: Mapping[str, ModelProfile] = field(default_factory=dict)  # the admin's own

    @property
    def model_profiles(self) -> Mapping[str, ModelProfile]:
        """Return all profiles of models: the built-in ones, and the admin's own, which may replace them."""
        return {**MODEL_PROFILES, **self.profiles}

    def deliverable(self, name: str) -> Deliverable | None:
        """Return the deliverable of a name, or None."""
        return next((d for d in self.deliverables if d.name == name), None)
