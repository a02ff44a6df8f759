"""Back-pressure and memory: deliveries while no worker runs, their draining, and full runs.

`python -m benchmarks.back_pressure --seconds 60 --runs 300` prints figures: 200 deliveries a second for a
minute are 12,000 light jobs for the intake worker. It takes about twenty minutes on two idle cores.
"""

import argparse
import http.server
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import requests
from PIL import Image, ImageDraw
from standardwebhooks import Webhook

from benchmarks import webhook_throughput
from benchmarks.server_process import free_port, running
from benchmarks.webhook_throughput import RATE, SECRET, at_rate, percentile
from dam_connector.ops import queue_server
from dam_connector.settings import Settings
from dam_connector.wiring import Services, build_services

SAMPLE_EVERY_S = 2.0
MAX_WAIT_S = 3600.0
OPEN_RUNS = ("queued", "running", "parked")


def measure(seconds: float, runs: int) -> dict[str, object]:
    """Return what was accepted, how long it took to drain, and the slopes of memory.

    Args:
        seconds: How long deliveries are sent.
        runs: How many full runs are made.
    """
    return {
        "deliveries": measure_deliveries(seconds) if seconds else {},
        "full_runs": measure_runs(runs) if runs else {},
    }


def measure_deliveries(seconds: float) -> dict[str, object]:
    """Send deliveries while no worker runs, then let one intake worker handle them."""
    webhook_throughput.STEADY_S = seconds
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data, port = Path(folder) / "data", free_port()
        env = {
            "DAM_CONNECTOR_DATA_DIR": str(data),
            "DAM_CONNECTOR_WEBHOOK_SECRET": SECRET,
            "DAM_CONNECTOR_WEBHOOKS_PER_MINUTE": "10000000",
        }
        stack.enter_context(_process(queue_server.server_command(Settings.from_env({}, data_dir=data))))
        web = [sys.executable, "-m", "dam_connector.cli", "web"]
        stack.enter_context(running(web, port=port, env={**env, "DAM_CONNECTOR_PORT": str(port)}))
        latencies = at_rate(port)  # raises if one is not accepted
        services = build_services(Settings.from_env({}, data_dir=data))
        stored = _waiting(services)
        worker = [sys.executable, "-m", "worker"]
        intake = stack.enter_context(_process([*worker, "run", "--queue", "intake"], env))
        sweeper = stack.enter_context(_process([*worker, "sweep"], env))
        start = time.monotonic()
        samples = _sample(
            {"intake": intake.pid, "sweeper": sweeper.pid}, lambda: stored - _waiting(services), stored
        )
        return {
            "accepted": len(latencies),
            "stored": stored,
            "ms": {"p50": round(percentile(latencies, 50), 1), "p99": round(percentile(latencies, 99), 1)},
            "drained_in_s": round(time.monotonic() - start),
            "memory": samples,
        }


