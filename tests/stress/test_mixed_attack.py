"""Slow, greedy and forged requests, and picture hosts that drip and redirect for ever, all at once."""

import http.client
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from dam_connector.settings import SECRETS_FILE, Settings
from dam_connector.store.users import UserRole
from dam_connector.wiring import build_services
from tests.processes import children, free_port, wait_ready
from tests.support import SECRET, event_body, signed

ATTACK_S = 40
GOOD_WEBHOOKS_PER_S = 20
PAGES_PER_S = 5
HEAD = b"POST /webhooks/main HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
UPLOAD = b"POST /batches/check HTTP/1.1\r\nHost: a\r\nContent-Length: 300000000\r\n\r\n"
GREEDY: dict[str, tuple[int, bytes]] = {  # how many at once, and the beginning of their request
    "slow headers": (60, HEAD + b"X-Slow: "),
    "slow bodies": (40, HEAD + b"Content-Length: 1000\r\n\r\n{"),
    "slow large bodies": (8, HEAD + b"Content-Length: 9000000\r\n\r\n{"),
    "greedy uploads": (4, UPLOAD + bytes(1_000_000)),
    "bad signatures": (4, HEAD + b"Content-Length: 2\r\nWebhook-Id: x\r\nWebhook-Timestamp: 1\r\n\r\n{}"),
}


class Attack:
    """Threads that attack until the end, and the connections that they opened."""

    def __init__(self, port: int) -> None:
        self.port, self.end_s, self.connections = port, time.monotonic() + ATTACK_S, 0

    def drip(self, request: bytes) -> None:
        """Send a request, then a byte a second; begin anew when the server closes the connection."""
        while time.monotonic() < self.end_s:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as client:
                    self.connections += 1
                    client.sendall(request)
                    while time.monotonic() < self.end_s:
                        client.sendall(b"x")
                        client.settimeout(1)
                        if self._is_answered(client):
                            break
            except OSError:
                time.sleep(0.05)

    def _is_answered(self, client: socket.socket) -> bool:
        try:
            client.recv(1000)
        except TimeoutError:
            return False
        return True


@contextmanager
def picture_host() -> Iterator[int]:
    """A host whose pictures arrive a byte a second, or redirect to themselves with an endless body."""
    done = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)

    def serve(client: socket.socket) -> None:
        with client:
            try:
                if b"redirect" in client.recv(1000):
                    client.sendall(b"HTTP/1.1 302 Found\r\nLocation: /redirect.jpg\r\n\r\n")
                    while not done.is_set():
                        client.sendall(bytes(65_536))
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not done.wait(1):
                    client.sendall(b"x")
            except OSError:
                return

    def accept() -> None:
        while not done.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def send_good_webhook(port: int, pictures: int, number: int) -> tuple[int, float]:
    """Send a proved delivery; return the status and the milliseconds."""
    now = datetime.now(UTC)
    image = f"http://127.0.0.1:{pictures}/{'redirect' if number % 2 else 'drip'}.jpg"
    record = {"sku": f"S{number}", "name": "Chair", "category": "seating", "images": {"front": image}}
    body = event_body(record, at=now)
    return ask(port, "POST", "/webhooks/main", body, dict(signed(body, at=now, message=f"m{number}")))


def ask(port: int, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, float]:
    start_s = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, url, body, headers)
        response = connection.getresponse()
        response.read()
        return response.status, (time.monotonic() - start_s) * 1000
    finally:
        connection.close()


def at_rate(per_s: int, call: Callable[[int], tuple[int, float]], seconds: float) -> list[tuple[int, float]]:
    """Make calls at a steady rate, each in a thread of its own."""
    with ThreadPoolExecutor(16) as pool:
        start_s, calls = time.monotonic(), []
        for number in range(int(per_s * seconds)):
            time.sleep(max(0.0, start_s + number / per_s - time.monotonic()))
            calls.append(pool.submit(call, number))
        return [each.result() for each in calls]


def percentiles(results: list[tuple[int, float]]) -> str:
    times = sorted(ms for _, ms in results)
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    return f"{len(times)} answered, p50 {p50:.0f} ms, p99 {p99:.0f} ms"


@pytest.mark.timeout(300)
def test_good_requests_are_answered_and_nothing_restarts_during_a_mixed_attack(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, port = tmp_path / "d", free_port()
    with picture_host() as pictures:
        data.mkdir(mode=0o700)
        (data / SECRETS_FILE).write_text(
            f"DAM_CONNECTOR_ALLOW_HOSTS=127.0.0.1\nDAM_CONNECTOR_WEBHOOK_SECRET={SECRET}\n"
            f"DAM_CONNECTOR_FETCH_TIMEOUT_S=5\n"
        )
        wait_ready(port, start("up", "--port", str(port), "--workers", "1"))
        services = build_services(Settings.from_env(None, data_dir=data))
        token = services.users.add_token(services.users.add("ann", UserRole.VIEWER), "stress")
        page = lambda _: ask(port, "GET", "/review", None, {"Authorization": f"Bearer {token}"})  # noqa: E731
        at_rate(GOOD_WEBHOOKS_PER_S, lambda n: send_good_webhook(port, pictures, 10_000 + n), 5)
        at_rate(PAGES_PER_S, page, 3)
        parts = {name: process.pid for name, process in children(data).items()}
        memory = web_memory(data)
        attack = Attack(port)
        threads = [
            threading.Thread(target=attack.drip, args=(request,), daemon=True)
            for count, request in GREEDY.values()
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        with ThreadPoolExecutor(2) as pool:
            webhooks = pool.submit(
                at_rate, GOOD_WEBHOOKS_PER_S, lambda n: send_good_webhook(port, pictures, n), ATTACK_S - 10
            )
            pages = pool.submit(at_rate, PAGES_PER_S, page, ATTACK_S - 10)
            good, seen = webhooks.result(), pages.result()
        after = web_memory(data)
        for thread in threads:
            thread.join(30)
        with capsys.disabled():
            print(f"\nmixed attack, {attack.connections} hostile connections")
            print(f"webhooks: {percentiles(good)}; pages: {percentiles(seen)}")
            print(f"memory of the web server: {memory / 1e6:.0f} MB, then {after / 1e6:.0f} MB")
        assert {status for status, _ in good} == {202} and {status for status, _ in seen} == {200}
        assert {name: process.pid for name, process in children(data).items()} == parts
        assert after < 1.5 * memory


def web_memory(data: Path) -> int:
    """Return the memory of the web server and its worker process."""
    web = children(data)["web"]
    return sum(psutil.Process(p.pid).memory_info().rss for p in (web, *web.children(recursive=True)))
