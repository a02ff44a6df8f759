"""What the service costs while nothing happens: CPU and memory of each process."""

import json
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.server_process import free_port, running

SECONDS = 30.0


def measure() -> dict[str, object]:
    """CPU in percent of one core over half a minute; memory as unique set size, megabytes."""
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
            time.sleep(15)
            rows = json.loads((Path(folder) / "run" / "children.json").read_text())
            parts = {
                "supervisor": [psutil.Process(supervisor.pid)],
                **{name: _family(psutil.Process(pid)) for name, pid, _ in rows},
            }
            before = {name: _cpu(found) for name, found in parts.items()}
            time.sleep(SECONDS)
            after = {name: _cpu(found) for name, found in parts.items()}
            memory = {name: sum(p.memory_full_info().uss for p in found) for name, found in parts.items()}
    used = {name: round((after[name] - before[name]) / SECONDS * 100, 2) for name in parts}
    return {
        "cpu_pct": {**used, "total": round(sum(used.values()), 2)},
        "memory_mb": {
            **{k: round(v / 1e6) for k, v in memory.items()},
            "total": round(sum(memory.values()) / 1e6),
        },
    }


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(p.cpu_times()[:2]) for p in processes)
