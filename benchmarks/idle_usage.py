"""CPU and memory of each process of the service while nothing happens."""

import json
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.server_process import free_port, running

WARM_UP_S = 15.0
MEASURED_S = 30.0


def measure() -> dict[str, object]:
    """Return CPU in percent of one core over MEASURED_S, and memory (unique set size) in megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        argv = [
            sys.executable,
            "-m",
            "dam_connector.cli",
            "up",
            "--port",
            str(port),
            "--workers",
            "2",
            "--data-dir",
            folder,
        ]
        with running(argv, port=port) as supervisor:
            time.sleep(WARM_UP_S)
            rows = json.loads((Path(folder) / "run" / "children.json").read_text())
            groups = {
                "supervisor": [psutil.Process(supervisor.pid)],
                **{name: _with_children(psutil.Process(pid)) for name, pid, _ in rows},
            }
            before = {name: _cpu_s(found) for name, found in groups.items()}
            time.sleep(MEASURED_S)
            after = {name: _cpu_s(found) for name, found in groups.items()}
            memory = {name: sum(p.memory_full_info().uss for p in found) for name, found in groups.items()}
    used = {name: round((after[name] - before[name]) / MEASURED_S * 100, 2) for name in groups}
    return {
        "cpu_pct": {**used, "total": round(sum(used.values()), 2)},
        "memory_mb": {
            **{k: round(v / 1e6) for k, v in memory.items()},
            "total": round(sum(memory.values()) / 1e6),
        },
    }


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(p.cpu_times()[:2]) for p in processes)
