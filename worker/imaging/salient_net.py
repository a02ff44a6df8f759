"""Nets that find the salient object of a picture, run from an ONNX file by OpenCV on the CPU.

A net gives each pixel of a small square picture a value from 0, background, to 1, product. The file's name
begins with its kind, which sets the size and the normalisation of the input. u2netp (U-2-Net, small) is
fetched with the front-end files; docs/imaging.md says where others come from.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import ConfigError
from dam_connector.net_file import NO_NET

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

SHIPPED = Path(__file__).parent.parent / "vendor"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetKind:
    """The input that a kind of net expects."""

    side_px: int
    mean: tuple[float, float, float]  # of red, green and blue, 0 to 1
    deviation: tuple[float, float, float]
    gives_logits: bool = False  # whether its output still has to pass a sigmoid


_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KINDS = {
    "u2net": NetKind(side_px=320, mean=_IMAGENET_MEAN, deviation=_IMAGENET_DEVIATION),
    "isnet": NetKind(side_px=1024, mean=(0.5, 0.5, 0.5), deviation=(1.0, 1.0, 1.0)),
    "birefnet": NetKind(side_px=1024, mean=_IMAGENET_MEAN, deviation=_IMAGENET_DEVIATION, gives_logits=True),
}


class SalientNet:
    """A net that finds the salient object of a picture."""

    def __init__(self, path: Path) -> None:
        """Name the file. It is read at the first look.

        Raises:
            KeyError: The file's name begins with no kind of KINDS.
        """
        self.path = path
        self.kind = KINDS[next((kind for kind in KINDS if path.name.startswith(kind)), path.name)]

    @cached_property
    def sha256(self) -> str:
        """Return the hash of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @cached_property
    def _net(self) -> cv2.dnn.Net:
        return cv2.dnn.readNetFromONNX(str(self.path))

    def load(self) -> None:
        """Read the net now instead of at the first look. A look before a fork would only cost memory.

        Raises:
            ConfigError: The file holds no net.
        """
        _ = self.sha256  # a part of the name of each stored cut-out
        try:
            _ = self._net
        except cv2.error as error:
            raise self._not_usable() from error

    def check(self) -> None:
        """Prove that the net can be run.

        Raises:
            ConfigError: It cannot, or is of another kind than its name says.
        """
        self.look(np.zeros((8, 8, 3), np.uint8))

    def look(self, rgb: U8) -> F32:
        """Return how much each pixel belongs to the salient object, 0 to 1, at the net's own size.

        Args:
            rgb: The picture, (h, w, 3).

        Raises:
            ConfigError: The file holds no net that can be run, or one of another kind than its name says.
        """
        side, kind = self.kind.side_px, self.kind
        reduced = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
        reduced /= max(float(reduced.max()), 1e-6)  # as these nets were trained
        planes = [
            (plane - np.float32(mean)) / np.float32(deviation)
            for plane, mean, deviation in zip(cv2.split(reduced), kind.mean, kind.deviation, strict=True)
        ]
        try:
            self._net.setInput(np.asarray(planes, np.float32)[None])
            out = np.asarray(self._net.forward(_first_output(self._net)), np.float32).reshape(side, side)
        except (cv2.error, ValueError) as error:
            raise self._not_usable() from error
        if kind.gives_logits:
            return np.asarray(1 / (1 + np.exp(-out)), np.float32)
        low, high = float(out.min()), float(out.max())
        return (out - np.float32(low)) / np.float32(max(high - low, 1e-6))

    def _not_usable(self) -> ConfigError:
        return ConfigError(
            f"{self.path.name}: not a net of the kind that its name says; fetch the file again, or set "
            "imaging.net to none"
        )


def _first_output(net: cv2.dnn.Net) -> str:
    """Return the name of the output that fuses all others: these nets give it first."""
    return str(net.getUnconnectedOutLayersNames()[0])


@cache
def _load(path: Path, size: int, changed_ns: int) -> SalientNet:
    return SalientNet(path)


def find_net(name: str, folders: Sequence[Path] = ()) -> SalientNet | None:
    """Return a net, once a process; None if plugin.json wants none, or where there is no such file.

    Args:
        name: The file's name, or `none`.
        folders: Where to look before the files that are shipped.
    """
    if name == NO_NET:
        return None
    for folder in (*folders, SHIPPED):
        path = folder / name
        if path.is_file():
            stat = path.stat()
            return _load(path, stat.st_size, stat.st_mtime_ns)
    return None
