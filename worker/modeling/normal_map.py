"""Relief: a normal map from what is fine in the photos of woven, grained and rough surfaces.

On such surfaces what changes from one millimetre to the next is mostly how the light falls between threads and pores: dark is deep. It is
taken from the finished atlas, so that it lies where the colours lie. Prints and seams are coarser or stronger, and are held back.
"""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

FINER_THAN, COARSER_THAN = 4.0, 0.7  # texels of the map: the band that is taken for relief
DEEPEST = 0.12  # of log lightness: what differs more is colour
TILT = 1.5  # of the normal, for a slope of one in that lightness
RIM = 3  # texels of the map inside each patch that stay flat: beyond it other patches begin
JPEG_QUALITY = 70


def normal_map(atlas: U8, covered: NDArray[np.bool_], strength: float) -> bytes:
    """A tangent-space normal map (glTF 2.0: green is up) at half the atlas' width, as JPEG.

    atlas: (h, w, 3) colours; covered: (h, w), what shows the product; strength: 0 to 1.
    """
    height, width = atlas.shape[0] // 2, atlas.shape[1] // 2
    grey = cv2.resize(cv2.cvtColor(atlas, cv2.COLOR_RGB2GRAY), (width, height), interpolation=cv2.INTER_AREA)
    inside = cv2.erode(
        cv2.resize(covered.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST),
        np.ones((2 * RIM + 1,) * 2, np.uint8),
    )
    light = np.log(grey.astype(np.float32) / 255 + 0.05)
    deep = cv2.GaussianBlur(light, (0, 0), COARSER_THAN) - cv2.GaussianBlur(light, (0, 0), FINER_THAN)
    deep = np.clip(deep, -DEEPEST, DEEPEST) * inside
    right, down = (
        cv2.Sobel(deep, cv2.CV_32F, *way, ksize=3, scale=TILT * strength / 8 / DEEPEST)
        for way in ((1, 0), (0, 1))
    )
    normal = cv2.merge([-right, down, np.ones_like(right)])
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    out = io.BytesIO()
    Image.fromarray(np.asarray(normal * 127.5 + 128, np.uint8)).save(
        out, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True
    )
    return out.getvalue()
