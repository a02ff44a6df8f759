"""A JavaScript engine (V8) in this process, kept warm: a start takes half a second, so each script has one as long as the process lives.

What runs there cannot reach files or the network. A script that fails, runs too long or takes too much memory loses its engine;
the next call starts a fresh one.
"""

import atexit
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from py_mini_racer import JSEvalException, MiniRacer

VENDOR = Path(__file__).parent / "vendor"
TIMEOUT_S = 8.0
ANSWER_S = 1.0  # after the program ended: promises that wait for nothing are done by then, or never
MEMORY_BYTES = 700_000_000
_PRELUDE = """
var self = globalThis, global = globalThis, exports = {}, module = {exports: exports};
var setTimeout = function(f) { Promise.resolve().then(f); return 0; }, clearTimeout = function() {};
var console = {log: function() {}, warn: function() {}, error: function() {}};
"""


class ScriptFailed(Exception):
    """The script threw, ran too long or took too much memory; the message says which."""


class Script:
    """One file of JavaScript, loaded at the first call. ready: a promise that is awaited before the first call."""

    def __init__(self, name: str, ready: str = "Promise.resolve()") -> None:
        self.path = VENDOR / name
        self._ready = ready
        self._engine: MiniRacer | None = None
        self._lock = threading.Lock()

    def run(self, program: str, inputs: Mapping[str, bytes], *, out: int = 0) -> tuple[str, bytes]:
        """What a program says: the text it assigns to `answer`, now or from a promise, and the `out` bytes that it writes into `output`.

        inputs: bytes by the name of the Uint8Array that the program finds them in. Raises: ScriptFailed.
        """
        with self._lock, ThreadPoolExecutor(1) as thread:  # the engine refuses its time limit in a thread that runs an event loop
            return thread.submit(self._run, program, inputs, out).result()

    def _run(self, program: str, inputs: Mapping[str, bytes], out: int) -> tuple[str, bytes]:
        try:
            engine = self._engine = self._engine or self._start()
            for name, data in {**inputs, "output": bytes(out)}.items():
                engine.eval(f"var {name} = new Uint8Array({len(data)});")
                if data:
                    memoryview(engine.eval(name))[:] = data
            engine.eval(f"var answer = null; {program}", timeout_sec=TIMEOUT_S, max_memory=MEMORY_BYTES)
            answer = self._wait(engine, "answer", ANSWER_S)
            written = bytes(memoryview(engine.eval("output"))) if out else b""
            engine.eval(" ".join(f"{name} = null;" for name in (*inputs, "output")))
        except (JSEvalException, RuntimeError, MemoryError, ValueError) as error:
            self._drop()
            raise ScriptFailed(f"{type(error).__name__}: {str(error)[:200]}") from error
        return answer, written

    def _start(self) -> MiniRacer:
        engine = MiniRacer()
        engine.eval(_PRELUDE)
        engine.eval(self.path.read_text())
        engine.eval(f"var begun = null; {self._ready}.then(function() {{ begun = 'yes'; }});")
        self._wait(engine, "begun", TIMEOUT_S)
        atexit.register(engine.close)  # left to the interpreter's own end, its thread now and then waits for ever
        return engine

    def _wait(self, engine: MiniRacer, name: str, seconds: float) -> str:
        """The variable's value once it has one; promises are worked off between looks."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = engine.eval(name, timeout_sec=TIMEOUT_S, max_memory=MEMORY_BYTES)
            if found is not None:
                return str(found)
            time.sleep(0.001)
        raise RuntimeError("no answer in time")

    def _drop(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            atexit.unregister(engine.close)
            engine.close()
