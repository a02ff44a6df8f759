"""Webhooks taken a second, and the 99th percentile at 200/s, beside the bare receiver, in the same run, turn by turn."""

import http.client
import itertools
import json
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks import Webhook

from benchmarks.server_process import free_port, running
from dam_connector.ops import queue_server
from dam_connector.settings import Settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CLIENTS, ROUNDS, BURST_S, STEADY_S, RATE = 8, 3, 6.0, 10.0, 200
_numbers = itertools.count()


def measure() -> dict[str, object]:
    """Requests a second (median of rounds), their ratio, and milliseconds at a steady rate."""
    with tempfile.TemporaryDirectory() as folder:
        ports = {"bare": free_port(), "ours": free_port()}
        gunicorn = [
            sys.executable,
            "-m",
            "gunicorn",
            "--workers",
            "1",
            "--threads",
            "8",
            "--worker-class",
            "gthread",
            "--keep-alive",
            "30",
            "--no-control-socket",
        ]
        bare = running(
            [*gunicorn, "--bind", f"127.0.0.1:{ports['bare']}", "benchmarks.baseline_receiver:app"],
            port=ports["bare"],
            env={"BENCH_SECRET": SECRET, "BENCH_DB": f"{folder}/bare.db"},
        )
        data = Path(folder) / "data"
        queue = queue_server.server_command(Settings.from_env({}, data_dir=data))
        env = {
            "DAM_CONNECTOR_DATA_DIR": str(data),
            "DAM_CONNECTOR_PORT": str(ports["ours"]),
            "DAM_CONNECTOR_WEBHOOK_SECRET": SECRET,
            "DAM_CONNECTOR_WEBHOOKS_PER_MINUTE": "10000000",
        }
        import subprocess

        server = subprocess.Popen(queue, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with (
                bare,
                running([sys.executable, "-m", "dam_connector.cli", "web"], port=ports["ours"], env=env),
            ):
                taken: dict[str, list[float]] = {"bare": [], "ours": []}
                steady: dict[str, list[float]] = {"bare": [], "ours": []}
                for port in ports.values():
                    burst(port)  # warm
                for _ in range(ROUNDS):
                    for name, port in ports.items():
                        taken[name].append(burst(port))
                for name, port in ports.items():
                    steady[name] = at_rate(port)
        finally:
            server.terminate()
            server.wait()
    rate = {name: statistics.median(values) for name, values in taken.items()}
    return {
        "requests_per_s": {k: round(v) for k, v in rate.items()},
        "ours_to_bare": round(rate["ours"] / rate["bare"], 2),
        "rounds": {k: [round(x) for x in v] for k, v in taken.items()},
        f"ms_at_{RATE}_per_s": {
            name: {
                "p50": round(percentile(v, 50), 1),
                "p99": round(percentile(v, 99), 1),
                "max": round(max(v), 1),
            }
            for name, v in steady.items()
        },
    }


def percentile(values: list[float], share: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * share // 100)]


def request() -> tuple[bytes, dict[str, str]]:
    """A fresh signed delivery of about one kilobyte."""
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


def send(connection: http.client.HTTPConnection, prepared: tuple[bytes, dict[str, str]]) -> None:
    connection.request("POST", "/webhooks/main", prepared[0], prepared[1])
    answer = connection.getresponse()
    answer.read()
    if answer.status != 202:
        raise RuntimeError(f"HTTP {answer.status}")


def burst(port: int) -> float:
    """Requests a second of eight clients that each wait for their answer."""
    counts = [0] * CLIENTS
    prepared = [[request() for _ in range(1500)] for _ in range(CLIENTS)]
    start = time.monotonic()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for each in prepared[number]:
            if time.monotonic() - start > BURST_S:
                return
            send(connection, each)
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - start)


def at_rate(port: int) -> list[float]:
    """Milliseconds of each request when they come at a fixed rate, counted from when each was due."""
    prepared = [request() for _ in range(int(RATE * STEADY_S))]
    taken: list[float] = []
    start = time.monotonic() + 0.2

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for index in range(number, len(prepared), CLIENTS):
            due = start + index / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            send(connection, prepared[index])
            taken.append((time.monotonic() - due) * 1000)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken
