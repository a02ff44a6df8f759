"""A storage that is wrong, away or slow: work waits, its cause is said in one line, and the rest goes on."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dam_connector import object_storage
from dam_connector.app import create_app
from dam_connector.domain.ids import Sha256
from dam_connector.domain.run import RunState
from dam_connector.errors import ConfigError, FileMissing, StorageUnavailable, Unavailable
from dam_connector.store import object_blobs, storage_probe
from dam_connector.store.blobs import FolderBlobs, open_blobs
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.contracts.test_dam_channel_provider_blobs import S3_ENVIRON, s3  # noqa: F401 - a fixture
from tests.pipeline.helpers import send
from tests.support import PhotoServer, TestClock, picture, record
from worker.runner import advance

SIZES = itertools.count(1)
ADDRESS = Sha256("9c" * 32)


@pytest.fixture
def s3_environ(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    for name, value in S3_ENVIRON.items():
        monkeypatch.setenv(name, value.format(s3=s3))


@pytest.fixture
def run_id(services: Services, photos: PhotoServer, write_rules: Callable[..., None]) -> str:
    """A run that waits to make a packshot, of a photo that no test before left in this process's memory."""
    write_rules(deliverables=[{"name": "packshot", "kind": "rendition", "size_px": 256}])
    photos.files["a.jpg"] = picture(size=(400, 400 + next(SIZES)))
    facts = record("CH123", images={"front": photos.url("a.jpg")})
    intake.handle_delivery(services, send(services, facts, message="msg_1")[0])
    (run,) = services.runs.page(sku="CH123")
    return run.id


@pytest.mark.usefixtures("s3_environ")
def test_a_worker_with_a_wrong_bucket_fails_no_run_at_once(services: Services, run_id: str) -> None:
    settings = replace(services.settings, storage_url="s3://bucket/wrong")
    advance(replace(services, blobs=open_blobs("s3://bucket/wrong"), settings=settings), run_id)
    run = services.runs.get(run_id)
    assert run.state is RunState.PARKED and run.attempts == 1
    message = "the storage s3://bucket/wrong does not have the front photo of CH123; is STORAGE_URL the same"
    assert message in run.error


@pytest.mark.usefixtures("s3_environ")
def test_a_run_waits_for_a_missing_bucket_and_loses_no_try(services: Services, run_id: str) -> None:
    advance(replace(services, blobs=open_blobs("s3://nosuchbucket/files")), run_id)
    run = services.runs.get(run_id)
    assert run.state is RunState.PARKED and run.attempts == 0
    assert "storage get: s3://nosuchbucket/files: the bucket does not exist" in run.error


def test_a_photo_that_is_lost_everywhere_fails_its_run_after_all_tries(
    services: Services, run_id: str, clock: TestClock, tmp_path: Path
) -> None:
    elsewhere = replace(services, blobs=FolderBlobs(tmp_path / "elsewhere"))
    for tries in range(1, 9):
        advance(elsewhere, run_id)
        run = services.runs.get(run_id)
        assert (run.state is RunState.FAILED) == (tries == 8)
        clock.forward(601)
    assert "does not have the front photo of CH123" in run.error


@pytest.mark.usefixtures("s3_environ")
def test_a_missing_bucket_is_no_missing_file() -> None:
    blobs = open_blobs("s3://nosuchbucket/files")
    for ask in (
        lambda: blobs.get(ADDRESS),
        lambda: blobs.stream(ADDRESS),
        lambda: blobs.first_bytes(ADDRESS, 1),
        lambda: blobs.has(ADDRESS),
        lambda: blobs.put(b"x"),
        lambda: list(blobs.list()),
        blobs.mark,
    ):
        with pytest.raises(StorageUnavailable, match="the bucket does not exist") as raised:
            ask()
        assert "\n" not in str(raised.value) and "<" not in str(raised.value)
    there = open_blobs("s3://bucket/files")
    with pytest.raises(FileMissing, match="s3://bucket/files does not have 9c9c"):
        there.get(ADDRESS)
    assert not there.has(ADDRESS)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"AWS_ALLOW_HTTP": "false"}, "set AWS_ALLOW_HTTP=true"),
        ({"AWS_ENDPOINT": "http://127.0.0.1:9"}, "nothing answers at its address; check AWS_ENDPOINT"),
        ({"AWS_ENDPOINT": "http://storage.invalid"}, "check AWS_ENDPOINT"),
    ],
)
@pytest.mark.usefixtures("s3_environ")
def test_a_cause_is_said_in_one_line(
    changed: dict[str, str], cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(object_storage.RETRY_OPTIONS, "max_retries", 0)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageUnavailable, match=cause) as raised:
        open_blobs("s3://bucket/files").get(ADDRESS)
    assert "\n" not in str(raised.value) and "very-secret" not in str(raised.value)


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    error = Exception("Error performing PUT http://169.254.169.254/latest/api/token in 3 ms")
    assert "set AWS_ACCESS_KEY_ID" in object_storage.object_error_cause(error)
    odd = object_storage.object_error_cause(ValueError("at https://user:pass@host/x\nDebug source: pass"))
    assert odd == "ValueError: at ..."


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("s3:/fleet/files", "write s3:// with two slashes"),
        ("az://fleet/x", "set AZURE_STORAGE_ACCOUNT_NAME"),
        ("gopher://user:pass@fleet/x", "gopher://fleet/x: it is not one of s3://"),
    ],
)
def test_a_wrong_address_is_refused_with_its_reason(
    location: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ConfigError, match=problem) as raised:
        open_blobs(location)
    assert "pass@" not in str(raised.value)


