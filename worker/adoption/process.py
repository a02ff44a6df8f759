"""The process that converts brought models: `python -m worker.adoption.process` reads standard input.

It writes a line of JSON with the format and the losses, and the GLB behind it.
"""

import json
import sys

from dam_connector.domain.brought_model import FORMATS_TEXT, model_format
from dam_connector.errors import InputError
from dam_connector.watched_process import limit_this_process
from worker.adoption.conversion import INPUT_ERROR_CODE, LIMITS, POINTER, BroughtModel
from worker.adoption.file_set import FileSet, open_archive


def convert(data: bytes) -> BroughtModel:
    """Return a file as GLB.

    Raises:
        InputError: source.not_a_model, file.unreadable, geometry.empty.
    """
    found = model_format(data)
    if found in ("zip", "usdz"):
        files = open_archive(data)
        if found == "usdz":
            return _convert_usdz(files)
        name = files.find_model()
        content = files.read(name)
        inner = model_format(content)
        if inner == "usdz":
            return _convert_usdz(open_archive(content))
        return _convert_by_format(inner, content, files.beside(name))
    return _convert_by_format(found, data, FileSet({}))


def _convert_by_format(found: str, data: bytes, files: FileSet) -> BroughtModel:
    if found in ("gltf", "glb"):
        from worker.adoption.gltf_packing import pack_glb, pack_gltf

        pack = pack_gltf if found == "gltf" else pack_glb
        return BroughtModel(glb=pack(data, files.read), format=found)
    if found == "obj":
        from worker.adoption.obj_reading import read_obj

        glb, losses = read_obj(data, files)
        return BroughtModel(glb=glb, format="obj", losses=losses)
    if found == "step":
        from worker.adoption.step_reading import LOSSES, read_step

        return BroughtModel(glb=read_step(data), format="step", losses=LOSSES)
    message = "The ZIP's model cannot be read."
    raise InputError("source.not_a_model", message, pointer=POINTER, limit=FORMATS_TEXT)


def _convert_usdz(files: FileSet) -> BroughtModel:
    from worker.adoption.usd_reading import read_usdz

    glb, losses = read_usdz(files)
    return BroughtModel(glb=glb, format="usdz", losses=losses)


def main() -> int:
    """Convert standard input to standard output; return the exit code."""
    limit_this_process(LIMITS)
    try:
        brought = convert(sys.stdin.buffer.read())
    except InputError as error:
        facts = [error.issue_code, str(error), error.pointer or POINTER, error.measured, error.limit]
        sys.stderr.write(json.dumps(facts))
        return INPUT_ERROR_CODE
    head = {"format": brought.format, "losses": brought.losses}
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + brought.glb)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
