"""CPU of a cut-out and four renditions in three formats, beside plain Pillow that resizes and encodes."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import cv2
from PIL import Image

from worker.imaging.composition import Studio, compose_studio
from worker.imaging.cutout import cut_out
from worker.imaging.decode import decode
from worker.imaging.encode import AVIF_QUALITY, JPEG_QUALITY, WEBP_METHOD, WEBP_QUALITY, encode
from worker.imaging.lifestyle import Scene, compose_lifestyle

PHOTO = Path(__file__).parent.parent / "dam_connector" / "samples" / "chair-front.jpg"
SIDE_PX = 1600
FORMATS = ("jpeg", "webp", "avif")
ROUNDS = 3


def ours() -> None:
    """Make renditions of one photo: cut out once, in two studios and two rooms."""
    cutout = cut_out(decode(PHOTO.read_bytes(), max_pixels=10**8))
    pictures = [
        compose_studio(cutout, Studio(width=SIDE_PX, height=SIDE_PX, background=b, fill=0.86, shadow=True))
        for b in ("#ffffff", "#eeeeee")
    ]
    pictures += [
        compose_lifestyle(
            cutout, Scene(width=SIDE_PX, height=SIDE_PX, fill=0.58, slot=slot, seed=slot, height_m=0.81)
        )
        for slot in (1, 2)
    ]
    for picture in pictures:
        for format in FORMATS:
            encode(picture.rgb, picture.alpha, format)


def baseline() -> None:
    """Decode, resize and encode as many pixels with the same options, and nothing else."""
    for _ in range(4):
        with Image.open(PHOTO) as image:
            picture = image.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        for format, options in (
            ("JPEG", {"quality": JPEG_QUALITY, "optimize": True, "subsampling": 0}),
            ("WEBP", {"quality": WEBP_QUALITY, "method": WEBP_METHOD}),
            ("AVIF", {"quality": AVIF_QUALITY, "subsampling": "4:4:4", "speed": 7, "max_threads": 1}),
        ):
            picture.save(io.BytesIO(), format, **options)


def _cpu_s(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def measure() -> dict[str, object]:
    """Return the CPU-seconds of both, the median of three alternating rounds, and their ratio."""
    cv2.setNumThreads(1)
    ours()
    baseline()
    rounds = [(_cpu_s(ours), _cpu_s(baseline)) for _ in range(ROUNDS)]
    ours_s, baseline_s = (sorted(r[n] for r in rounds)[ROUNDS // 2] for n in (0, 1))
    return {
        "cpu_s": round(ours_s, 2),
        "floor_cpu_s": round(baseline_s, 2),
        "ratio": round(ours_s / baseline_s, 2),
    }
