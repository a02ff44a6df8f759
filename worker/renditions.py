"""Renditions: pictures of a product as a deliverable wants them, from a photo or from a model; no store, no queue."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.picture_profiles import byte_budget
from dam_connector.domain.product import Product, View
from dam_connector.domain.rules import PHOTO, Deliverable, Motion
from worker.imaging.colour_difference import colour_issues, median_differences
from worker.imaging.composition import MAX_ENLARGEMENT, Picture
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import Photo, decode
from worker.imaging.deliverable_styles import compose_for_deliverable, encode_preview, picture_size, slot_seed
from worker.imaging.encode import encode_clip, encode_within
from worker.imaging.palette import Palette
from worker.imaging.photo_quality import source_issues
from worker.imaging.provider_pictures import best_match, crop_to_format, match_facts, product_match_issues
from worker.modeling.glb_import import read_glb
from worker.modeling.textured_mesh import TexturedMesh
from worker.modeling.turntable import render_views

OBLIQUE = (View.HERO, View.DETAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionFile:
    """An encoded picture, not labelled yet. view: its number within a turn, else empty."""

    data: bytes
    format: str
    view: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionResult:
    """What was made. labels: those that the photo brought (labels.KEPT)."""

    files: tuple[RenditionFile, ...]
    preview: bytes
    seed: int
    facts: Mapping[str, str | int | float]
    issues: tuple[Issue, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionRequest:
    """What is to be made. max_pixels of a photo; max_bytes of a file, by the admin's own limit."""

    deliverable: Deliverable
    product: Product
    slot: int = 1
    palette: Palette | None = None
    max_pixels: int
    max_bytes: int

    @property
    def seed(self) -> int:
        return slot_seed(self.product.sku, self.deliverable.name, self.slot)

    def compose(self, cutout: Cutout, *, oblique: bool) -> Picture:
        """The product as this order wants it shown."""
        height_m = self.product.dimensions.height_m
        return compose_for_deliverable(
            cutout,
            self.deliverable,
            slot=self.slot,
            seed=self.seed,
            oblique=oblique,
            height_m=height_m,
            palette=self.palette,
        )

    def encode(self, picture: Picture, view: str = "") -> Iterator[RenditionFile]:
        """The picture in each format, within the fewest bytes that the rules and the deliverable's profiles allow."""
        for format in self.deliverable.formats:
            budget = byte_budget(self.deliverable.profiles, format, self.max_bytes)
            yield RenditionFile(
                data=encode_within(picture.rgb, picture.alpha, format, budget), format=format, view=view
            )


def open_source(data: bytes, request: RenditionRequest, view: str = "") -> Photo | TexturedMesh:
    """What the deliverable is made from: a photo, or a GLB's model. Raises: InputError source.*, file.* or geometry.empty."""
    if request.deliverable.made_from != PHOTO:
        return read_glb(data)
    return decode(data, max_pixels=request.max_pixels, pointer=f"/images/{view}")


def make_rendition(
    source: Photo | TexturedMesh,
    request: RenditionRequest,
    *,
    view: str,
    cut_out: Callable[[Photo, str], Cutout] = cut_out,
) -> RenditionResult:
    """The renditions of a photo or of a model. view: what the photo shows. cut: its cut-out. Raises: InputError cutout.empty."""
    return (
        _render_photo(source, request, view, cut_out)
        if isinstance(source, Photo)
        else _render_model(source, request)
    )


def _render_photo(
    photo: Photo, order: RenditionRequest, view: str, cut: Callable[[Photo, str], Cutout]
) -> RenditionResult:
    where = f"/images/{view}"
    cutout = cut(photo, where)
    picture = order.compose(cutout, oblique=view in OBLIQUE)
    files = tuple(order.encode(picture))
    off = median_differences(photo, cutout, picture, {f.format: f.data for f in files})
    issues = [*source_issues(photo, cutout, view), *_enlargement_issues(picture, order.deliverable, where)]
    issues += [
        found for format, difference in off.items() for found in colour_issues(difference, format, where)
    ]
    return RenditionResult(
        files=files,
        preview=encode_preview(picture),
        seed=order.seed,
        facts={
            **_photo_facts(photo, cutout, picture, view),
            **{f"{format}_de2000": round(d, 2) for format, d in off.items()},
        },
        issues=tuple(issues),
        labels=photo.metadata,
    )


