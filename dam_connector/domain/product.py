"""Product: the PIM's record, and the photos we start from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from dam_connector.domain.ids import Sku
from dam_connector.domain.row_request import Request

MAX_SKU_LENGTH = 64
INSPIRATION = "inspiration"  # among a product's fetched pictures, beside the views
_SAFE_SKU = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9._+-]{{0,{MAX_SKU_LENGTH - 2}}}[A-Za-z0-9+])?")


class View(StrEnum):
    """Which side of the product a photo shows; left and right are the product's own as seen from the front."""

    FRONT = "front"
    BACK = "back"
    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    HERO = "hero"
    DETAIL = "detail"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImage:
    """A product photo we start from."""

    view: View
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """The product's size in metres; None where the PIM does not say."""

    width_m: float | None = None
    height_m: float | None = None
    depth_m: float | None = None

    @property
    def complete(self) -> bool:
        return None not in (self.width_m, self.height_m, self.depth_m)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The PIM's record of one SKU."""

    sku: Sku
    name: str = ""
    category: str = ""
    brand: str = ""
    color: str = ""
    material: str = ""
    description: str = ""
    style_tags: str = ""
    dimensions: Dimensions = Dimensions()
    images: tuple[SourceImage, ...] = ()
    inspiration_image: str = ""  # its address: a picture whose mood lifestyle renditions take on
    live_from: datetime | None = None  # an embargo: nothing of it goes live before
    attributes: Mapping[str, str] = field(default_factory=dict)
    request: Request = Request()

    def with_request(self, request: Request) -> "Product":
        return replace(self, request=request)

    def image(self, *views: View) -> SourceImage | None:
        """The first photo of the first of `views` that there is one of."""
        return next((i for view in views for i in self.images if i.view == view), None)


def is_safe_sku(sku: str) -> bool:
    """True when the SKU can stand in a URL and a file name as it is, and cannot climb out of a folder."""
    return bool(_SAFE_SKU.fullmatch(sku)) and ".." not in sku