def measure_runs(count: int) -> dict[str, object]:
    """Make products with one picture each, from webhook to review, on one worker."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data, port = Path(folder) / "data", free_port()
        host = stack.enter_context(_picture_host())
        rules = Path(folder) / "plugin.json"
        rules.write_text(json.dumps(_rules()))
        env = {
            "DAM_CONNECTOR_PLUGIN_JSON": str(rules),
            "DAM_CONNECTOR_ALLOW_HOSTS": host,
            "DAM_CONNECTOR_WEBHOOK_SECRET": SECRET,
            "DAM_CONNECTOR_WEBHOOKS_PER_MINUTE": "10000000",
        }
        up = [sys.executable, "-m", "dam_connector.cli", "up", "--port", str(port), "--workers", "1"]
        stack.enter_context(running([*up, "--data-dir", str(data)], port=port, path="/readyz", env=env))
        services = build_services(Settings.from_env({}, data_dir=data))
        start = time.monotonic()
        for number in range(count):
            _send(port, number, f"http://{host}/{number}.jpg")
        rows = json.loads((data / "run" / "children.json").read_text())
        samples = _sample({name: pid for name, pid, _ in rows}, lambda: _done(services, count), count)
        seconds = time.monotonic() - start
        failed = services.runs.counts("failed")["failed"]
        return {"runs": count, "failed": failed, "seconds": round(seconds), "memory": samples}


def _rules() -> dict[str, object]:
    packshot = {"name": "packshot", "kind": "rendition", "size_px": 512, "formats": ["jpeg"]}
    return {
        "name": "back-pressure",
        "version": "1.0.0",
        "connections": {
            "pim": {"main": {"adapter": "standard", "secrets": ["env/DAM_CONNECTOR_WEBHOOK_SECRET"]}},
            "dam": {"library": {"adapter": "library"}},
            "channel": {"viewer": {"adapter": "viewer"}},
        },
        "products": {"required": ["sku", "name", "images.any"]},
        "deliverables": [{**packshot, "channels": ["viewer"]}],
    }


def _send(port: int, number: int, image: str) -> None:
    """Send the creation of a product."""
    now = datetime.now(UTC)
    data = {"sku": f"F{number}", "name": "Chair", "category": "seating", "images": {"front": image}}
    body = json.dumps({"type": "product.created", "timestamp": now.isoformat(), "data": data})
    headers = {
        "webhook-id": f"full{number}",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(f"full{number}", now, body),
        "content-type": "application/json",
    }
    answer = requests.post(f"http://127.0.0.1:{port}/webhooks/main", data=body, headers=headers, timeout=30)
    answer.raise_for_status()


@contextmanager
def _process(argv: list[str], env: dict[str, str] | None = None) -> Iterator[psutil.Process]:
    """Run a process until the block ends."""
    environ = {**psutil.Process().environ(), **(env or {})}
    process = subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def _picture_host() -> Iterator[str]:
    """Serve a photo of a box at every path, each in another shade."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = int(self.path.strip("/").partition(".")[0])
            picture = Image.new("RGB", (800, 800), (235, 235, 235))
            shade = (120 + number % 100, 40 + number // 100, 40)
            ImageDraw.Draw(picture).rectangle((200, 200, 600, 600), fill=shade)
            out = io.BytesIO()
            picture.save(out, "JPEG")
            self.send_response(200)
            self.send_header("Content-Length", str(out.tell()))
            self.end_headers()
            self.wfile.write(out.getvalue())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _waiting(services: Services) -> int:
    """Return how many deliveries are not handled; `counts` stops at ten thousand."""
    with services.db.read() as c:
        query = "SELECT count(*) FROM deliveries WHERE state = 'received'"
        return int(c.exec_driver_sql(query).scalar_one())


def _done(services: Services, count: int) -> int:
    """Return how many runs are over, or `count` as soon as no work is open."""
    over = sum(services.runs.counts("done", "failed", "cancelled").values())
    is_open = any(services.runs.counts(*OPEN_RUNS).values()) or _waiting(services)
    return over if is_open or over == 0 else count


def _sample(pids: dict[str, int], done: Callable[[], int], total: int) -> dict[str, object]:
    """Sample unshared memory by what is done, until all is; return figures of each process.

    The slope is that of the second half, in megabytes for a thousand jobs; the first half fills caches.
    """
    points: dict[str, list[tuple[int, float]]] = {}
    deadline = time.monotonic() + MAX_WAIT_S
    while (count := done()) < total:
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {count} of {total} were done")
        for name, pid in pids.items():
            for part, megabytes in _megabytes(pid).items():
                points.setdefault(name + part, []).append((count, megabytes))
        time.sleep(SAMPLE_EVERY_S)
    return {name: _figures(found) for name, found in points.items()}


def _megabytes(pid: int) -> dict[str, float]:
    """Return the memory of a process by its own, and of the check process that it keeps.

    The process that a job is forked into lives as long as the job, and is left out.
    """
    try:
        process = psutil.Process(pid)
        found = {"": process.memory_full_info().uss / 1e6}
        for part in process.children():
            if "worker.check_process" in part.cmdline():
                found[" checks"] = part.memory_full_info().uss / 1e6
        return found
    except psutil.NoSuchProcess:
        return {}


def _figures(points: list[tuple[int, float]]) -> dict[str, float]:
    later = points[len(points) // 2 :]
    if len(later) < 3:
        return {}
    mean_x = sum(x for x, _ in later) / len(later)
    mean_y = sum(y for _, y in later) / len(later)
    spread = sum((x - mean_x) ** 2 for x, _ in later)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in later) / spread if spread else 0.0
    return {
        "first_mb": round(points[0][1]),
        "last_mb": round(later[-1][1]),
        "mb_per_1000_jobs": round(1000 * slope, 2),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help=f"of {RATE} deliveries a second")
    parser.add_argument("--runs", type=int, default=300, help="full runs")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.seconds, arguments.runs), indent=2))
