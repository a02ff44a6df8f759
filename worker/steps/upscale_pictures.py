"""Enlarge: the pictures of a version with twice their pixels, for the next version of their asset."""

from dataclasses import replace

from dam_connector.domain.issue import issue
from dam_connector.domain.picture_profiles import byte_budget
from dam_connector.domain.version import Role, Version, VersionFile
from dam_connector.errors import StateConflict
from dam_connector.wiring import Services
from worker.imaging.composition import Picture
from worker.imaging.decode import decode
from worker.imaging.deliverable_styles import encode_preview
from worker.imaging.encode import encode_within
from worker.imaging.upscale import FACTOR, upscale
from worker.work import Work

MAX_LONGER_PX = 4096  # of what is enlarged
_BEST = ("png", "webp", "avif", "jpeg")  # to start from: the one that lost least


def upscale_pictures(work: Work, services: Services) -> Work:
    """The work with a larger file in each format of the version it came with.

    Reads: version, files. Adds: files, facts, provenance, issue rendition.upscaled. Raises: StateConflict when there is nothing to enlarge.
    """
    origin = services.assets.get(work.draft)
    if origin is None or origin.asset.kind == "model" or origin.spin_frames:
        raise StateConflict("only still pictures are enlarged")
    source = min((f for f in origin.files if f.role is Role.PRIMARY), key=lambda f: _BEST.index(f.format))
    photo = decode(
        services.blobs.get(source.sha256),
        max_pixels=services.settings.max_picture_pixels,
        max_side_px=MAX_LONGER_PX + 1,
    )
    if max(photo.size) > MAX_LONGER_PX:
        raise StateConflict(
            f"the picture has {max(photo.size)} px; pictures of up to {MAX_LONGER_PX} px are enlarged"
        )
    alpha = None if photo.alpha is None else upscale(photo.alpha)
    rgb = upscale(photo.rgb)
    height, width = rgb.shape[:2]
    work = replace(work, files=(), issues=(), provenance=_provenance(origin))
    work = replace(work, deliverable=replace(work.deliverable, size_px=max(width, height)))
    facts = {k: v for k, v in (origin.report.facts or {}).items() if not k.endswith("_bytes")}
    work = work.with_facts(**facts).with_facts(width_px=width, height_px=height, upscaled=FACTOR)
    small = max(photo.size)
    work = work.with_issues(
        issue(
            "rendition.upscaled",
            f"Made from V{origin.number} with {FACTOR} times its pixels.",
            measured=f"{small} px",
        )
    )
    picture = Picture(rgb=rgb, alpha=alpha, scale=float(FACTOR), box=(0, 0, width, height))
    work = work.with_file(services, encode_preview(picture), "webp", Role.PREVIEW, _view(origin.files))
    for file in (f for f in origin.files if f.role is Role.PRIMARY):
        budget = byte_budget(
            work.deliverable.profiles, file.format, work.rules(services).checks.max_image_bytes
        )
        work = work.with_file(services, encode_within(rgb, alpha, file.format, budget), file.format)
    return work


def _provenance(origin: Version) -> dict[str, str]:
    """The origin's own words about where it came from, and that it was enlarged."""
    kept = {k: str(v) for k, v in origin.provenance.items() if v and k not in ("note", "tool")}
    return {**kept, "upscaled": f"{FACTOR} times from V{origin.number}"}


def _view(files: tuple[VersionFile, ...]) -> str:
    return next((f.view for f in files if f.role is Role.PREVIEW), "")
