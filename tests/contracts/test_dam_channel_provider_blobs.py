"""The contract suites of our own adapters for the ports Dam, Channel and Blobs, and of `open_adapter`."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from dam_connector.adapters import adapter_names, open_adapter
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.ids import AssetId, RunId, Sha256, VersionId
from dam_connector.domain.issue import Report
from dam_connector.domain.listing import Listing, Placement
from dam_connector.domain.rules import Connection
from dam_connector.domain.version import ApprovedVersion, Asset, Role, Version, VersionFile, VersionState
from dam_connector.errors import ConfigError, NotFound, Refused, Unavailable
from dam_connector.ports import Blobs, Channel, Dam, PushRequest
from dam_connector.store.blobs import open_blobs
from dam_connector.wiring import Services
from tests.support import product


def a_version(
    blobs: Blobs,
    data: bytes = b"glb",
    number: int = 1,
    state: VersionState = VersionState.APPROVED,
    stored: bool = True,
) -> Version:
    sha = blobs.put(data) if stored else Sha256("0" * 64)
    file = VersionFile(
        name=f"CH123_X_V{number}_GLB.glb",
        format="glb",
        role=Role.PRIMARY,
        view="",
        mime="model/gltf-binary",
        sha256=sha,
        bytes=len(data),
    )
    asset = Asset(id=AssetId("ast_1"), sku="CH123", deliverable="model", slot=1, kind="model")
    return Version(
        id=VersionId(f"ver_{number}"),
        asset=asset,
        number=number,
        state=state,
        run_id=RunId("run_1"),
        files=(file,),
        report=Report(),
        provenance={},
        rules_fingerprint="r",
        created_at=datetime.now(UTC),
    )


def approved(version: Version) -> ApprovedVersion:
    return ApprovedVersion(
        version=version, files_sha256={f.name: f.sha256 for f in version.files}, approved_by="ann"
    )


@pytest.fixture(params=["library", "memory"])
def dam(request: pytest.FixtureRequest, services: Services) -> Dam:
    return open_adapter("dam", "x", Connection(adapter=request.param), services.adapter_context)


def push(dam: Dam, services: Services, number: int = 1, **version: object) -> str:
    request = PushRequest(
        external_id=f"CH123:model:1:{number}",
        version=a_version(services.blobs, number=number, **version),
        product=product(),
        folder="furniture/CH123",
        review_url="",
    )
    return dam.push(request, services.blobs)


def test_every_adapter_has_a_case() -> None:
    assert {"library", "memory"} <= set(adapter_names("dam")) and {"folder", "memory", "viewer"} <= set(
        adapter_names("channel")
    )  # the others: test_dams, test_channels


def test_a_pushed_version_is_in_review_and_a_repeat_makes_nothing_twice(dam: Dam, services: Services) -> None:
    first = push(dam, services)
    assert push(dam, services) == first and push(dam, services, 2) != first
    assert dam.remote_state(first, a_version(services.blobs)).state is VersionState.IN_REVIEW


def test_a_decision_is_written(dam: Dam, services: Services) -> None:
    ref = push(dam, services)
    dam.write_state(ref, VersionState.APPROVED, Decision(verdict=Verdict.APPROVED, by="ann"))
    assert dam.remote_state(ref, a_version(services.blobs)).state is VersionState.APPROVED
    assert (
        push(dam, services) == ref
        and dam.remote_state(ref, a_version(services.blobs)).state is VersionState.APPROVED
    )


def test_an_unknown_reference_is_not_found(dam: Dam, services: Services) -> None:
    with pytest.raises(NotFound):
        dam.write_state("nothing", VersionState.APPROVED)
    with pytest.raises(NotFound):
        dam.remote_state("nothing", a_version(services.blobs))


def test_what_is_removed_is_gone_and_removing_it_again_is_no_error(dam: Dam, services: Services) -> None:
    ref = push(dam, services)
    dam.remove(ref)
    dam.remove(ref)
    with pytest.raises(NotFound):
        dam.remote_state(ref, a_version(services.blobs))


def test_bytes_that_are_gone_are_noticed(dam: Dam, services: Services) -> None:
    with pytest.raises((Refused, NotFound)):
        push(dam, services, stored=False)


@pytest.fixture(params=["viewer", "folder", "memory"])
def channel(request: pytest.FixtureRequest, services: Services, tmp_path: Path) -> Channel:
    options = {"path": str(tmp_path / "export")} if request.param == "folder" else {}
    return open_adapter(
        "channel", "x", Connection(adapter=request.param, options=options), services.adapter_context
    )


def listing(*versions: ApprovedVersion, folder: str = "decor/CH123") -> Listing:
    placements = tuple(Placement(approved=v, alt_text="A chair", links={}) for v in versions)
    return Listing(
        product=product(), folder=folder, page_url="https://dam.example/ar/CH123", placements=placements
    )


def test_syncing_twice_is_syncing_once(channel: Channel, services: Services) -> None:
    wanted = listing(approved(a_version(services.blobs)))
    assert channel.sync(wanted, services.blobs) == channel.sync(wanted, services.blobs)
    assert channel.live_files(wanted) == channel.expected_files(wanted) == ("CH123_X_V1_GLB.glb",)


def test_taking_off_what_is_not_there_is_no_error(channel: Channel, services: Services) -> None:
    channel.sync(listing(), services.blobs)
    channel.sync(listing(approved(a_version(services.blobs))), services.blobs)
    channel.sync(listing(), services.blobs)
    assert channel.live_files(listing()) == ()


def test_only_an_approved_version_with_its_own_bytes_can_be_handed_to_a_channel(services: Services) -> None:
    with pytest.raises(ValueError, match="not approved"):
        approved(a_version(services.blobs, state=VersionState.IN_REVIEW))
    with pytest.raises(ValueError, match="not those"):
        ApprovedVersion(
            version=a_version(services.blobs), files_sha256={"other": Sha256("1")}, approved_by="x"
        )


def test_the_folder_holds_the_live_version_alone_and_leaves_what_is_not_ours(
    services: Services, tmp_path: Path
) -> None:
    channel = open_adapter(
        "channel",
        "x",
        Connection(adapter="folder", options={"path": str(tmp_path / "out")}),
        services.adapter_context,
    )
    url = channel.sync(listing(approved(a_version(services.blobs, b"one"))), services.blobs)
    folder = Path(unquote(urlparse(url).path))
    (folder / "theirs.glb").write_bytes(b"theirs")
    channel.sync(listing(approved(a_version(services.blobs, b"two", 2))), services.blobs)
    assert [p.name for p in sorted(folder.glob("*.glb"))] == ["CH123_X_V2_GLB.glb", "theirs.glb"]
    assert (folder / "CH123_X_V2_GLB.glb").read_bytes() == b"two"
    with pytest.raises(Refused):
        channel.sync(listing(approved(a_version(services.blobs)), folder="../../outside"), services.blobs)


def test_an_export_that_is_cut_off_leaves_nothing_behind_for_good(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = open_adapter(
        "channel",
        "x",
        Connection(adapter="folder", options={"path": str(tmp_path / "out")}),
        services.adapter_context,
    )
    channel.sync(listing(approved(a_version(services.blobs, b"one"))), services.blobs)
    second = listing(approved(a_version(services.blobs, b"two", 2)))
    for operation in ("_remove", "_write"):
        with monkeypatch.context() as cut:
            cut.setattr(
                channel,
                operation,
                lambda *_: (_ for _ in ()).throw(Unavailable("folder", "publish", "cut off")),
            )
            with pytest.raises(Unavailable):
                channel.sync(second, services.blobs)
    channel.sync(second, services.blobs)
    assert [p.name for p in (tmp_path / "out").rglob("*.glb")] == ["CH123_X_V2_GLB.glb"]


@pytest.mark.parametrize(
    ("port", "options"), [("pim", {}), ("channel", {"adapter": "folder"}), ("dam", {"colour": 1})]
)
def test_wrong_options_are_config_errors(port: str, options: dict, services: Services) -> None:
    adapter = {"pim": "standard", "channel": "folder", "dam": "library"}[port]
    with pytest.raises(ConfigError):
        open_adapter(
            port,
            "x",
            Connection(adapter=adapter, options={k: v for k, v in options.items() if k != "adapter"}),
            services.adapter_context,
        )


def test_an_unknown_adapter_is_named_with_the_nearest_known(services: Services) -> None:
    with pytest.raises(ConfigError, match='did you mean "library"'):
        open_adapter("dam", "x", Connection(adapter="libary"), services.adapter_context)
    with pytest.raises(ConfigError):
        open_adapter("dam", "x", Connection(adapter="../../os"), services.adapter_context)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A real S3-compatible server process with an empty bucket."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    import urllib.error
    import urllib.request

    for _ in range(200):
        try:
            urllib.request.urlopen(
                urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT"), timeout=5
            ).close()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


S3_ENVIRON = {
    "AWS_ENDPOINT": "{s3}",
    "AWS_ALLOW_HTTP": "true",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    if request.param == "folder":
        return open_blobs(str(tmp_path / "blobs"))
    address = request.getfixturevalue("s3")
    for name, value in S3_ENVIRON.items():
        monkeypatch.setenv(name, value.format(s3=address))
    return open_blobs("s3://bucket/prefix")


def test_bytes_come_back_by_their_hash(blobs: Blobs) -> None:
    data = os.urandom(100_000)
    address = blobs.put(data)
    assert blobs.put(data) == address and blobs.get(address) == data and blobs.has(address)


def test_a_large_blob_is_read_in_parts(blobs: Blobs) -> None:
    data = os.urandom(3_000_000)
    address = blobs.put(data)
    stream = blobs.stream(address)
    parts = list(stream)
    stream.close()
    assert stream.size == len(data) and b"".join(parts) == data
    assert max(len(part) for part in parts) <= 1_000_000
    assert blobs.first_bytes(address, 16) == data[:16]
    assert blobs.first_bytes(blobs.put(b"ab"), 16) == b"ab" and blobs.first_bytes(blobs.put(b""), 16) == b""
    for read in (blobs.stream, lambda sha256: blobs.first_bytes(sha256, 1)):
        with pytest.raises(NotFound):
            read("0" * 64)


def test_puts_at_once_of_the_same_bytes_all_succeed_and_none_overwrites(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if none of them saw the object: all but one of the puts meet it."""
    for name, value in S3_ENVIRON.items():
        monkeypatch.setenv(name, value.format(s3=s3))
    blobs = open_blobs("s3://bucket/once")
    data = os.urandom(1000)
    address = blobs.put(data)

    def see_nothing(*_: object) -> None:
        raise FileNotFoundError

    with monkeypatch.context() as patch:
        patch.setattr("dam_connector.store.object_blobs.obstore.head", see_nothing)
        before = next(blob.stored_at for blob in blobs.list() if blob.sha256 == address)
        time.sleep(1.1)  # the server tells times in seconds
        assert blobs.put(data) == address
    assert next(blob.stored_at for blob in blobs.list() if blob.sha256 == address) == before
    assert blobs.get(address) == data


