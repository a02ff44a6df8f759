"""Styles of a deliverable: compose a cut-out product in a studio or in a room, as plugin.json says."""

import hashlib

import cv2

from dam_connector.domain.rules import Deliverable
from worker.imaging.composition import Picture, Studio, compose_studio
from worker.imaging.cutout import Cutout
from worker.imaging.encode import encode
from worker.imaging.lifestyle import Scene, compose_lifestyle
from worker.imaging.palette import Palette
from worker.imaging.scene_choice import ScenePlan

PREVIEW_PX = 640


def compose_for_deliverable(
    cutout: Cutout,
    deliverable: Deliverable,
    *,
    seed: int,
    oblique: bool,
    plan: ScenePlan | None = None,
    palette: Palette | None = None,
) -> Picture:
    """Compose the product as its deliverable asks; the same seed gives the same picture.

    Args:
        cutout: The product.
        deliverable: Its style, size, background, fill, shadow and reflection are used.
        seed: Decides the noise of a set's materials.
        oblique: The product is seen from above.
        plan: The scene of a lifestyle picture.
        palette: Colours for its ground.
    """
    d = deliverable
    width, height = picture_size(d.aspect, d.size_px)
    if plan is not None:
        scene = Scene(width=width, height=height, fill=d.fill, slot=1, seed=seed, palette=palette)
        return compose_lifestyle(cutout, scene, plan)
    studio = Studio(
        width=width,
        height=height,
        background=d.background,
        fill=d.fill,
        shadow=d.shadow,
        reflection=d.reflection,
        oblique=oblique,
    )
    return compose_studio(cutout, studio)


def slot_seed(sku: str, deliverable: str, slot: int) -> int:
    """Return the seed of a slot. It never changes, so a new version differs only where its inputs do."""
    return int.from_bytes(hashlib.sha256(f"{sku}/{deliverable}/{slot}".encode()).digest()[:4], "big")


def picture_size(aspect: str, longer_px: int) -> tuple[int, int]:
    """Return width and height in pixels of an aspect ratio, e.g. `4:5`, with this longer side."""
    w, h = (int(part) for part in aspect.split(":"))
    return (longer_px, round(longer_px * h / w)) if w >= h else (round(longer_px * w / h), longer_px)


def encode_preview(picture: Picture) -> bytes:
    """Return a small WebP of a picture, for lists."""
    height, width = picture.rgb.shape[:2]
    scale = min(1.0, PREVIEW_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    alpha = None if picture.alpha is None else cv2.resize(picture.alpha, size, interpolation=cv2.INTER_AREA)
    return encode(cv2.resize(picture.rgb, size, interpolation=cv2.INTER_AREA), alpha, "webp")
