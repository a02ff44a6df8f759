"""Style: a cut-out product as its deliverable wants it shown, in a studio or in a room."""

import hashlib

import cv2

from dam_connector.domain.rules import Deliverable
from worker.imaging.composition import Picture, Studio, compose_studio
from worker.imaging.cutout import Cutout
from worker.imaging.encode import encode
from worker.imaging.lifestyle import Scene, compose_lifestyle
from worker.imaging.palette import Palette

PREVIEW_PX = 640


def compose_for_deliverable(
    cutout: Cutout,
    deliverable: Deliverable,
    *,
    slot: int,
    seed: int,
    oblique: bool,
    height_m: float | None,
    palette: Palette | None = None,
) -> Picture:
    """The product as its deliverable wants it shown; the same seed gives the same picture. oblique: it is seen from above."""
    d = deliverable
    width, height = picture_size(d.aspect, d.size_px)
    if d.style == "lifestyle":
        scene = Scene(
            width=width,
            height=height,
            fill=d.fill,
            slot=slot,
            seed=seed,
            height_m=height_m,
            oblique=oblique,
            palette=palette,
        )
        return compose_lifestyle(cutout, scene)
    return compose_studio(
        cutout,
        Studio(
            width=width,
            height=height,
            background=d.background,
            fill=d.fill,
            shadow=d.shadow,
            reflection=d.reflection,
            oblique=oblique,
        ),
    )


def slot_seed(sku: str, deliverable: str, slot: int) -> int:
    """A number that stays for a slot, so that making it again changes nothing but what changed."""
    return int.from_bytes(hashlib.sha256(f"{sku}/{deliverable}/{slot}".encode()).digest()[:4], "big")


def picture_size(aspect: str, longer_px: int) -> tuple[int, int]:
    """Width and height in pixels of `w:h` with the longer side given."""
    w, h = (int(part) for part in aspect.split(":"))
    return (longer_px, round(longer_px * h / w)) if w >= h else (round(longer_px * w / h), longer_px)


def encode_preview(picture: Picture) -> bytes:
    """A small WebP for lists."""
    height, width = picture.rgb.shape[:2]
    scale = min(1.0, PREVIEW_PX / max(height, width))
    box = (max(1, round(width * scale)), max(1, round(height * scale)))
    alpha = None if picture.alpha is None else cv2.resize(picture.alpha, box, interpolation=cv2.INTER_AREA)
    return encode(cv2.resize(picture.rgb, box, interpolation=cv2.INTER_AREA), alpha, "webp")
