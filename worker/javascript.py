"""JavaScript in this process, by V8.

Each script has a V8 context that lives as long as the process: a start takes half a second. A script cannot
reach files or the network. One that fails, runs too long or takes too much memory loses its context; the next
call starts a fresh one.
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
TIMEOUT_S = 30.0  # by the clock; files from outside are read in the check process, which counts CPU-seconds
MAX_POLLS = 1000  # a millisecond apart, after a program ended: a promise that is pending then stays pending
MAX_START_POLLS = 20 * MAX_POLLS  # WebAssembly is compiled in another thread
MEMORY_BYTES = 700_000_000
_PRELUDE = """
var self = globalThis, global = globalThis, exports = {}, module = {exports: exports};
var setTimeout = function(f) { Promise.resolve().then(f); return 0; }, clearTimeout = function() {};
var console = {log: function() {}, warn: function() {}, error: function() {}};
"""


class ScriptFailed(Exception):
    """The script threw, ran too long or took too much memory. The message says which."""


class _ScriptThread:
    """The one thread of a process in which all V8 contexts live.

    V8 crashes when two contexts run at the same time, or when another thread closes one. It refuses time
    limits where an event loop runs. The threads of a pool are gone before `atexit`; this one lives until the
    very end.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...], Future[Any]]] = (
            queue.SimpleQueue()
        )
        self.process = os.getpid()  # a forked process has no threads
        threading.Thread(target=self._work, daemon=True).start()

    def call(self, job: Callable[..., Any], *arguments: object) -> Any:
        """Call a function in the thread; return its result or raise its exception."""
        result: Future[Any] = Future()
        self._jobs.put((job, arguments, result))
        return result.result()

    def _work(self) -> None:
        while True:
            job, arguments, result = self._jobs.get()
            try:
                result.set_result(job(*arguments))
            except BaseException as error:  # noqa: BLE001 - the caller gets it
                result.set_exception(error)


_start_lock = threading.Lock()
_threads: list[_ScriptThread] = []


def _script_thread() -> _ScriptThread:
    """Return this process's thread. Start it where there is none yet."""
    with _start_lock:
        if not _threads or _threads[0].process != os.getpid():
            _threads[:] = [_ScriptThread()]
        return _threads[0]


class Script:
    """One JavaScript file of the vendor folder, loaded at the first call."""

    def __init__(self, name: str, ready: str = "Promise.resolve()", timeout_s: float = TIMEOUT_S) -> None:
        """Describe a script.

        Args:
            name: The file's name.
            ready: A promise that is awaited before the first call.
            timeout_s: The limit of each program, by the clock.
        """
        self.path = VENDOR_DIR / name
        self._ready, self._timeout_s = ready, timeout_s
        self._context: MiniRacer | None = None
        self._process = 0  # that the context belongs to

    def run(self, program: str, inputs: Mapping[str, bytes], *, out: int = 0) -> tuple[str, bytes]:
        """Run a program in the script's context.

        Args:
            program: JavaScript that assigns a text to `answer`, now or in a promise, and may write into
                `output`.
            inputs: Bytes by the name of the Uint8Array in which the program finds them.
            out: The size of the Uint8Array `output`.

        Returns:
            The answer, and the bytes of `output`.

        Raises:
            ScriptFailed: It threw, or exceeded a limit.
        """
        answer, output = _script_thread().call(self._run, program, inputs, out)
        return str(answer), bytes(output)

    def _run(self, program: str, inputs: Mapping[str, bytes], out: int) -> tuple[str, bytes]:
        if self._process != os.getpid():
            self._process, self._context = os.getpid(), None
            atexit.register(self._close_at_exit)  # at the interpreter's own end V8 sometimes waits for ever
        try:
            context = self._context = self._context or self._start()
            for name, data in {**inputs, "output": bytes(out)}.items():
                context.eval(f"var {name} = new Uint8Array({len(data)});")
                if data:
                    memoryview(context.eval(name))[:] = data
            context.eval(
                f"var answer = null; {program}", timeout_sec=self._timeout_s, max_memory=MEMORY_BYTES
            )
            answer = self._wait(context, "answer", MAX_POLLS)
            output = bytes(memoryview(context.eval("output"))) if out else b""
            context.eval(" ".join(f"{name} = null;" for name in (*inputs, "output")))  # frees the memory
        except (JSEvalException, RuntimeError, MemoryError, ValueError, OSError) as error:
            self._close()
            raise ScriptFailed(f"{type(error).__name__}: {str(error)[:200]}") from error
        return answer, output

    def _start(self) -> MiniRacer:
        context = MiniRacer()
        context.eval(_PRELUDE)
        context.eval(self.path.read_text())
        context.eval(f"var begun = null; {self._ready}.then(function() {{ begun = 'yes'; }});")
        self._wait(context, "begun", MAX_START_POLLS)
        return context

    def _wait(self, context: MiniRacer, name: str, max_polls: int) -> str:
        """Return a variable's value once it has one.

        Promises are worked off between polls. A limit by the clock would miss them on a machine that stalls.
        """
        for _ in range(max_polls):
            value = context.eval(name, timeout_sec=TIMEOUT_S, max_memory=MEMORY_BYTES)
            if value is not None:
                return str(value)
            time.sleep(0.001)
        raise RuntimeError("no answer in time")

    def _close(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            context.close()

    def _close_at_exit(self) -> None:
        if self._process == os.getpid():
            _script_thread().call(self._close)
