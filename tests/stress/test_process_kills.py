"""Kill -9 of each process of `dam-connector up`, and of all: every answered promise is kept."""

import os
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import free_port
from tests.stress.service_under_kills import PARTS, ServiceUnderKills
from tests.support import PhotoServer

IS_LONG = bool(os.environ.get("STRESS_LONG"))
SEEDS = range(5) if IS_LONG else range(1)
SKUS = [f"CH{number}" for number in range(1, 5 if IS_LONG else 3)]
ACTIONS = 24 if IS_LONG else 8  # between two kills there are one to four


@pytest.fixture(params=["embedded", "postgresql", "s3"] if IS_LONG else ["embedded"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Give settings: SQLite and a folder, PostgreSQL, or an S3-compatible server in a process of its own."""
    if request.param != "s3":
        is_embedded = request.param == "embedded"
        yield {} if is_embedded else {"DATABASE_URL": request.getfixturevalue("postgres")()}
        return
    port = free_port()
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for name, value in {
        "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    for _ in range(300):
        try:
            bucket = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
            urllib.request.urlopen(bucket, timeout=5).close()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    yield {"STORAGE_URL": "s3://bucket/files"}
    process.terminate()
    process.wait(10)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept_whatever_is_killed(
    seed: int,
    start: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    photos: PhotoServer,
    storage: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    chance = random.Random(seed)
    service = ServiceUnderKills(start, tmp_path, photos, chance, storage)
    try:
        for sku in SKUS:
            service.change(sku)
        service.settle()
        for _ in range(len(SKUS)):
            service.review()
        parts = list(PARTS)
        for number in range(ACTIONS):
            if not parts:
                parts = list(PARTS)
            service.kill(parts.pop(chance.randrange(len(parts))))
            for _ in range(chance.randint(1, 4)):
                if chance.random() < 0.5:
                    service.change(chance.choice(SKUS))
                else:
                    service.review()
            if number % 7 == 6:
                service.settle()
        service.settle()
        service.check()
        with capsys.disabled():
            print(f"\nseed {seed}: killed {service.kills}; {service.shop.repeats} repeated listings dropped")
    finally:
        service.stop()
