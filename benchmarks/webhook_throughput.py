"""Webhooks received a second, and latency at 200 a second, beside a baseline receiver in the same run."""

import http.client
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks import Webhook

from benchmarks.server_process import free_port, running
from dam_connector.ops import queue_server
from dam_connector.settings import Settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CLIENTS = 8  # at once, each waits for its answer
ROUNDS = 3
BURST_S = 6.0  # duration of a round
STEADY_S, RATE = 10.0, 200  # duration and requests a second of the steady phase
_numbers = itertools.count()


def measure() -> dict[str, object]:
    """Return requests a second (median of the rounds), their ratio, and milliseconds at a steady rate."""
    throughput: dict[str, list[float]] = {"bare": [], "ours": []}
    latencies: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, running_receivers(Path(folder)) as ports:
        for port in ports.values():
            burst(port)  # warm-up
        for _ in range(ROUNDS):
            for name, port in ports.items():
                throughput[name].append(burst(port))
        for name, port in ports.items():
            latencies[name] = at_rate(port)
    rate = {name: statistics.median(values) for name, values in throughput.items()}
    return {
        "requests_per_s": {k: round(v) for k, v in rate.items()},
        "ours_to_bare": round(rate["ours"] / rate["bare"], 2),
        "rounds": {k: [round(x) for x in v] for k, v in throughput.items()},
        f"ms_at_{RATE}_per_s": {
            name: {
                "p50": round(percentile(v, 50), 1),
                "p99": round(percentile(v, 99), 1),
                "max": round(max(v), 1),
            }
            for name, v in latencies.items()
        },
    }


@contextmanager
def running_receivers(folder: Path) -> Iterator[dict[str, int]]:
    """Run the baseline receiver with eight threads, and ours as the service runs; give their ports."""
    ports = {"bare": free_port(), "ours": free_port()}
    gunicorn = [sys.executable, "-m", "gunicorn", "--workers", "1", "--threads", "8"]
    gunicorn += ["--worker-class", "gthread", "--keep-alive", "30", "--no-control-socket"]
    bare = running(
        [*gunicorn, "--bind", f"127.0.0.1:{ports['bare']}", "benchmarks.baseline_receiver:app"],
        port=ports["bare"],
        env={"BENCH_SECRET": SECRET, "BENCH_DB": f"{folder}/bare.db"},
    )
    data = folder / "data"
    env = {
        "DAM_CONNECTOR_DATA_DIR": str(data),
        "DAM_CONNECTOR_PORT": str(ports["ours"]),
        "DAM_CONNECTOR_WEBHOOK_SECRET": SECRET,
        "DAM_CONNECTOR_WEBHOOKS_PER_MINUTE": "10000000",
    }
    ours = running([sys.executable, "-m", "dam_connector.cli", "web"], port=ports["ours"], env=env)
    queue = subprocess.Popen(
        queue_server.server_command(Settings.from_env({}, data_dir=data)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with bare, ours:
            yield ports
    finally:
        queue.terminate()
        queue.wait()


def percentile(values: list[float], share: int) -> float:
    """Return the value below which this share of the values lies, in percent."""
    return sorted(values)[min(len(values) - 1, len(values) * share // 100)]


def signed_delivery() -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of a new delivery of about one kilobyte."""
    now, number = datetime.now(UTC), next(_numbers)
    data = {
        "sku": f"B{number}",
        "name": "Modern Dining Chair",
        "category": "decor",
        "description": "x" * 600,
        "images": {"front": "http://127.0.0.1:9/x.jpg"},
    }
    body = json.dumps({"type": "product.created", "timestamp": now.isoformat(), "data": data})
    signature = Webhook(SECRET).sign(f"m{number}", now, body)
    return body.encode(), {
        "webhook-id": f"m{number}",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
        "content-type": "application/json",
    }


def send(connection: http.client.HTTPConnection, delivery: tuple[bytes, dict[str, str]]) -> None:
    """Send a delivery, and require that it is accepted."""
    connection.request("POST", "/webhooks/main", delivery[0], delivery[1])
    answer = connection.getresponse()
    answer.read()
    if answer.status != 202:
        raise RuntimeError(f"HTTP {answer.status}")


def burst(port: int) -> float:
    """Return the requests a second of CLIENTS clients that each wait for their answer."""
    counts = [0] * CLIENTS
    deliveries = [[signed_delivery() for _ in range(1500)] for _ in range(CLIENTS)]
    start = time.monotonic()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for delivery in deliveries[number]:
            if time.monotonic() - start > BURST_S:
                return
            send(connection, delivery)
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - start)


def at_rate(port: int) -> list[float]:
    """Return the milliseconds of each request at RATE a second, counted from when each was due."""
    deliveries = [signed_delivery() for _ in range(int(RATE * STEADY_S))]
    latencies: list[float] = []
    start = time.monotonic() + 0.2

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for index in range(number, len(deliveries), CLIENTS):
            due = start + index / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            send(connection, deliveries[index])
            latencies.append((time.monotonic() - due) * 1000)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies
