"""CPU time within libraries: each call is timed where our code calls it, less the calls within it.

This is the floor of a product's cost: what would be left if all of our own code took no time.
"""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import cv2
import DracoPy
import fast_simplification
from PIL import Image, ImageFile
from scipy import ndimage, sparse
from sqlalchemy.engine.default import DefaultDialect

from worker.imaging import colour_difference, ground_shadow, salient_net
from worker.javascript import Script
from worker.modeling import mesh_extraction, photo_comparison
from worker.modeling.ray_casting import EmbreeCaster

# By the name of the floor: where its calls are, as (object, attribute).
CALLS: dict[str, list[tuple[Any, str]]] = {
    "decode (Pillow)": [(ImageFile.ImageFile, "load")],
    "encode (Pillow)": [(Image.Image, "save")],
    "rays (embree)": [(EmbreeCaster, name) for name in ("__init__", "first_hits", "is_blocked")],
    "marching cubes (scikit-image)": [(mesh_extraction, "marching_cubes")],
    "collapse (fast-simplification)": [(fast_simplification, "simplify")],
    "manifold (manifold3d)": [(mesh_extraction, "_as_manifold")],
    "JavaScript (V8)": [(Script, "run")],
    "compression (Draco)": [(DracoPy, "encode"), (DracoPy, "decode")],
    "colours (scikit-image)": [
        (module, name)
        for module in (colour_difference, photo_comparison)
        for name in ("deltaE_ciede2000", "rgb2lab")
    ],
    "filters (SciPy)": [
        *((ndimage, name) for name in ndimage.__all__ if callable(getattr(ndimage, name))),
        (ground_shadow, "gaussian_filter1d"),
        (sparse.csgraph, "connected_components"),
    ],
    "database (SQLite)": [(DefaultDialect, name) for name in ("do_execute", "do_executemany", "do_commit")],
}
NET = "forward pass of the net (OpenCV)"
OPENCV = "pictures (OpenCV)"


class LibraryTime:
    """A clock for the calls of libraries."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._inner: list[float] = []  # for each open call, the time of the timed calls within it

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call with its time counted under a name."""

        @functools.wraps(call, updated=())
        def counted(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            started = time.process_time()
            try:
                return call(*arguments, **named)
            finally:
                whole = time.process_time() - started
                self.seconds[name] += whole - self._inner.pop()
                self.calls[name] += 1
                if self._inner:
                    self._inner[-1] += whole

        return counted

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count the calls of all libraries until the block ends."""
        with ExitStack() as stack:
            for name, places in CALLS.items():
                for owner, attribute in places:
                    call = self.timed(name, getattr(owner, attribute))
                    stack.enter_context(patch.object(owner, attribute, call))
            for attribute in _functions(cv2):
                call = self.timed(OPENCV, getattr(cv2, attribute))
                stack.enter_context(patch.object(cv2, attribute, call))
            read = cv2.dnn.readNetFromONNX
            stack.enter_context(
                patch.object(cv2.dnn, "readNetFromONNX", lambda path: _TimedNet(read(path), self))
            )
            salient_net._load.cache_clear()  # a net that was read before would not be timed
            stack.callback(salient_net._load.cache_clear)
            yield


class _TimedNet:
    """A net of OpenCV whose forward passes are timed. Its own class cannot be patched."""

    def __init__(self, net: cv2.dnn.Net, clock: LibraryTime) -> None:
        self._net = net
        self.forward = clock.timed(NET, net.forward)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._net, name)


def _functions(module: ModuleType) -> list[str]:
    """Return the names of a module's compiled functions."""
    found = {name: getattr(module, name) for name in dir(module) if name[0].islower()}
    return [name for name, value in found.items() if type(value).__name__ == "builtin_function_or_method"]
