"""Estimate of a product's material: its roughness, relief, and whether it is bare metal.

The words of a record are not enough for a metal: steel bottles are painted, lamps are of brass and cloth.
Bare metal is assumed only if the record names nothing but metal and the photos show that metal's own
colour.
"""

import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]

DEFAULT_ROUGHNESS = 0.65
_ROUGHNESS_BY_WORD = {
    "glass": 0.15,
    "crystal": 0.1,
    "porcelain": 0.3,
    "ceramic": 0.35,
    "enamel": 0.35,
    "lacquer": 0.3,
    "marble": 0.35,
    "acrylic": 0.3,
    "plastic": 0.5,
    "rubber": 0.8,
    "leather": 0.55,
    "wood": 0.6,
    "oak": 0.6,
    "walnut": 0.55,
    "bamboo": 0.6,
    "rattan": 0.75,
    "concrete": 0.85,
    "stone": 0.75,
    "terracotta": 0.85,
    "cardboard": 0.85,
    "paper": 0.85,
    "cork": 0.9,
    "velvet": 0.9,
    "fabric": 0.95,
    "linen": 0.95,
    "cotton": 0.95,
    "canvas": 0.95,
    "felt": 0.97,
    "wool": 0.97,
    "metal": 0.35,
}
# How deep the fine structure is, 0 to 1.
_RELIEF_BY_WORD = {
    "wool": 1.0,
    "rattan": 1.0,
    "wicker": 1.0,
    "jute": 1.0,
    "knit": 1.0,
    "fabric": 0.8,
    "linen": 0.8,
    "canvas": 0.8,
    "cotton": 0.7,
    "cork": 0.7,
    "leather": 0.6,
    "stone": 0.6,
    "concrete": 0.6,
    "wood": 0.4,
    "oak": 0.4,
    "walnut": 0.3,
}
_GREY_HUES, _YELLOW_HUES, _RED_HUES = (
    (0.0, 0.0),
    (60.0, 105.0),
    (30.0, 75.0),
)  # from and to, in degrees of hue in CIE Lab; grey has none
# Roughness and hues.
_METALS_BY_WORD = {
    "chrome": (0.12, _GREY_HUES),
    "silver": (0.25, _GREY_HUES),
    "nickel": (0.25, _GREY_HUES),
    "steel": (0.3, _GREY_HUES),
    "pewter": (0.45, _GREY_HUES),
    "aluminium": (0.4, _GREY_HUES),
    "aluminum": (0.4, _GREY_HUES),
    "gold": (0.25, _YELLOW_HUES),
    "brass": (0.35, _YELLOW_HUES),
    "copper": (0.3, _RED_HUES),
    "bronze": (0.4, _RED_HUES),
}
_COATED_WORDS = ("painted", "coated", "lacquered", "enamel", "anodized", "anodised", "plated", "wrapped")
MAX_GREY_CHROMA, MIN_HUE_CHROMA, MIN_LIGHTNESS = 10.0, 12.0, 30.0  # of a metal's own colour, CIE Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialEstimate:
    """What is known of a product's material."""

    roughness: float  # 0 to 1
    relief: float = 0.0  # 0 to 1, how deep its fine structure is
    metal_hues: tuple[float, float] | None = None  # of the bare metal that it can be; None: it is no metal

    def is_bare_metal(self, colours: U8) -> bool:
        """Return whether a product is mostly bare metal. colours: (n, 3) sRGB pixels of its photos."""
        if self.metal_hues is None or not len(colours):
            return False
        lightness, a, b = np.median(
            cv2.cvtColor(colours[None].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0], axis=0
        )
        chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
        if lightness < MIN_LIGHTNESS:
            return False
        return bool(
            chroma < MAX_GREY_CHROMA
            if self.metal_hues == _GREY_HUES
            else chroma > MIN_HUE_CHROMA and self.metal_hues[0] <= hue <= self.metal_hues[1]
        )


def estimate_material(description: str) -> MaterialEstimate:
    """Return the material that the product's name, category and material suggest; the mean of several."""
    words = set(re.findall(r"[^\W\d_]+", description.lower()))
    words |= {word.removesuffix("en") for word in words}  # wooden, woolen
    others = [roughnesses for name, roughnesses in _ROUGHNESS_BY_WORD.items() if name in words]
    metals = [_METALS_BY_WORD[name] for name in _METALS_BY_WORD if name in words]
    roughnesses = [*others, *(roughness for roughness, _ in metals)]
    if not roughnesses:
        return MaterialEstimate(roughness=DEFAULT_ROUGHNESS)
    may_be_bare = (
        len({hues for _, hues in metals}) == 1
        and not (words & (_ROUGHNESS_BY_WORD.keys() - {"metal"}))
        and not words & set(_COATED_WORDS)
    )
    reliefs = [depth for name, depth in _RELIEF_BY_WORD.items() if name in words]
    return MaterialEstimate(
        roughness=float(np.mean(roughnesses)),
        relief=sum(reliefs) / max(len(roughnesses), len(reliefs)),
        metal_hues=metals[0][1] if may_be_bare else None,
    )
