"""Renditions: pictures of a product, from a photo or from a model. No store, no queue."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dam_connector.domain.file_names import VIDEO
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.picture_profiles import byte_budget
from dam_connector.domain.product import Product, View
from dam_connector.domain.rules import PHOTO, Deliverable, ImagingRules, Motion
from dam_connector.domain.scene_words import NO_WISH, SceneWish
from dam_connector.domain.wishes import LIFESTYLE
from dam_connector.net_file import NO_NET
from worker.imaging.coils import open_coils
from worker.imaging.colour_difference import colour_issues, median_differences
from worker.imaging.composition import MAX_ENLARGEMENT, Picture
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import Photo, decode
from worker.imaging.deliverable_styles import compose_for_deliverable, encode_preview, picture_size, slot_seed
from worker.imaging.encode import encode, encode_clip, encode_within
from worker.imaging.outline_smoothing import with_smooth_outline
from worker.imaging.palette import Palette
from worker.imaging.photo_quality import source_issues
from worker.imaging.provider_pictures import best_match, crop_to_format, match_facts, product_match_issues
from worker.imaging.scene_choice import SceneFacts, ScenePlan, plan_scene
from worker.imaging.scene_doubts import NO_DOUBTS, find_scene_doubts
from worker.imaging.touch_up import reduced
from worker.imaging.video import encode_mp4
from worker.modeling.glb_import import read_glb
from worker.modeling.textured_mesh import TexturedMesh
from worker.modeling.turntable import OBLIQUE_DEG, render_views

OBLIQUE_VIEWS = (View.HERO, View.DETAIL)  # photos that are taken from above
Facts = dict[str, str | int | float]
CutOut = Callable[[Photo, str], Cutout]  # of a photo, with the pointer for errors
FindIssues = Callable[[Photo, Cutout, str, ImagingRules], Iterable[Issue]]  # as `source_issues`


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionFile:
    """An encoded picture, not labelled yet."""

    data: bytes
    format: str
    view: str = ""  # its number in a spin, e.g. 03; else empty


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionResult:
    """The files of a rendition, with facts and issues for its report."""

    files: tuple[RenditionFile, ...]
    preview: bytes  # a WebP
    seed: int  # of everything random in it
    facts: Mapping[str, str | int | float]
    issues: tuple[Issue, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)  # the photo's own that its renditions inherit
    cutout: "CutoutPictures | None" = None
    is_doubt_lifted: bool = False  # by strokes of a person; `cutout_confidence` is what it was before


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoutPictures:
    """The photo and the mask of a cut-out, at the size on which people correct the mask."""

    photo: bytes  # a WebP
    mask: bytes  # a PNG: white is product


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionRequest:
    """The rendition to make."""

    deliverable: Deliverable
    product: Product
    slot: int = 1
    room: int = 0  # how many sets after that of the slot, for a lifestyle picture
    wish: SceneWish = NO_WISH  # of the prompt or a note: the set of a lifestyle picture
    palette: Palette | None = None  # of an inspiration image: colours for a lifestyle set
    max_pixels: int  # of a photo
    max_bytes: int  # of a file, by plugin.json
    imaging: ImagingRules = ImagingRules()

    @property
    def seed(self) -> int:
        """Return the seed of everything random: the same for the same SKU, deliverable and slot."""
        return slot_seed(self.product.sku, self.deliverable.name, self.slot)

    def plan_scene(
        self,
        cutout: Cutout,
        *,
        view: str = "",
        has_person: bool = False,
        elevation_deg: float | None = None,
        photo: Photo | None = None,
    ) -> ScenePlan | None:
        """Choose the scene of a lifestyle picture; None for another style.

        Args:
            cutout: The product.
            view: The view that the photo shows.
            has_person: Whether the cut-out holds a person.
            elevation_deg: Of the camera, where a model was rendered.
            photo: The photo of the product; None where a model was rendered.
        """
        if self.deliverable.style != LIFESTYLE:
            return None
        width, height = picture_size(self.deliverable.aspect, self.deliverable.size_px)
        is_oblique = view in OBLIQUE_VIEWS if elevation_deg is None else elevation_deg > OBLIQUE_DEG
        facts = SceneFacts(
            view=view or View.FRONT,
            oblique=is_oblique or None,
            has_person=has_person,
            category=self.product.category,
            name=self.product.name,
            dimensions=self.product.dimensions,
            wish=self.wish,
            slot=self.slot + self.room,
            variety=slot_seed(self.product.sku, self.deliverable.name, 0),
            palette=self.palette,
            aspect=width / height,
            elevation_deg=elevation_deg,
            doubts=find_scene_doubts(photo, cutout) if photo else NO_DOUBTS,
        )
        return plan_scene(cutout, facts)

    def compose(self, cutout: Cutout, *, oblique: bool, plan: ScenePlan | None = None) -> Picture:
        """Set a product into the deliverable's studio, or into the scene of a plan.

        Args:
            cutout: The product.
            oblique: Whether the product is seen from above.
            plan: The scene of a lifestyle picture.
        """
        return compose_for_deliverable(
            cutout, self.deliverable, seed=self.seed, oblique=oblique, plan=plan, palette=self.palette
        )

    def encode(self, picture: Picture, view: str = "") -> Iterator[RenditionFile]:
        """Yield the picture in each format, within the byte limits of plugin.json and of the profiles."""
        for format in self.deliverable.formats:
            budget = byte_budget(self.deliverable.profiles, format, self.max_bytes)
            data = encode_within(picture.rgb, picture.alpha, format, budget)
            yield RenditionFile(data=data, format=format, view=view)


def open_source(data: bytes, request: RenditionRequest, view: str = "") -> Photo | TexturedMesh:
    """Read the source of a rendition: a photo or, for a deliverable that is made from a model, a GLB.

    Raises:
        InputError: source.*, file.*, geometry.empty.
    """
    if request.deliverable.made_from != PHOTO:
        return read_glb(data)
    return decode(data, max_pixels=request.max_pixels, pointer=f"/images/{view}")


def make_rendition(
    source: Photo | TexturedMesh,
    request: RenditionRequest,
    *,
    view: str,
    cut_out: CutOut = cut_out,
    find_issues: FindIssues = source_issues,
) -> RenditionResult:
    """Make the rendition of a photo or of a model.

    Args:
        source: The photo or the model.
        request: The rendition to make.
        view: The view that the photo shows.
        cut_out: Cuts the product out of the photo.
        find_issues: Finds the issues of the photo.

    Raises:
        InputError: cutout.empty.
    """
    if isinstance(source, Photo):
        return _render_photo(source, request, view, cut_out, find_issues)
    return _render_model(source, request)


def _render_photo(
    photo: Photo, request: RenditionRequest, view: str, cut_out: CutOut, find_issues: FindIssues
) -> RenditionResult:
    where = f"/images/{view}"
    cutout = cut_out(photo, where)
    issues = list(find_issues(photo, cutout, view, request.imaging))
    cutout = with_smooth_outline(photo, open_coils(photo, cutout))
    has_person = any(found.code == "source.person" for found in issues)
    plan = request.plan_scene(cutout, view=view, has_person=has_person, photo=photo)
    picture = request.compose(cutout, oblique=view in OBLIQUE_VIEWS, plan=plan)
    files = tuple(request.encode(picture))
    differences = median_differences(photo, cutout, picture, {f.format: f.data for f in files})
    issues += _enlargement_issues(picture, request.deliverable, where)
    issues += plan.issues(where) if plan else ()
    for format, difference in differences.items():
        issues += colour_issues(difference, format, where)
    return RenditionResult(
        files=files,
        preview=encode_preview(picture),
        seed=request.seed,
        facts={
            **_photo_facts(photo, cutout, picture, view),
            **(plan.facts if plan else {}),
            **{f"{format}_de2000": round(difference, 2) for format, difference in differences.items()},
        },
        issues=tuple(issues),
        labels=photo.metadata,
        cutout=cutout_pictures(photo, cutout),
        is_doubt_lifted=cutout.lifted is not None,
    )


def cutout_pictures(photo: Photo, cutout: Cutout) -> CutoutPictures:
    """Return the pictures in which a person sees the mask over the photo."""
    return CutoutPictures(
        photo=encode(reduced(photo.rgb), None, "webp"),
        mask=encode(reduced(cutout.alpha), None, "png"),
    )


def fit_provider_pictures(
    pictures: Sequence[bytes],
    photo: Photo,
    request: RenditionRequest,
    *,
    view: str,
    cut_out: CutOut = cut_out,
) -> RenditionResult:
    """Make the rendition from a provider's pictures.

    The picture that shows the photo's product best is cropped and encoded.

    Args:
        pictures: The provider's pictures, encoded.
        photo: The photo of the product, to compare them with.
        request: The rendition to make.
        view: The view that the photo shows.
        cut_out: Cuts the product out of the photo.

    Raises:
        InputError: source.*, cutout.empty.
    """
    where, deliverable = f"/images/{view}", request.deliverable
    candidates = [decode(data, max_pixels=request.max_pixels) for data in pictures]
    best, match = best_match(cut_out(photo, where), candidates)
    width, height = picture_size(deliverable.aspect, deliverable.size_px)
    picture = crop_to_format(best, match.box, width, height)
    facts: Facts = {
        "view": view,
        "width_px": width,
        "height_px": height,
        "scale": round(picture.scale, 2),
    }
    return RenditionResult(
        files=tuple(request.encode(picture)),
        preview=encode_preview(picture),
        seed=request.seed,
        facts={**facts, **match_facts(match), "candidates": len(candidates)},
        issues=(*product_match_issues(match, where), *_enlargement_issues(picture, deliverable, where)),
        labels=photo.metadata,
    )


def _photo_facts(photo: Photo, cutout: Cutout, picture: Picture, view: str) -> Facts:
    height, width = picture.rgb.shape[:2]
    return {
        "view": view,
        "width_px": width,
        "height_px": height,
        "photo_px": " x ".join(map(str, photo.size)),
        "cutout_confidence": round(cutout.confidence if cutout.lifted is None else cutout.lifted, 2),
        "cutout_net": cutout.net or NO_NET,
        "scale": round(picture.scale, 2),
    }


def _render_model(model: TexturedMesh, request: RenditionRequest) -> RenditionResult:
    """Make one view of a model, a spin, or a clip of the spin."""
    deliverable = request.deliverable
    motion = deliverable.motion
    width, height = picture_size(deliverable.aspect, deliverable.size_px)
    box = (deliverable.fill * width, deliverable.fill * height)
    files: list[RenditionFile] = []
    clip: list[Picture] = []
    preview_data, plan = b"", None
    for shot in render_views(model, deliverable.camera, motion, deliverable.frames, box):
        # all frames of a spin are in the scene of the first
        plan = plan or request.plan_scene(shot.cutout, elevation_deg=shot.elevation_deg)
        picture = request.compose(shot.cutout, oblique=shot.is_oblique, plan=plan)
        preview_data = preview_data or encode_preview(picture)
        if motion == Motion.CLIP:
            clip.append(picture)
        else:
            files += request.encode(picture, shot.name if motion == Motion.SPIN else "")
    if clip:
        data = encode_clip([p.rgb for p in clip], [p.alpha for p in clip], request.max_bytes)
        files.append(RenditionFile(data=data, format="webp"))
        if VIDEO in deliverable.formats:
            video = encode_mp4([p.rgb for p in clip], request.max_bytes)
            files.append(RenditionFile(data=video, format=VIDEO))
    facts: Facts = {
        "camera": deliverable.camera,
        "frames": 1 if motion == Motion.STILL else deliverable.frames,
        "width_px": width,
        "height_px": height,
        **(plan.facts if plan else {}),
    }
    return RenditionResult(files=tuple(files), preview=preview_data, seed=request.seed, facts=facts)


def _enlargement_issues(picture: Picture, deliverable: Deliverable, pointer: str) -> Iterator[Issue]:
    """Yield rendition.enlarged when the photo is too small for the deliverable."""
    if picture.scale > MAX_ENLARGEMENT:
        left, top, right, bottom = picture.box
        longer = max(right - left, bottom - top)
        has, needs = round(longer / picture.scale), round(longer / MAX_ENLARGEMENT)
        yield issue(
            "rendition.enlarged",
            f"The product has {has} px in the photo; "
            f"{deliverable.name} at {deliverable.size_px} px needs {needs}.",
            pointer=pointer,
            measured=f"{picture.scale:.2f} x",
            limit=f"{MAX_ENLARGEMENT:g} x",
        )
