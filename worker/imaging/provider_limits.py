"""Photos within the limits of a provider."""

import io
import math

from PIL import Image

from worker.imaging.decode import FORMATS, decode
from worker.imaging.encode import encode


def within_pixels(data: bytes, limit: int, *, max_pixels: int) -> bytes:
    """Return a photo with at most so many pixels: the file itself where it has, else a smaller copy.

    Args:
        data: The file.
        limit: Width times height that the provider accepts.
        max_pixels: Width times height that is decoded here.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        width, height = Image.open(io.BytesIO(data), formats=FORMATS).size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        width = height = 0  # `decode` says what is wrong with it
    if 0 < width * height <= limit:
        return data
    longer = max(width, height)
    side = int(longer * math.sqrt(limit / (width * height))) - 1 if longer else 1
    photo = decode(data, max_pixels=max_pixels, max_side_px=side)
    return encode(photo.rgb, photo.alpha, "jpeg" if photo.alpha is None else "png")
