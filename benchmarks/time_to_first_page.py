"""Seconds from a fresh clone to the first page: set-up and start.

Downloads are not measured: from the second run on they come from the package clients' caches.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.server_process import free_port, running

ROOT = Path(__file__).parent.parent


def measure() -> dict[str, object]:
    """Return the seconds of `make setup`, and from `dam-connector up` to the first page."""
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
