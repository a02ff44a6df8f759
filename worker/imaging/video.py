"""Turntables as MP4: H.264 in 8 bits and 4:2:0, which every browser and shop plays.

The encoder is in PyAV, which the extra `video` installs; docs/decisions/0011-videos.md has its licence.
"""

import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError
from worker.imaging.encode import METADATA_RESERVE_BYTES, SPIN_S

CRF = (18, 23, 28)  # x264's qualities, the best first; 18 cannot be told from the picture
BT709 = "colorprim=bt709:transfer=bt709:colormatrix=bt709"
TURNS = 2  # Google takes videos of at least six seconds: support.google.com/merchants/answer/15216925
THREADS = 1  # so that the same frames always give the same bytes


def encode_mp4(frames: Sequence[NDArray[np.uint8]], max_bytes: int) -> bytes:
    """Encode frames as an MP4 of two turns, at the best of three qualities that stays within a limit.

    An odd side gets one more row or column, a copy of the last. The index is in front of the pictures, so
    that a browser plays the file while it loads.

    Args:
        frames: Pictures of equal size, (h, w, 3).
        max_bytes: Size limit of the finished file; it includes METADATA_RESERVE_BYTES.

    Raises:
        InputError: rendition.video_extra, the extra is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise InputError("rendition.video_extra", "MP4 is made by PyAV, which is missing.") from error

    height, width = frames[0].shape[:2]
    edge = ((0, height % 2), (0, width % 2), (0, 0))
    data = b""
    with tempfile.TemporaryDirectory() as folder:
        for crf in CRF:
            path = Path(folder) / "turn.mp4"
            with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
                stream = container.add_stream(
                    "libx264",
                    rate=Fraction(len(frames)) / Fraction(SPIN_S),
                    options={"crf": str(crf), "preset": "slow", "x264-params": f"threads={THREADS}:{BT709}"},
                )
                stream.width, stream.height, stream.pix_fmt = (
                    width + width % 2,
                    height + height % 2,
                    "yuv420p",
                )
                for rgb in [*frames] * TURNS:
                    even = np.ascontiguousarray(np.pad(rgb, edge, mode="edge"))
                    frame = av.VideoFrame.from_ndarray(even, format="rgb24")
                    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
            data = path.read_bytes()
            if len(data) + METADATA_RESERVE_BYTES <= max_bytes:
                break
    return data
