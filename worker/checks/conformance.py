"""Conformance: the official Khronos glTF validator, run in-process in a V8 engine that is kept warm.

Source: npm `gltf-validator`. Its engine takes half a second to start, so it lives as long as the process; after a failure
a fresh one is made.
"""

import atexit
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from py_mini_racer import JSEvalException, MiniRacer

from dam_connector.catalog.issue import Issue, issue
from dam_connector.catalog.rules import Rules
from worker.checks.subject import Subject

SCRIPT = Path(__file__).parent / "vendor" / "gltf_validator.dart.js"
TIMEOUT_S = 20.0
MEMORY_BYTES = 1_000_000_000
MAX_ISSUES = 50
_CODES = {0: "conformance.error", 1: "conformance.warning"}
_PRELUDE = """
var self = globalThis, exports = {}, global = globalThis;
var setTimeout = function(f) { Promise.resolve().then(f); return 0; }, clearTimeout = function() {};
var console = {log: function() {}, warn: function() {}, error: function() {}};
"""
_RUN = """
var answer = null;
exports.validateBytes(input, {maxIssues: %d, format: 'glb', writeTimestamp: false}).then(
  function(report) { answer = JSON.stringify(report); }, function(error) { answer = JSON.stringify({failed: String(error)}); });
"""
_engine: MiniRacer | None = None


def check(subject: Subject, rules: Rules) -> Iterator[Issue]:
    """Issues conformance.*; hints and infos are left out."""
    if not SCRIPT.exists():
        yield issue("conformance.not_tested", "The Khronos validator is not installed here.")
        return
    report = validate(subject.glb)
    if "failed" in report:
        yield issue("conformance.error", f"The validator could not read the file: {report['failed'][:200]}")
        return
    for message in report["issues"]["messages"]:
        code = _CODES.get(message["severity"])
        if code:
            yield issue(code, f"{message['code']}: {message['message']}", pointer=message.get("pointer", ""))


def validate(data: bytes) -> dict[str, Any]:
    """The validator's own report on a GLB, or `{"failed": why}`."""
    with ThreadPoolExecutor(1) as thread:  # the engine refuses its time limit in a thread that runs an event loop
        return thread.submit(_validate, data).result()


def _validate(data: bytes) -> dict[str, Any]:
    global _engine  # noqa: PLW0603 - one warm engine a process
    try:
        _engine = _engine or _start()
        _engine.eval(f"var input = new Uint8Array({len(data)});")
        memoryview(_engine.eval("input"))[:] = data
        _engine.eval(_RUN % MAX_ISSUES, timeout_sec=TIMEOUT_S, max_memory=MEMORY_BYTES)
        for _ in range(100):
            answer = _engine.eval("answer", timeout_sec=TIMEOUT_S, max_memory=MEMORY_BYTES)
            if answer:
                found: dict[str, Any] = json.loads(str(answer))
                return found
        return {"failed": "no answer"}
    except (JSEvalException, RuntimeError, MemoryError) as error:
        _engine = None
        return {"failed": type(error).__name__}


def _start() -> MiniRacer:
    engine = MiniRacer()
    engine.eval(_PRELUDE)
    engine.eval(SCRIPT.read_text())
    atexit.register(engine.close)  # left to the interpreter's own end, its thread now and then waits for ever
    return engine
