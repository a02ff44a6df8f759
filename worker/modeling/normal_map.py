"""A normal map from the fine structure in photos of woven, grained and rough surfaces.

On such surfaces, differences from one millimetre to the next are mostly light and shadow between threads
and pores: dark is deep. The structure is taken from the finished atlas, so that it lies where the colours
lie. Prints and seams are coarser or stronger, and are held back.
"""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

COARSE_SIGMA_PX, FINE_SIGMA_PX = (
    4.0,
    0.7,
)  # texels of the map: the band between these blurs is taken for relief
MAX_DEPTH = 0.12  # in log lightness; larger differences are of colour
TILT = 1.5  # of the normal, at a slope of one in log lightness
RIM_PX = 3  # at the border of each chart that stay flat: beyond it other charts begin
JPEG_QUALITY = 70


def normal_map(atlas: U8, covered: NDArray[np.bool_], strength: float) -> bytes:
    """Return a tangent-space normal map (glTF 2.0: green is up) at half the atlas' width, as JPEG.

    Args:
        atlas: (h, w, 3) sRGB colours.
        covered: (h, w) where the atlas shows the product.
        strength: 0 to 1.
    """
    map_height, map_width = atlas.shape[0] // 2, atlas.shape[1] // 2
    grey = cv2.resize(
        cv2.cvtColor(atlas, cv2.COLOR_RGB2GRAY), (map_width, map_height), interpolation=cv2.INTER_AREA
    )
    inside = cv2.erode(
        cv2.resize(covered.astype(np.uint8), (map_width, map_height), interpolation=cv2.INTER_NEAREST),
        np.ones((2 * RIM_PX + 1,) * 2, np.uint8),
    )
    log_lightness = np.log(grey.astype(np.float32) / 255 + 0.05)
    height = cv2.GaussianBlur(log_lightness, (0, 0), FINE_SIGMA_PX) - cv2.GaussianBlur(
        log_lightness, (0, 0), COARSE_SIGMA_PX
    )
    height = np.clip(height, -MAX_DEPTH, MAX_DEPTH) * inside
    right, down = (
        cv2.Sobel(height, cv2.CV_32F, *direction, ksize=3, scale=TILT * strength / 8 / MAX_DEPTH)
        for direction in ((1, 0), (0, 1))
    )
    normal = cv2.merge([-right, down, np.ones_like(right)])
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    out = io.BytesIO()
    Image.fromarray(np.asarray(normal * 127.5 + 128, np.uint8)).save(
        out, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True
    )
    return out.getvalue()