def test_blobs_are_listed_and_deleted_unless_they_were_stored_again(blobs: Blobs) -> None:
    sha256 = blobs.put(b"twelve bytes")
    (found,) = [blob for blob in blobs.list() if blob.sha256 == sha256]
    assert found.bytes == 12 and abs(found.stored_at - datetime.now(UTC)) < timedelta(hours=1)
    assert not blobs.delete(sha256, stored_before=found.stored_at) and blobs.has(sha256)
    assert blobs.delete(sha256, stored_before=found.stored_at + timedelta(seconds=1))
    assert not blobs.has(sha256) and not blobs.delete(sha256, stored_before=datetime.now(UTC))
    assert blobs.delete_leftovers(datetime.now(UTC)) == 0


def test_a_blob_is_not_older_than_the_time_that_is_told_of_it(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path))
    sha256 = blobs.put(b"x")
    path = next(p for p in tmp_path.rglob("*") if p.is_file())
    os.utime(path, ns=(0, 1_764_379_432_817_849_600))  # told as ...850, to the microsecond
    (found,) = blobs.list()
    assert not blobs.delete(sha256, stored_before=found.stored_at)


@pytest.mark.parametrize("address", ["0" * 64, "../../etc/passwd", "", "ZZ" * 32])
def test_what_is_not_there_is_not_found(blobs: Blobs, address: str) -> None:
    with pytest.raises(NotFound):
        blobs.get(Sha256(address))


def test_an_unknown_kind_of_storage_is_a_config_error() -> None:
    with pytest.raises(ConfigError):
        open_blobs("gopher://x")
