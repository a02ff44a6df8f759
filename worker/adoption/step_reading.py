"""STEP files from CAD: read by cascadio (OpenCASCADE), which the extra `step` installs."""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dam_connector.errors import InputError
from worker.gltf.rewriting import GlbRewriter

# Greatest distance from the true surface, as a share of each edge, and greatest angle between two facets.
RELATIVE_DEFLECTION, ANGLE = 0.01, 0.35
LOSSES = ("exact surfaces, which are triangles now",)
_Z_TO_Y_UP = [-math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)]  # a quaternion: CAD has Z up, glTF has Y up


def read_step(data: bytes) -> bytes:
    """Return the solids of a STEP file as a GLB, in metres and Y up, with the colours of their surfaces.

    Raises:
        InputError: source.not_a_model, the extra is not installed or the file is damaged.
    """
    try:
        import cascadio
    except ImportError as error:
        message = "STEP is read where the extra is installed: pip install 'dam-connector[step]'."
        raise InputError("source.not_a_model", message) from error
    try:
        with _messages_to_stderr():
            glb = cascadio.load(
                data,
                file_type="step",
                tol_linear=RELATIVE_DEFLECTION,
                tol_angular=ANGLE,
                tol_relative=True,
                use_parallel=False,
            )
    except RuntimeError as error:
        raise InputError("source.not_a_model", f"The STEP file cannot be read: {error}.") from error
    if not glb:
        raise InputError("source.not_a_model", "The STEP file cannot be read.")
    return _upright(glb)


def _upright(glb: bytes) -> bytes:
    """Return a GLB with a node above its scenes that turns Z up into Y up."""
    rewriter = GlbRewriter(glb)
    for scene in rewriter.json.get("scenes", []):
        roots = scene.get("nodes", [])
        scene["nodes"] = [rewriter.add_row("nodes", {"rotation": _Z_TO_Y_UP, "children": roots})]
    return rewriter.finish()


@contextmanager
def _messages_to_stderr() -> Iterator[None]:
    """Let what the library prints on standard output, where the GLB is written, go to standard error."""
    sys.stdout.flush()
    before = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)
