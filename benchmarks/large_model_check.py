"""Report on a model of 500,000 triangles: seconds, memory, and the share of a baseline in the same run.

`python -m benchmarks large_model_check`, or `python -m benchmarks.large_model_check [--rounds N]`. The GLB is
made here: a sphere with waves and a texture of 2048 px. Ours is the full report of a check process that is
already running. The baseline is trimesh, which reads the same file and merges its vertices. Both run in
turns, since the speed of a shared machine changes; the ratio can be compared.
"""

import argparse
import io
import statistics
import time
from pathlib import Path
from typing import Any

import psutil
import trimesh

from benchmarks.glb_request import glb_request
from benchmarks.report_time import ROOT, large_glb
from schemas.rules_loader import load_rules
from worker.check_process import CheckProcess

ROWS = COLUMNS = 501  # vertices: 500,000 triangles
RIPPLE = 0.05
ROUNDS = 3


def peak_memory_bytes(pid: int) -> int:
    """Return the most memory that a process held in its life."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this system does not tell the peak of a process's memory")


def merge_seconds(data: bytes) -> float:
    """Return the CPU-seconds in which trimesh reads a GLB and merges its vertices."""
    started = time.process_time()
    scene = trimesh.load(io.BytesIO(data), file_type="glb", process=False)
    for mesh in scene.geometry.values():
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
    return time.process_time() - started


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Return the seconds and the memory of a report, and its share of the baseline."""
    data, checker = large_glb(ROWS, COLUMNS, RIPPLE), CheckProcess()
    request = glb_request(data, load_rules((ROOT / "plugin.json").read_text()), made_here=False)
    checker.warm()
    assert checker._process is not None
    process = psutil.Process(checker._process.pid)
    clock, ours, baseline = [], [], []
    codes: set[str] = set()
    for _ in range(rounds):
        before, started = sum(process.cpu_times()[:2]), time.perf_counter()
        report = checker.check(request).report
        clock.append(time.perf_counter() - started)
        if not process.is_running() or any(
            i.code in ("file.too_slow", "file.harmful") for i in report.issues
        ):
            raise SystemExit(f"nothing measured: {[i.message for i in report.issues]}")
        ours.append(sum(process.cpu_times()[:2]) - before)
        codes |= {i.code for i in report.issues}
        baseline.append(merge_seconds(data))
    peak = peak_memory_bytes(process.pid)
    checker.stop()
    return {
        "triangles": 2 * (ROWS - 1) * (COLUMNS - 1),
        "megabytes": round(len(data) / 1e6, 1),
        "report_s": round(statistics.median(clock), 1),
        "report_cpu_s": round(statistics.median(ours), 1),
        "trimesh_cpu_s": round(statistics.median(baseline), 2),
        "of_trimesh": round(statistics.median(a / b for a, b in zip(ours, baseline, strict=True)), 1),
        "peak_mb": round(peak / 1e6),
        "issues": sorted(codes),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    print(measure(parser.parse_args().rounds))
