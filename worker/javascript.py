"""A JavaScript engine (V8) in this process, kept warm: a start takes half a second, so each script has one as long as the process lives.

What runs there cannot reach files or the network. A script that fails, runs too long or takes too much memory loses its engine;
the next call starts a fresh one.
"""

import atexit
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from py_mini_racer import JSEvalException, MiniRacer

VENDOR_DIR = Path(__file__).parent / "vendor"
TIMEOUT_S = 30.0  # by the clock; what comes from outside is run under the guard, which counts CPU-seconds
MAX_POLLS = 1000  # a millisecond apart, after the program ended: promises that wait for nothing are done by then, or never
MAX_START_POLLS = 20 * MAX_POLLS  # WebAssembly is compiled beside us
MEMORY_BYTES = 700_000_000
_PRELUDE = """
var self = globalThis, global = globalThis, exports = {}, module = {exports: exports};
var setTimeout = function(f) { Promise.resolve().then(f); return 0; }, clearTimeout = function() {};
var console = {log: function() {}, warn: function() {}, error: function() {}};
"""


class ScriptFailed(Exception):
    """The script threw, ran too long or took too much memory; the message says which."""


class _EngineThread:
    """The thread that all engines of a process live in: V8 crashes when two of them work side by side, or when another thread closes one,
    and refuses time limits where an event loop runs. A pool's threads are gone before `atexit`; this one is there until the very end."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...], Future[Any]]] = (
            queue.SimpleQueue()
        )
        self.process = os.getpid()  # a fork has no threads
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            job, arguments, told = self._jobs.get()
            try:
                told.set_result(job(*arguments))
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                told.set_exception(error)

    def call(self, job: Callable[..., Any], *arguments: object) -> Any:
        told: Future[Any] = Future()
        self._jobs.put((job, arguments, told))
        return told.result()


_start_lock = threading.Lock()
_threads: list[_EngineThread] = []


def _engine_thread() -> _EngineThread:
    """This process's."""
    with _start_lock:
        if not _threads or _threads[0].process != os.getpid():
            _threads[:] = [_EngineThread()]
        return _threads[0]


class Script:
    """One file of JavaScript, loaded at the first call. ready: a promise that is awaited before the first call. timeout_s: of each program."""

    def __init__(self, name: str, ready: str = "Promise.resolve()", timeout_s: float = TIMEOUT_S) -> None:
        self.path = VENDOR_DIR / name
        self._ready, self._timeout_s = ready, timeout_s
        self._engine: MiniRacer | None = None
        self._process = 0  # that the engine is of

    def run(self, program: str, inputs: Mapping[str, bytes], *, out: int = 0) -> tuple[str, bytes]:
        """What a program says: the text it assigns to `answer`, now or from a promise, and the `out` bytes that it writes into `output`.

        inputs: bytes by the name of the Uint8Array that the program finds them in. Raises: ScriptFailed.
        """
        answer, written = _engine_thread().call(self._run, program, inputs, out)
        return str(answer), bytes(written)

    def _close_at_exit(self) -> None:
        if self._process == os.getpid():
            _engine_thread().call(self._close)

    def _run(self, program: str, inputs: Mapping[str, bytes], out: int) -> tuple[str, bytes]:
        if self._process != os.getpid():
            self._process, self._engine = os.getpid(), None
            atexit.register(
                self._close_at_exit
            )  # left to the interpreter's own end, V8 now and then waits for ever
        try:
            engine = self._engine = self._engine or self._start()
            for name, data in {**inputs, "output": bytes(out)}.items():
                engine.eval(f"var {name} = new Uint8Array({len(data)});")
                if data:
                    memoryview(engine.eval(name))[:] = data
            engine.eval(f"var answer = null; {program}", timeout_sec=self._timeout_s, max_memory=MEMORY_BYTES)
            answer = self._wait(engine, "answer", MAX_POLLS)
            written = bytes(memoryview(engine.eval("output"))) if out else b""
            engine.eval(" ".join(f"{name} = null;" for name in (*inputs, "output")))
        except (JSEvalException, RuntimeError, MemoryError, ValueError, OSError) as error:
            self._close()
            raise ScriptFailed(f"{type(error).__name__}: {str(error)[:200]}") from error
        return answer, written

    def _start(self) -> MiniRacer:
        engine = MiniRacer()
        engine.eval(_PRELUDE)
        engine.eval(self.path.read_text())
        engine.eval(f"var begun = null; {self._ready}.then(function() {{ begun = 'yes'; }});")
        self._wait(engine, "begun", MAX_START_POLLS)
        return engine

    def _wait(self, engine: MiniRacer, name: str, looks: int) -> str:
        """The variable's value once it has one; promises are worked off between looks, which a clock would miss where a machine stalls."""
        for _ in range(looks):
            found = engine.eval(name, timeout_sec=TIMEOUT_S, max_memory=MEMORY_BYTES)
            if found is not None:
                return str(found)
            time.sleep(0.001)
        raise RuntimeError("no answer in time")

    def _close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
