"""Models from folders of pictures: the frames of a spin, the photos of a walk, or a shop's pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dam_connector.domain.capture_folders import sort_folder
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.picture_names import is_picture_name, natural_order, unread_reason
from dam_connector.domain.product import Capture, Dimensions
from dam_connector.errors import InputError
from worker.capture.build import build_from_spin
from worker.capture.build_walk import build_from_walk
from worker.capture.frames import read_frames, read_walk
from worker.capture.photo_placing import require_library
from worker.imaging.cutout import Cutout
from worker.imaging.decode import MODEL_PHOTO_MAX_PX, Photo, decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.salient_net import SalientNet
from worker.modeling.build import ModelBuild, build_model
from worker.modeling.picture_sorting import MAX_PICTURES, Taken, sort_pictures
from worker.tools.output import MAX_PIXELS

Built = tuple[ModelBuild, dict[str, Any]]  # the model, and what the command prints besides
FolderBuilder = Callable[[Path, SalientNet | None, Dimensions, str, dict[str, int]], Built]


def _build_spin(
    folder: Path, net: SalientNet | None, size: Dimensions, words: str, options: dict[str, int]
) -> Built:
    frames = read_frames(*_captured(folder, net, Capture.SPIN))
    return build_from_spin(frames, size, words, **options), {}


def _build_walk(
    folder: Path, net: SalientNet | None, size: Dimensions, words: str, options: dict[str, int]
) -> Built:
    require_library()  # before a minute of cutting out
    walked = build_from_walk(read_walk(*_captured(folder, net, Capture.WALK)), size, words, **options)
    return walked.built, {"photos": {"used": walked.used, "left_out": walked.left_out}}


def _build_pictures(
    folder: Path, net: SalientNet | None, size: Dimensions, words: str, options: dict[str, int]
) -> Built:
    """Build a model from pictures whose sides are recognised.

    Raises:
        InputError: source.missing_view, no picture can be used; one cannot be read.
    """
    names = _pictures(folder)
    cutouts: dict[str, Cutout | None] = {}
    for name in names[:MAX_PICTURES]:
        pointer = f"/pictures/{name}"
        data = (folder / name).read_bytes()
        photo = decode(data, max_pixels=MAX_PIXELS, pointer=pointer, max_side_px=MODEL_PHOTO_MAX_PX)
        try:
            cutouts[name] = cut_out_product(photo, net, pointer)
        except InputError:
            cutouts[name] = None
    found = sort_pictures(cutouts, size)
    taken_for = {**found.taken_for, **dict.fromkeys(names[MAX_PICTURES:], str(Taken.SURPLUS))}
    if not found.cutouts:
        listed = ", ".join(f"{name}: {kind}" for name, kind in taken_for.items())
        message = f"No picture shows the whole product from a side ({listed or 'there is none'})."
        raise InputError("source.missing_view", message)
    built = build_model(found.cutouts, size, words, are_sides_guessed=True, **options)
    return built, {"pictures": taken_for}


# By the option that names the folder.
FOLDERS: dict[str, FolderBuilder] = {"spin": _build_spin, "walk": _build_walk, "pictures": _build_pictures}


def _captured(
    folder: Path, net: SalientNet | None, kind: Capture
) -> tuple[list[str], Callable[[str], bytes], Callable[[str, Photo], Cutout], int]:
    """Return what reads and cuts out the pictures of a capture, in order.

    Raises:
        InputError: capture.frame_count or capture.walk_count: no file of the folder is a picture.
    """
    pointer = "frames" if kind is Capture.SPIN else "photos"
    found = sort_folder(kind, (path.name for path in folder.iterdir() if path.is_file()))
    code: IssueCode = "capture.frame_count" if kind is Capture.SPIN else "capture.walk_count"
    least, most = kind.counts
    if found.problem:
        raise InputError(code, found.problem)
    if found.left_out:
        click.echo(f"note: {folder}: {found.note}", err=True)
    if not least <= len(found.pictures) <= most and found.left_out:
        message = f"There are {len(found.pictures)} {pointer}; {found.note}."
        raise InputError(code, message, measured=str(len(found.pictures)), limit=f"{least} to {most}")
    return (
        list(found.pictures),
        lambda name: (folder / name).read_bytes(),
        lambda name, photo: cut_out_product(photo, net, f"/{pointer}/{name}"),
        MAX_PIXELS,
    )


def _pictures(folder: Path) -> list[str]:
    """Return the pictures in a folder by name, in order of their numbers; name those that are not read."""
    names = sorted((path.name for path in folder.iterdir() if path.is_file()), key=natural_order)
    for name in names:
        if reason := unread_reason(name):
            click.echo(f"note: {name} {reason}", err=True)
    return [name for name in names if is_picture_name(name)]
