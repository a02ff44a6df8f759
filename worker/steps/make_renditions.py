"""Make the renditions: the product cut out of its photo, set into a studio or a room, in each format asked for."""

import hashlib
from dataclasses import replace

import cv2

from dam_connector.catalog.issue import issue
from dam_connector.catalog.picture_profiles import byte_budget
from dam_connector.catalog.product import View
from dam_connector.catalog.rules import Deliverable
from dam_connector.catalog.version import Role
from dam_connector.wiring import Services
from worker.imaging.compose import MAX_ENLARGEMENT, Picture, Studio, compose
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.encode import encode, encode_within
from worker.imaging.lifestyle import Scene, compose_lifestyle
from worker.imaging.likeness import likeness_issues, median_difference
from worker.imaging.quality import source_issues
from worker.work import Work

PREVIEW_PX = 640


def make_renditions(work: Work, services: Services) -> Work:
    """The work with one file a format.

    Reads: sources. Adds: files, facts, provenance, issues cutout.*, source.* and rendition.enlarged. Raises: InputError cutout.empty.
    """
    view, sha256 = next(iter(work.sources.items()))
    where = f"/images/{view}"
    photo = decode(services.blobs.get(sha256), max_pixels=services.settings.max_picture_pixels, pointer=where)
    cutout = cut_out(photo, where)
    d = work.deliverable
    seed = seed_of(work.product.sku, d.name, work.slot)
    picture = set_in_style(cutout, d, slot=work.slot, seed=seed, view=view, height_m=work.product.dimensions.height_m)
    work = replace(work, provenance={**work.provenance, "style": d.style, "seed": str(seed)})
    height, width = picture.rgb.shape[:2]
    work = work.with_facts(
        view=view, width_px=width, height_px=height, cutout_confidence=round(cutout.confidence, 2), scale=round(picture.enlarged, 2)
    )
    work = work.with_issues(*source_issues(photo, cutout, view))
    if picture.enlarged > MAX_ENLARGEMENT:
        work = work.with_issues(
            issue(
                "rendition.enlarged",
                "The photo has too few pixels for this size.",
                pointer=where,
                measured=f"{picture.enlarged:.2f} x",
                limit=f"{MAX_ENLARGEMENT:g} x",
            )
        )
    work = work.with_file(services, _preview(picture), "webp", Role.PREVIEW, view)
    for format in d.formats:
        budget = byte_budget(d.profiles, format, work.rules(services).checks.max_image_bytes)
        data = encode_within(picture.rgb, picture.alpha, format, budget)
        off = median_difference(photo, cutout, picture, data)
        work = work.with_file(services, data, format).with_facts(**{f"{format}_de2000": round(off, 2)})
        work = work.with_issues(*likeness_issues(off, format, where))
    return work


def set_in_style(cutout: Cutout, deliverable: Deliverable, *, slot: int, seed: int, view: str, height_m: float | None) -> Picture:
    """The product as its deliverable wants it shown; the same seed gives the same picture."""
    d = deliverable
    width, height = size_of(d.aspect, d.size_px)
    if d.style == "lifestyle":
        oblique = view in (View.HERO, View.DETAIL)
        return compose_lifestyle(cutout, Scene(width=width, height=height, fill=d.fill, slot=slot, seed=seed, height_m=height_m, oblique=oblique))
    return compose(cutout, Studio(width=width, height=height, background=d.background, fill=d.fill, shadow=d.shadow))


def seed_of(sku: str, deliverable: str, slot: int) -> int:
    """A number that stays for a slot, so that making it again changes nothing but what changed."""
    return int.from_bytes(hashlib.sha256(f"{sku}/{deliverable}/{slot}".encode()).digest()[:4], "big")


def _preview(picture: Picture) -> bytes:
    """A small WebP for lists."""
    height, width = picture.rgb.shape[:2]
    scale = min(1.0, PREVIEW_PX / max(height, width))
    box = (max(1, round(width * scale)), max(1, round(height * scale)))
    alpha = None if picture.alpha is None else cv2.resize(picture.alpha, box, interpolation=cv2.INTER_AREA)
    return encode(cv2.resize(picture.rgb, box, interpolation=cv2.INTER_AREA), alpha, "webp")


def size_of(aspect: str, longer_px: int) -> tuple[int, int]:
    """Width and height in pixels of `w:h` with the longer side given."""
    w, h = (int(part) for part in aspect.split(":"))
    return (longer_px, round(longer_px * h / w)) if w >= h else (round(longer_px * w / h), longer_px)
