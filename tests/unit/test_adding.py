"""docs/adding.md: its sample adapter works as a third party's package, and its paths and names exist."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from dam_connector import adapters
from dam_connector.cli import main
from dam_connector.domain.listing import Listing, Placement
from dam_connector.domain.rules import Connection
from dam_connector.domain.version import ApprovedVersion
from dam_connector.fakes.server import FakeReply, FakeRequest, FakeServer
from dam_connector.ports import Channel
from dam_connector.store.blobs import open_blobs
from dam_connector.wiring import Services
from tests.contracts.test_dam_channel_provider_blobs import a_version, approved
from tests.support import ROOT, http_to, product

TEXT = (ROOT / "docs/adding.md").read_text()
TOKEN = "token-of-acme"


def block(language: str) -> str:
    """Return the only code block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)
    return found


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the sample as a package with the entry point that the document names."""
    site = tmp_path / "site"
    info = site / "acme_connector-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "acme_connector.py").write_text(block("python"))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-connector\nVersion: 1.0\n")
    name, target = re.findall(r'"(.+)" = "(.+)"', block("toml"))[0]
    (info / "entry_points.txt").write_text(f"[{adapters.ENTRY_POINT_GROUP}]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(str(site))
    forget_adapters()
    yield
    sys.modules.pop("acme_connector", None)
    forget_adapters()


def forget_adapters() -> None:
    """Look for adapters again, as a new process does."""
    adapters._third_party.cache_clear()
    adapters._adapter_names.cache_clear()


def check_config(folder: Path, **options: object) -> tuple[int, list[str]]:
    """Run check-config with a connection of the sample; return its exit code and its problems."""
    rules = json.loads((ROOT / "plugin.json").read_text())
    rules["connections"]["channel"]["shop"] = {"adapter": "acme", **options}
    (folder / "plugin.json").write_text(json.dumps(rules))
    environ = {"DAM_CONNECTOR_DATA_DIR": str(folder / "data"), "ACME_TOKEN": TOKEN}
    done = CliRunner().invoke(main, ["check-config", str(folder / "plugin.json"), "--json"], env=environ)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout)["problems"]


def test_check_config_names_a_missing_and_an_unknown_option(acme: None, tmp_path: Path) -> None:
    assert check_config(tmp_path, base_url="https://shop.example") == (0, [])
    code, (missing,) = check_config(tmp_path)
    assert code == 1 and missing.startswith("/connections/channel/shop: ") and "base_url" in missing
    code, (unknown,) = check_config(tmp_path, base_url="https://shop.example", tokn="env/ACME_TOKEN")
    assert code == 1 and "tokn" in unknown


class FakeAcme(FakeServer):
    """The media of one product of Acme."""

    def __init__(self) -> None:
        super().__init__(make=lambda _: b"")
        self.media: list[dict[str, str]] = []

    def is_authorized(self, request: FakeRequest) -> bool:
        return request.headers.get("authorization") == f"Bearer {TOKEN}"

    def operation(self, request: FakeRequest) -> str:
        return request.method

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        if operation == "PUT":
            self.media = request.json["media"]
        return FakeReply(200, {"media": self.media})


def listing_of(*versions: ApprovedVersion) -> Listing:
    placements = tuple(
        Placement(
            approved=each,
            alt_text="A chair",
            links={f.name: f"https://ours/{f.name}" for f in each.version.channel_files},
        )
        for each in versions
    )
    return Listing(product=product(), folder="chairs", page_url="", placements=placements)


def test_the_sample_syncs_a_listing(acme: None, services: Services, tmp_path: Path) -> None:
    server, blobs = FakeAcme(), open_blobs(str(tmp_path / "blobs"))
    server.start()
    try:
        context = services.adapter_context
        context = replace(context, http=http_to(server.host, context), secret=lambda reference: TOKEN)
        connection = Connection(adapter="acme", options={"base_url": server.base_url})
        channel: Channel = adapters.open_adapter("channel", "shop", connection, context)
        listing = listing_of(approved(a_version(blobs, b"glTF" + bytes(60))))
        assert channel.live_files(listing) == ()
        assert channel.sync(listing, blobs).startswith(server.base_url)
        assert channel.live_files(listing) == channel.expected_files(listing) != ()
        channel.sync(listing_of(), blobs)
        assert channel.live_files(listing) == ()
    finally:
        server.stop()


def test_paths_and_names_in_the_document_exist() -> None:
    paths = set(re.findall(r"`((?:dam_connector|worker|tests|docs|schemas)/[\w./]+)`", TEXT))
    paths = {p for p in paths if "NAME" not in p and p != "docs/connections/acme.md"}
    assert len(paths) > 20 and [p for p in sorted(paths) if not (ROOT / p).exists()] == []
    code = "".join(
        p.read_text() for top in ("dam_connector", "worker", "tests") for p in (ROOT / top).rglob("*.py")
    )
    words = set(re.findall(r"\w+", code.replace("acme", "")))
    names = {n for n in re.findall(r"`(\w+)(?:\([^`]*\))?`", TEXT) if n not in ("acme", "NAME", "PORT")}
    assert len(names) > 20 and sorted(names - words) == []
