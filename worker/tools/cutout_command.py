"""`dam-worker cutout`: write the mask that cuts the product out of a photo."""

import io
import time
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.domain.codec import to_plain
from worker.imaging.decode import decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.photo_quality import source_issues
from worker.imaging.shown_view import recognise_view
from worker.tools.output import (
    INPUT_FILE,
    MAX_PIXELS,
    OutputFile,
    exit_by_issues,
    find_net_or_stop,
    imaging_rules_or_stop,
    issue_lines,
    json_option,
    net_option,
    print_result,
    stop_on_input_error,
)

U8 = NDArray[np.uint8]
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


@click.command()
@click.argument("photo", type=INPUT_FILE)
@click.option("--out", type=OutputFile(".png"), required=True, help="The mask: an 8-bit grey PNG.")
@net_option
@json_option
def cutout(photo: Path, out: Path, net: str | None, as_json: bool) -> None:
    """Write the mask that cuts the product out of PHOTO.

    The mask has the size of the photo, turned upright: 255 is product, 0 is background, values between are
    the soft edge.

    Exit code 0: the mask can be relied on. 1: it is written, but in doubt: an issue is an error. 2: the photo
    cannot be used, or shows no product.
    """
    started = time.perf_counter()
    imaging = imaging_rules_or_stop(net, as_json)
    data = photo.read_bytes()
    with stop_on_input_error(as_json):
        decoded = decode(data, max_pixels=MAX_PIXELS)
        found = cut_out_product(decoded, find_net_or_stop(imaging.net, as_json))
    issues = tuple(source_issues(decoded, found, "photo", imaging))
    view, view_confidence = recognise_view(decoded, found)
    size = _upright_size(data)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_resized(found.alpha, size)).save(out, "PNG")
    result = {
        "out": str(out),
        "size_px": list(size),
        "confidence": round(found.confidence, 3),
        "net": found.net,
        "touches": list(found.touched_sides),
        "view": view.value if view else "",
        "view_confidence": round(view_confidence, 3),
        "seconds": round(time.perf_counter() - started, 2),
        "issues": to_plain(issues),
    }
    width, height = size
    summary = f"{out}: {width} x {height} px, confidence {found.confidence:.2f}"
    print_result(as_json, result, [summary, *issue_lines(issues)])
    exit_by_issues(issues)


def _upright_size(data: bytes) -> tuple[int, int]:
    """Return width and height of an encoded photo, its EXIF orientation applied."""
    with Image.open(io.BytesIO(data)) as picture:
        width, height = picture.size
        return (height, width) if picture.getexif().get(_EXIF_ORIENTATION) in _SIDEWAYS else (width, height)


def _resized(alpha: U8, size: tuple[int, int]) -> U8:
    """Return the mask at the photo's own size: large photos are reduced before they are cut out."""
    if alpha.shape[::-1] == size:
        return alpha
    return np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR), np.uint8)
