"""Seconds from a fresh clone to the first page: setting up (downloads apart: they come from the package clients' caches
on the second time), and starting."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.server_process import free_port, running

ROOT = Path(__file__).parent.parent


def measure() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        started = time.monotonic()
        subprocess.run(
            ["make", "setup", f"PYTHON={sys.executable}"], cwd=clone, check=True, stdout=subprocess.DEVNULL
        )
        set_up = time.monotonic() - started
        port = free_port()
        started = time.monotonic()
        with running(
            [
                str(clone / ".venv/bin/dam-connector"),
                "up",
                "--port",
                str(port),
                "--data-dir",
                f"{folder}/data",
            ],
            port=port,
            path="/login",
        ):
            first = time.monotonic() - started
    return {"set_up_s": round(set_up, 1), "start_to_first_page_s": round(first, 1)}
