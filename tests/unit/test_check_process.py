"""Hostile files: read without trust, and checked in a process that may be lost."""

import ctypes
import io
import json
import os
import pickle
import signal
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from structlog.testing import CapturingLogger

from benchmarks.hostile_glbs import MUTATIONS, mutate, pack_glb, repeat_node, seed_glbs
from benchmarks.report_time import large_glb
from dam_connector.domain.issue import Issue
from dam_connector.errors import InputError
from tests.support import file_of
from tests.unit.shapes import box
from tests.unit.test_checks import RULES, good, report_on
from worker import check_process, checks
from worker.check_process import IDLE_MEMORY_BYTES, CheckerOutOfMemory, CheckProcess, serve
from worker.check_request import CheckRequest
from worker.gltf.container import read_json
from worker.gltf.document import Document
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb


@pytest.fixture(scope="module")
def checker() -> Iterator[CheckProcess]:
    made = CheckProcess()
    yield made
    made.stop()


SEEDS = cache(lambda: seed_glbs(None))


def request(data: bytes, **more: object) -> CheckRequest:
    made = file_of(data, "CH123_X_V1_GLB.glb", "glb")
    return CheckRequest(
        product=None,
        deliverable=None,
        slot=1,
        number=1,
        files=(made,),
        contents={made.name: data},
        rules=RULES,
        **more,
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("number", range(len(MUTATIONS) * 6))
def test_a_mutated_file_has_a_report_or_a_clear_refusal(number: int) -> None:
    _, data = mutate(number, SEEDS())
    report = report_on(data, known=False)
    assert report.rows and "file.check_failed" not in {i.code for i in report.issues}
    try:
        read_glb(data)
    except InputError as error:
        assert error.issue_code in (
            "file.unreadable",
            "file.stream",
            "file.too_complex",
            "file.texture_size",
            "geometry.empty",
        )


def test_the_process_makes_the_same_report_as_this_one(checker: CheckProcess) -> None:
    data = good()
    mine, theirs = (
        report_on(data, known=False, name="CH123_X_V1_GLB.glb"),
        checker.check(request(data)).report,
    )
    assert theirs.issues == mine.issues and theirs.rows == mine.rows and theirs.facts == mine.facts


@pytest.mark.parametrize("moved", [{}, {"translation": [0.0, 1.0, 0.0], "rotation": [0.0, 0.0, 0.0, 1.0]}])
def test_a_file_of_90_000_nodes_is_checked_to_its_end(checker: CheckProcess, moved: dict) -> None:
    found = {i.code for i in checker.check(request(repeat_node(SEEDS()[0], 90_000, **moved))).report.issues}
    assert "file.too_complex" in found and "file.harmful" not in found


@pytest.mark.parametrize(
    ("at_rest", "blamed"), [(IDLE_MEMORY_BYTES + 1, False), (IDLE_MEMORY_BYTES - 1, True)]
)
def test_memory_that_files_before_took_is_no_fault_of_this_one(
    checker: CheckProcess, monkeypatch: pytest.MonkeyPatch, at_rest: int, blamed: bool
) -> None:
    checker.warm()
    assert checker._process is not None
    first, exactly, memory = checker._process.pid, checker._read_exactly, checker.memory_bytes

    def is_first() -> bool:
        return checker._process is not None and checker._process.pid == first

    def swelling(count: int, limit: Any, most: int, at: str) -> bytes:
        if at and is_first():
            raise CheckerOutOfMemory("it took more than 1,000 MB", at)
        return exactly(count, limit, most, at)

    monkeypatch.setattr(checker, "_read_exactly", swelling)
    monkeypatch.setattr(checker, "memory_bytes", lambda: at_rest if is_first() else memory())
    assert ("file.harmful" in {i.code for i in checker.check(request(good())).report.issues}) is blamed


def test_a_check_that_crashes_costs_only_its_row(
    checker: CheckProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is killed while it is at a check, as a crash in native code would: the rest of the report
    stands.
    """
    checker.warm()
    begun = threading.Event()
    read = checker._read

    def killing(limit: object, memory: int, at: str = "") -> bytes:
        message = read(limit, memory, at)  # type: ignore[arg-type]
        if b'"check": "geometry"' in message and not begun.is_set():
            begun.set()
            os.kill(checker._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
        return message

    monkeypatch.setattr(checker, "_read", killing)
    report = checker.check(request(large_glb())).report
    assert (
        begun.is_set()
        and [i.measured for i in report.issues if i.code == "file.harmful"] == ["geometry"]
        and report.blocked
    )
    outcomes = {r.check: r.outcome.value for r in report.rows}
    assert outcomes["geometry"] == "not_tested" and outcomes["conformance"] == outcomes["uvs"] == "pass"
    assert checker.check(request(good())).report.rows  # and the next file is checked by a new process


def broken_check(subject: object, rules: object) -> Iterator[Issue]:
    """Yield nothing, and raise an exception as a bug of ours would."""
    yield from ()
    raise ZeroDivisionError("a bug of ours")


@pytest.mark.issue("file.check_failed")
def test_a_bug_in_a_check_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECKS", {**checks.CHECKS, "uvs": (broken_check, "glb")})
    log = CapturingLogger()
    monkeypatch.setattr(checks, "log", log, raising=False)
    report = report_on(good(), known=False, name="CH123_X_V1_GLB.glb")
    (found,) = [i for i in report.issues if i.code in ("file.check_failed", "file.harmful")]
    assert found.code == "file.check_failed" and found.measured == "uvs: ZeroDivisionError" and report.blocked
    outcomes = {r.check: r.outcome.value for r in report.rows}
    assert outcomes["uvs"] == "not_tested" and outcomes["geometry"] == outcomes["conformance"] == "pass"
    (logged,) = log.calls
    assert logged.kwargs["check"] == "uvs" and "a bug of ours" in logged.kwargs["traceback"]


def test_the_traceback_of_the_check_process_is_in_our_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process serves in a thread here, so that it has the broken check."""
    monkeypatch.setattr(checks, "CHECKS", {**checks.CHECKS, "uvs": (broken_check, "glb")})
    token, incoming, outgoing = "t", io.BytesIO(), io.BytesIO()
    data = pickle.dumps((token, request(good())))
    incoming.write(struct.pack("<Q", len(data)) + data)
    incoming.seek(0)
    serve(incoming, outgoing)
    answer = outgoing.getvalue()[8 + len(b"ready") :]
    process = CheckProcess()
    monkeypatch.setattr(check_process.os, "urandom", lambda count: b"")
    replies = [m for m in messages(answer) if json.loads(m)["token"] == token]
    lines = iter([m.replace(b'"token": "t"', b'"token": ""') for m in replies])
    monkeypatch.setattr(process, "_process", SimpleNamespace(stdin=object()))
    monkeypatch.setattr(process, "_cpu_s", lambda: 0.0)
    monkeypatch.setattr(process, "_write", lambda data, deadline: None)
    monkeypatch.setattr(process, "_read", lambda *limits: next(lines))
    log = CapturingLogger()
    monkeypatch.setattr(check_process, "log", log, raising=False)
    result = process._request(request(good()), 1.0, {})
    monkeypatch.undo()
    assert "file.check_failed" in {i.code for i in result.report.issues}
    (logged,) = log.calls
    assert logged.kwargs["check"] == "uvs" and "a bug of ours" in logged.kwargs["traceback"]


@pytest.mark.issue("file.check_failed")
def test_a_bug_between_the_checks_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.CheckSubject, "start_slow_measurements", lambda self: 1 / 0)
    incoming, outgoing = io.BytesIO(), io.BytesIO()
    for token in ("first", "second"):
        data = pickle.dumps((token, request(good())))
        incoming.write(struct.pack("<Q", len(data)) + data)
    incoming.seek(0)
    serve(incoming, outgoing)
    answers = [json.loads(m) for m in messages(outgoing.getvalue()[8 + len(b"ready") :])]
    tracebacks = [a["traceback"] for a in answers if "failed" in a]
    assert len(tracebacks) == 2 and all("ZeroDivisionError" in each for each in tracebacks)
    reports = [a["report"] for a in answers if "report" in a]
    assert [a["token"] for a in answers if "report" in a] == ["first", "second"]  # the process goes on
    for report in reports:
        assert [i["code"] for i in report["issues"]] == ["file.check_failed"]
        assert [row["outcome"] for row in report["rows"]] == ["not_tested"]


def messages(data: bytes) -> Iterator[bytes]:
    """Yield the messages of a pipe."""
    while data:
        end = 8 + struct.unpack("<Q", data[:8])[0]
        yield data[8:end]
        data = data[end:]


def test_memory_that_a_check_cannot_get_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(subject: object, rules: object) -> Iterator[Issue]:
        raise MemoryError

    monkeypatch.setattr(checks, "CHECKS", {"uvs": (greedy, "glb")})
    with pytest.raises(MemoryError):
        report_on(good(), known=False)


@pytest.mark.issue("file.harmful")
def test_a_process_that_takes_too_much_memory_is_ended(
    checker: CheckProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker import check_process

    checker.warm()
    monkeypatch.setattr(check_process, "MEMORY_BYTES", 1)
    os.kill(checker._process.pid, signal.SIGSTOP)  # type: ignore[union-attr]
    report = checker.check(request(good())).report
    (harmful,) = [i for i in report.issues if i.code == "file.harmful"]
    assert "took more than 0 MB" in harmful.message and report.blocked


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps freed memory")
def test_what_a_check_took_is_free_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: list[int] = []
    stays: list[bytes] = []

    def wasteful(subject: object, rules: object) -> Iterator[Issue]:
        blocks = [bytes(60_000) for _ in range(3000)]  # each too small to be returned by itself
        stays.append(blocks[-1])  # it holds all before it
        blocks.clear()
        at_work.append(psutil.Process().memory_info().rss)
        yield from ()

    def frugal(subject: object, rules: object) -> Iterator[Issue]:
        at_work.append(psutil.Process().memory_info().rss)
        yield from ()

    monkeypatch.setattr(check_process, "LARGE_MEMORY_BYTES", 0)
    monkeypatch.setattr(checks, "CHECKS", {"uvs": (wasteful, "glb"), "names": (frugal, "glb")})
    asked = pickle.dumps(("token", request(good())))
    serve(io.BytesIO(struct.pack("<Q", len(asked)) + asked), io.BytesIO())
    assert at_work[1] < at_work[0] - 100_000_000


def test_a_busy_machine_makes_no_file_harmful(checker: CheckProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process gets no CPU for longer than a report may take of it."""
    from worker import check_process

    checker.check(request(good()))
    monkeypatch.setattr(check_process, "REPORT_CPU_S", 2.0)
    pid = checker._process.pid  # type: ignore[union-attr]
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(2.5, partial(os.kill, pid, signal.SIGCONT)).start()
    assert "file.harmful" not in {i.code for i in checker.check(request(good())).report.issues}


@pytest.mark.issue("file.too_slow")
def test_what_waits_for_ever_is_ended(checker: CheckProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker import check_process

    checker.warm()
    monkeypatch.setattr(check_process, "REPORT_CPU_S", 0.1)
    os.kill(checker._process.pid, signal.SIGSTOP)  # type: ignore[union-attr]
    ended = [i for i in checker.check(request(large_glb())).report.issues if i.code == "file.too_slow"]
    assert ended and "too long" in ended[0].message


def test_a_check_that_takes_too_long_costs_only_its_row(
    checker: CheckProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process stops for ever at a check: what the checks before it found is kept, and not made again."""
    from worker import check_process

    checker.check(request(good()))
    started, is_first, read = list[str](), iter([True]), checker._read

    def stopping(limit: object, memory: int, at: str = "") -> bytes:
        message = read(limit, memory, at)  # type: ignore[arg-type]
        answer = json.loads(message) if message != b"ready" else {}
        started.extend([answer["check"]] if "check" in answer else [])
        if answer.get("check") == "conformance" and next(is_first, False):
            raise check_process.CheckerTooSlow("it took too long", "conformance")
        return message

    monkeypatch.setattr(checker, "_read", stopping)
    report = checker.check(request(good())).report
    (slow,) = [i for i in report.issues if i.code == "file.too_slow"]
    assert slow.measured == "conformance" and report.blocked
    outcomes = {r.check: r.outcome.value for r in report.rows}
    assert outcomes["conformance"] == "not_tested" and outcomes["geometry"] == outcomes["names"] == "pass"
    assert started.count("geometry") == 1 and "file.harmful" not in {i.code for i in report.issues}


def test_half_an_answer_left_by_another_job_blames_no_file(checker: CheckProcess) -> None:
    checker.warm()
    checker._process.stdin.write(b"\x05\x00\x00\x00\x00\x00\x00\x00junk!")  # type: ignore[union-attr]
    checker._process.stdin.flush()  # type: ignore[union-attr]
    assert "file.harmful" not in {i.code for i in checker.check(request(good())).report.issues}


def test_places_are_named() -> None:
    data = good()
    start = 28 + int.from_bytes(data[12:16], "little")
    for change, where in (
        (lambda d: d["accessors"][0].update(count=2**31), "/accessors/0/count"),
        (lambda d: d["accessors"][0].update(bufferView=99), "/accessors/0"),
        (lambda d: d["bufferViews"][0].update(byteLength=10**9), "/bufferViews/0"),
        (lambda d: d["nodes"][0].update(children=[0]), "/nodes/0"),
        (lambda d: d["nodes"][0].update(rotation=[0, 0, 0]), "/nodes/0"),
        (lambda d: d["scenes"][0].update(nodes=[7]), "/scenes"),
        (lambda d: d.update(meshes="none"), "/meshes"),
    ):
        document = read_json(data)
        change(document)
        with pytest.raises(InputError) as refused:
            _ = Document(pack_glb(document, data[start:])).primitives
        assert refused.value.pointer == where, json.dumps(document)[:200]


def test_strips_fans_and_bare_vertices_are_triangles() -> None:
    data = write_glb(box(0.4, 0.4, 0.3), "x")
    start = 28 + int.from_bytes(data[12:16], "little")
    for mode, count in ((5, 34), (6, 34)):
        document = read_json(data)
        document["meshes"][0]["primitives"][0]["mode"] = mode
        assert len(Document(pack_glb(document, data[start:])).primitives[0].faces) == count
    document = read_json(data)
    del document["meshes"][0]["primitives"][0]["indices"]
    assert len(Document(pack_glb(document, data[start:])).primitives[0].faces) == 2


def test_a_mirrored_node_keeps_its_faces_outwards() -> None:
    data = write_glb(box(0.4, 0.4, 0.3), "x")
    document = read_json(data)
    document["nodes"][0]["scale"] = [-1, 1, 1]
    start = 28 + int.from_bytes(data[12:16], "little")
    flipped = pack_glb(document, data[start:])
    assert "geometry.winding" not in {i.code for i in report_on(flipped, known=False).issues}
    assert {i.code for i in report_on(flipped, known=False).issues if i.code == "file.harmful"} == set()


def test_sparse_and_quantized_positions() -> None:
    """Positions as normalized shorts (KHR_mesh_quantization), and one vertex moved by a sparse accessor."""
    import struct

    import numpy as np

    model = box(2.0, 2.0, 2.0)
    data = write_glb(replace(model, positions=model.positions - np.array([0, 1, 0], np.float32)), "x")
    start = 28 + int.from_bytes(data[12:16], "little")
    document, binary = read_json(data), data[start:]
    shorts = np.round((model.positions - [0, 1, 0]) * 32767).astype("<i2")
    padded = np.zeros((len(shorts), 4), "<i2")
    padded[:, :3] = shorts
    document["bufferViews"].append(
        {"buffer": 0, "byteOffset": len(binary), "byteLength": padded.nbytes, "byteStride": 8}
    )
    document["accessors"][0].update(
        bufferView=len(document["bufferViews"]) - 1, componentType=5122, normalized=True
    )
    binary += padded.tobytes()
    assert Document(pack_glb(document, binary)).primitives[0].positions.max() == pytest.approx(1.0)
    document["accessors"][0].pop("normalized")
    assert Document(pack_glb(document, binary)).primitives[0].positions.max() == 32767
    document = read_json(data)
    values = struct.pack("<Hxx3f", 0, 5.0, 6.0, 7.0)
    document["bufferViews"].append({"buffer": 0, "byteOffset": len(data) - start, "byteLength": len(values)})
    view = len(document["bufferViews"]) - 1
    document["accessors"][0]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": view, "componentType": 5123},
        "values": {"bufferView": view, "byteOffset": 4},
    }
    moved = Document(pack_glb(document, data[start:] + values)).primitives[0].positions
    assert moved[0].tolist() == [5.0, 6.0, 7.0]
