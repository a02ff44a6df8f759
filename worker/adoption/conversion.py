"""A brought model as GLB. All formats but GLB are converted in a process of their own, within limits."""

import json
import tempfile
from dataclasses import dataclass

import structlog

from dam_connector.domain.brought_model import FORMATS_TEXT, model_format
from dam_connector.errors import Busy, InputError
from dam_connector.watched_process import WAIT_S, ProcessFailed, ProcessLimits, TooManyProcesses, run_module
from worker.gltf.container import split_glb
from worker.gltf.document import Document

log = structlog.get_logger()
LIMITS = ProcessLimits(cpu_s=120, memory_bytes=3_000_000_000, output_bytes=600_000_000)
INPUT_ERROR_CODE = 3  # the exit code of a process that wrote the facts of an InputError
POINTER = "/model_url"


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtModel:
    """A brought model as GLB."""

    glb: bytes
    format: str  # of the file as it was brought: a key of `MIME_BY_FORMAT`
    losses: tuple[str, ...] = ()  # what the GLB does not hold, for people


def convert_model(data: bytes) -> BroughtModel:
    """Return a file from elsewhere as GLB. A GLB keeps its bytes.

    Raises:
        InputError: source.not_a_model, file.*, geometry.empty.
        Busy: too many files are converted at once.
    """
    found = model_format(data)
    if not found:
        message = "The file is no model that can be read."
        raise InputError("source.not_a_model", message, pointer=POINTER, limit=FORMATS_TEXT)
    brought = BroughtModel(glb=data, format=found) if found == "glb" else _convert_apart(data)
    split_glb(brought.glb)
    if not any(len(p.faces) for p in Document(brought.glb).primitives):
        raise InputError("geometry.empty", "The model holds no triangles.", pointer=POINTER)
    return brought


def _convert_apart(data: bytes) -> BroughtModel:
    """Convert a file in a process of its own."""
    with tempfile.TemporaryFile() as source:
        source.write(data)
        try:
            output = run_module("worker.adoption.process", [], source, LIMITS)
        except TooManyProcesses as error:
            message = "too many models are converted at once"
            raise Busy("models", "convert", message, retry_after_s=WAIT_S) from error
        except ProcessFailed as error:
            raise _input_error(error) from error
    with output:
        facts = json.loads(output.readline())
        return BroughtModel(glb=output.read(), format=facts["format"], losses=tuple(facts["losses"]))


def _input_error(error: ProcessFailed) -> InputError:
    """Return the InputError that the process reported, or one about the limit that the file exceeded."""
    try:
        code, message, pointer, measured, limit = json.loads(error.report)
        return InputError(code, message, pointer=pointer, measured=measured, limit=limit)
    except (ValueError, TypeError):
        log.warning("model_not_converted", error=str(error), report=error.report[-4000:])
        message = f"The model cannot be converted: {error}."
        return InputError("source.not_a_model", message, pointer=POINTER, limit=FORMATS_TEXT)