@pytest.fixture
def hanging_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A server of its own with a bucket, which answers nothing any more; requests give up after a while."""
    code = "from moto.server import main; main(['-H', '127.0.0.1', '-p', '0'])"
    process = subprocess.Popen(
        [sys.executable, "-u", "-W", "ignore", "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr
    lines = iter(process.stderr.readline, b"")
    address = next(line for line in lines if b"http://127.0.0.1:" in line).split()[-1].decode()
    request = urllib.request.Request(f"{address}/bucket", method="PUT")
    urllib.request.urlopen(request, timeout=60).close()
    for name, value in S3_ENVIRON.items():
        monkeypatch.setenv(name, value.format(s3=address))
    monkeypatch.setitem(object_storage.CLIENT_OPTIONS, "read_timeout", timedelta(seconds=4))
    monkeypatch.setitem(object_storage.RETRY_OPTIONS, "retry_timeout", timedelta(seconds=1))
    yield process
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(20)
    process.stderr.close()


def test_a_storage_that_hangs_holds_up_few_threads_and_says_so(
    services: Services, hanging_s3: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_blobs, "SLOT_WAIT_S", 0.01)
    monkeypatch.setattr(storage_probe, "ANSWER_WAIT_S", 0.01)
    blobs = open_blobs("s3://bucket/files", at_once=1)
    address = blobs.put(os.urandom(100))
    hanging_s3.send_signal(signal.SIGSTOP)
    found: list[StorageUnavailable] = []

    def wait() -> None:
        with pytest.raises(StorageUnavailable) as raised:
            blobs.get(address)
        found.append(raised.value)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while blobs._slots._value:  # type: ignore[attr-defined]
        time.sleep(0.01)
    with pytest.raises(StorageUnavailable, match="is slow: 1 requests wait for it"):
        blobs.get(address)
    client = create_app(replace(services, blobs=blobs)).test_client()
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 200 and ready.json["storage"] != "ok"
    waiting.join()
    assert "it did not answer in time" in str(found[0])


def test_a_request_for_a_file_is_answered_503_with_a_time_to_try_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FolderBlobs, sha256: Sha256) -> None:
        raise StorageUnavailable("storage", "get", "it is slow")

    monkeypatch.setattr(FolderBlobs, "stream", fail)
    monkeypatch.setattr(type(services.assets), "find_file", lambda *_, **__: ("image/png", "a.png"))
    answer = create_app(services).test_client().get(f"/files/{ADDRESS}/a.png")
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0


def test_the_options_of_the_provider_s_variables_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    from dam_connector.settings import storage_client_options

    environ = {"AWS_ALLOW_HTTP": "true", "AWS_PROXY_URL": "http://proxy:3128", "AZURE_ALLOW_HTTP": "no"}
    assert storage_client_options("s3", environ) == {"allow_http": True, "proxy_url": "http://proxy:3128"}
    assert storage_client_options("az", environ) == {"allow_http": False}
    assert storage_client_options("gs", environ) == {}


def test_a_version_whose_file_is_lost_is_published_again_later(tmp_path: Path) -> None:
    """The viewer only names files, and looks whether the storage has them."""
    from dam_connector.adapters.viewer import ViewerChannel

    placement = SimpleNamespace(approved=SimpleNamespace(files_sha256={"a.jpg": ADDRESS}))
    listing: Any = SimpleNamespace(placements=[placement])
    with pytest.raises(FileMissing, match=ADDRESS):
        ViewerChannel().sync(listing, FolderBlobs(tmp_path))


@pytest.mark.usefixtures("s3_environ")
def test_a_bucket_of_a_channel_that_is_wrong_is_said_in_one_line(services: Services) -> None:
    from dam_connector.adapters.storage import connect

    with pytest.raises(ConfigError, match="cannot be opened: set AZURE_STORAGE_ACCOUNT_NAME"):
        connect({"url": "az://shop/media"}, services.adapter_context)
    channel = connect({"url": "s3://nosuchbucket/media"}, services.adapter_context)
    with pytest.raises(Unavailable, match="publish: the bucket does not exist"):
        channel._put("a/b.jpg", b"x", "image/jpeg")
