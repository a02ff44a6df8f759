"""Substance: how rough a surface is and whether it is bare metal, by what the record says and what the photos show.

A record's words alone do not make a metal: steel bottles are painted, lamps are of brass and cloth. Bare metal is taken only where nothing but
metal is named and the photos show that metal's own colour.
"""

import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]

DEFAULT_ROUGHNESS = 0.65
_ROUGHNESS = {
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
_RELIEF = {
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
_GREY, _YELLOW, _RED = (0.0, 0.0), (60.0, 105.0), (30.0, 75.0)  # degrees of hue in CIE Lab; grey has none
_METALS = {
    "chrome": (0.12, _GREY),
    "silver": (0.25, _GREY),
    "nickel": (0.25, _GREY),
    "steel": (0.3, _GREY),
    "pewter": (0.45, _GREY),
    "aluminium": (0.4, _GREY),
    "aluminum": (0.4, _GREY),
    "gold": (0.25, _YELLOW),
    "brass": (0.35, _YELLOW),
    "copper": (0.3, _RED),
    "bronze": (0.4, _RED),
}
_COATED = ("painted", "coated", "lacquered", "enamel", "anodized", "anodised", "plated", "wrapped")
GREY_CHROMA, LEAST_CHROMA, LEAST_LIGHTNESS = 10.0, 12.0, 30.0  # of a metal's own colour, CIE Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialEstimate:
    """roughness: 0 to 1. relief: how deep its fine structure is, 0 to 1. metal: the hues, from and to, of the bare metal that it may be; None where it is none."""

    roughness: float
    relief: float = 0.0
    metal_hues: tuple[float, float] | None = None

    def is_bare_metal(self, colours: U8) -> bool:
        """Whether what has these colours (n, 3) in a photo is, mostly, bare metal."""
        if self.metal_hues is None or not len(colours):
            return False
        lightness, a, b = np.median(
            cv2.cvtColor(colours[None].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0], axis=0
        )
        chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
        if lightness < LEAST_LIGHTNESS:
            return False
        return bool(
            chroma < GREY_CHROMA
            if self.metal_hues == _GREY
            else chroma > LEAST_CHROMA and self.metal_hues[0] <= hue <= self.metal_hues[1]
        )


def estimate_material(words: str) -> MaterialEstimate:
    """What the product's name, category and material suggest; of several materials the mean."""
    said = set(re.findall(r"[^\W\d_]+", words.lower()))
    said |= {word.removesuffix("en") for word in said}  # wooden, woolen
    others = [rough for name, rough in _ROUGHNESS.items() if name in said]
    metals = [_METALS[name] for name in _METALS if name in said]
    rough = [*others, *(r for r, _ in metals)]
    if not rough:
        return MaterialEstimate(roughness=DEFAULT_ROUGHNESS)
    bare = (
        len({hues for _, hues in metals}) == 1
        and not (said & (_ROUGHNESS.keys() - {"metal"}))
        and not said & set(_COATED)
    )
    relief = [depth for name, depth in _RELIEF.items() if name in said]
    return MaterialEstimate(
        roughness=float(np.mean(rough)),
        relief=sum(relief) / max(len(rough), len(relief)),
        metal_hues=metals[0][1] if bare else None,
    )