def fit_provider_pictures(
    pictures: Sequence[bytes],
    photo: Photo,
    order: RenditionRequest,
    *,
    view: str,
    cut: Callable[[Photo, str], Cutout] = cut_out,
) -> RenditionResult:
    """The renditions of that one of a provider's pictures that shows the photo's product best, held against the photo.

    Raises: InputError source.*, cutout.empty.
    """
    where, d = f"/images/{view}", order.deliverable
    candidates = [decode(data, max_pixels=order.max_pixels) for data in pictures]
    chosen, found = best_match(cut(photo, where), candidates)
    width, height = picture_size(d.aspect, d.size_px)
    picture = crop_to_format(chosen, found.box, width, height)
    facts: dict[str, str | int | float] = {
        "view": view,
        "width_px": width,
        "height_px": height,
        "scale": round(picture.scale, 2),
    }
    return RenditionResult(
        files=tuple(order.encode(picture)),
        preview=encode_preview(picture),
        seed=order.seed,
        facts={**facts, **match_facts(found), "candidates": len(candidates)},
        issues=(*product_match_issues(found, where), *_enlargement_issues(picture, d, where)),
        labels=photo.metadata,
    )


def _photo_facts(photo: Photo, cutout: Cutout, picture: Picture, view: str) -> dict[str, str | int | float]:
    height, width = picture.rgb.shape[:2]
    facts = {"width_px": width, "height_px": height, "photo_px": " x ".join(map(str, photo.size))}
    return {
        "view": view,
        **facts,
        "cutout_confidence": round(cutout.confidence, 2),
        "scale": round(picture.scale, 2),
    }


def _render_model(model: TexturedMesh, order: RenditionRequest) -> RenditionResult:
    """One view of a model, a turn of it, or a clip of the turn."""
    d = order.deliverable
    width, height = picture_size(d.aspect, d.size_px)
    files: list[RenditionFile] = []
    clip: list[Picture] = []
    shown = b""
    for shot in render_views(model, d.camera, d.motion, d.frames, (d.fill * width, d.fill * height)):
        picture = order.compose(shot.cutout, oblique=shot.oblique)
        shown = shown or encode_preview(picture)
        if d.motion == Motion.CLIP:
            clip.append(picture)
        else:
            files += order.encode(picture, shot.name if d.motion == Motion.SPIN else "")
    if clip:
        files.append(
            RenditionFile(
                data=encode_clip([p.rgb for p in clip], [p.alpha for p in clip], order.max_bytes),
                format="webp",
            )
        )
    frames = 1 if d.motion == Motion.STILL else d.frames
    facts: dict[str, str | int | float] = {
        "camera": d.camera,
        "frames": frames,
        "width_px": width,
        "height_px": height,
    }
    return RenditionResult(files=tuple(files), preview=shown, seed=order.seed, facts=facts)


def _enlargement_issues(picture: Picture, deliverable: Deliverable, pointer: str) -> Iterator[Issue]:
    """Issue rendition.enlarged: the photo is too small for what the deliverable asks."""
    if picture.scale > MAX_ENLARGEMENT:
        left, top, right, bottom = picture.box
        longer = max(right - left, bottom - top)
        has, needs = round(longer / picture.scale), round(longer / MAX_ENLARGEMENT)
        words = f"The product has {has} px in the photo; {deliverable.name} at {deliverable.size_px} px needs {needs}."
        yield issue(
            "rendition.enlarged",
            words,
            pointer=pointer,
            measured=f"{picture.scale:.2f} x",
            limit=f"{MAX_ENLARGEMENT:g} x",
        )
