"""Upscale pictures: the next version of an asset, with twice the pixels of a version before."""

from dataclasses import replace

from dam_connector.domain.issue import issue
from dam_connector.domain.picture_profiles import byte_budget
from dam_connector.domain.version import Role, Version, VersionFile
from dam_connector.errors import StateConflict
from dam_connector.wiring import Services
from worker.imaging.composition import Picture
from worker.imaging.decode import Photo, decode
from worker.imaging.deliverable_styles import encode_preview
from worker.imaging.encode import encode_within
from worker.imaging.upscale import FACTOR, upscale
from worker.work import Work

MAX_SOURCE_PX = 4096  # longer side of a picture that is enlarged
_BEST_FORMATS = ("png", "webp", "avif", "jpeg")  # the one that lost least first


def upscale_pictures(work: Work, services: Services) -> Work:
    """Make a larger file in each format of the version that the run names.

    Reads: version, files. Adds: files, facts, provenance, issue rendition.upscaled.

    Raises:
        StateConflict: The version is not a still picture, or is large enough.
    """
    origin = services.assets.get(work.assigned_version_id)
    if origin is None or origin.asset.kind == "model" or origin.spin_frames:
        raise StateConflict("only still pictures are enlarged")
    originals = [f for f in origin.files if f.role is Role.PRIMARY]
    photo = _decode_best(originals, services)
    rgb, alpha = upscale(photo.rgb), None if photo.alpha is None else upscale(photo.alpha)
    height, width = rgb.shape[:2]
    facts = {k: v for k, v in (origin.report.facts or {}).items() if not k.endswith("_bytes")}
    found = issue(
        "rendition.upscaled",
        f"Made from V{origin.number} with {FACTOR} times its pixels.",
        measured=f"{max(photo.size)} px",
    )
    work = replace(
        work,
        files=(),
        issues=(found,),
        provenance=_provenance(origin),
        deliverable=replace(work.deliverable, size_px=max(width, height)),
    )
    work = work.with_facts(**facts).with_facts(width_px=width, height_px=height, upscaled=FACTOR)
    picture = Picture(rgb=rgb, alpha=alpha, scale=float(FACTOR), box=(0, 0, width, height))
    work = work.with_file(services, encode_preview(picture), "webp", Role.PREVIEW, _view(origin.files))
    max_bytes = work.rules(services).checks.max_image_bytes
    for file in originals:
        budget = byte_budget(work.deliverable.profiles, file.format, max_bytes)
        work = work.with_file(services, encode_within(rgb, alpha, file.format, budget), file.format)
    return work


def _decode_best(files: list[VersionFile], services: Services) -> Photo:
    """Return the picture from the file whose format lost least."""
    best = min(files, key=lambda f: _BEST_FORMATS.index(f.format))
    photo = decode(
        services.blobs.get(best.sha256),
        max_pixels=services.settings.max_picture_pixels,
        max_side_px=MAX_SOURCE_PX + 1,
    )
    if max(photo.size) > MAX_SOURCE_PX:
        raise StateConflict(
            f"the picture has {max(photo.size)} px; pictures of up to {MAX_SOURCE_PX} px are enlarged"
        )
    return photo


def _provenance(origin: Version) -> dict[str, str]:
    """Return the provenance of the version before, and that it was enlarged."""
    inherited = {k: str(v) for k, v in origin.provenance.items() if v and k not in ("note", "tool")}
    return {**inherited, "upscaled": f"{FACTOR} times from V{origin.number}"}


def _view(files: tuple[VersionFile, ...]) -> str:
    """Return the view of the preview, e.g. `front`."""
    return next((f.view for f in files if f.role is Role.PREVIEW), "")
