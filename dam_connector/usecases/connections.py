"""Connections: what the other side needs, and a round trip that proves one and leaves nothing behind."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from dam_connector.adapters import load_setup
from dam_connector.adapters.directus.setup import Preparation
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.ids import AssetId, RunId, Sku, VersionId
from dam_connector.domain.issue import Report
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Connection
from dam_connector.domain.version import Asset, Role, Version, VersionFile, VersionState
from dam_connector.errors import BadOutput, ConfigError, Unsupported
from dam_connector.ports import PushRequest
from dam_connector.usecases.backfill import EARLIEST
from dam_connector.usecases.publish import build_listing
from dam_connector.wiring import Services

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)  # a white one, as PNG
PORTS = ("pim", "dam", "channel", "provider")


def list_preparations(
    services: Services, port: str, name: str, connection: Connection
) -> Iterator[Preparation]:
    """What is needed on the other side of a connection, with what is there already. Raises: ConfigError when there is nothing to set up."""
    setup = load_setup(port, connection.adapter)
    yield from setup.prepare(
        connection.options, services.adapter_context, f"{services.settings.base_url}/webhooks/{name}"
    )


def manual_steps(port: str, adapter: str) -> tuple[str, ...]:
    """What no interface can do there: for a person."""
    found: tuple[str, ...] = load_setup(port, adapter).BY_HAND
    return found


def test_connection(services: Services, name: str, *, sku: str = "") -> Iterator[str]:
    """What was tried of a connection, in words, as it goes well. sku: of a product that a channel is to be tried with.

    Raises: AdapterError at what does not work; ConfigError when there is no such connection.
    """
    rules = services.rules.current()
    tries = {"pim": _test_pim, "dam": _test_dam, "provider": _test_provider}
    for port in PORTS:
        if name in getattr(rules, port):
            yield f"{port} {name}: {getattr(rules, port)[name].adapter}"
            yield from (
                _test_channel(services, name, sku) if port == "channel" else tries[port](services, name)
            )
            return
    known = ", ".join(n for port in PORTS for n in getattr(rules, port))
    raise ConfigError(f"/connections: there is no connection {name!r}; known: {known}")


def _test_pim(services: Services, name: str) -> Iterator[str]:
    source = services.pim(name)
    if not source.capabilities.can_list_changes:
        yield "it sends, and cannot be asked: only a delivery of its own proves it"
        return
    events = list(islice(source.changed_since(EARLIEST), 1))
    yield "it lists what changed" + ("" if events else ", and has no product yet")
    for event in events:
        products = source.fetch(event.ref)
        yield f"it gives product {event.ref}: {', '.join(p.sku for p in products) or 'without a SKU'}"


def _test_dam(services: Services, name: str) -> Iterator[str]:
    """A version is pushed, stands in review, is rejected by us, and is taken out again."""
    dam, version = services.dam(name), _test_version(services)
    product = Product(sku=version.asset.sku, name="Connection test", category="connection-test")
    external_id = f"{version.asset.sku}:test:1:{int(services.clock.now().timestamp())}"
    request = PushRequest(
        external_id=external_id,
        version=version,
        product=product,
        folder="connection-test",
        review_url=services.settings.base_url,
    )
    ref = dam.push(request, services.blobs)
    yield f"a file was pushed: {ref}"
    try:
        if dam.push(request, services.blobs) != ref:
            raise BadOutput(name, "push", "the same version was stored twice")
        yield "the same again made nothing twice"
        for state in (VersionState.IN_REVIEW, VersionState.REJECTED):
            if state is VersionState.REJECTED:
                dam.write_state(ref, state, Decision(verdict=Verdict.REJECTED, by="connection test"))
            found = dam.remote_state(ref, replace(version, state=state))
            if found.state is not state:
                raise BadOutput(name, "standing", f"{state.value} was written, {found.state.value} was read")
            yield f"it reads as {state.value.replace('_', ' ')}"
        if dam.changed_files(ref, version):
            raise BadOutput(name, "changed", "the file that was read is not the one that was pushed")
        yield "the file is there, byte for byte"
    finally:
        dam.remove(ref)
    yield "and was taken out again"


def _test_channel(services: Services, name: str, sku: str) -> Iterator[str]:
    """What of ours is live for a product is read, and written as it is."""
    channel = services.channel(name)
    record = services.products.get(sku) if sku else None
    product = record.product if record else Product(sku=Sku(sku or "connection-test"))
    listing = build_listing(services, name, product)
    names = channel.live_files(listing)
    yield f"it was asked about {product.sku}: {len(names)} of our files are live there"
    if sku:
        channel.sync(listing, services.blobs)
        yield "and was given the same again"


def _test_provider(services: Services, name: str) -> Iterator[str]:
    provider = services.provider(name)
    try:
        if provider.capabilities.has_balance:
            yield f"it answers: {provider.balance():.2f} USD are left"
        elif provider.capabilities.tasks_per_poll:
            provider.poll(["connection-test"])
            yield "it answers"
        else:
            yield "nothing can be asked of it that costs nothing"
    except Unsupported:
        yield "nothing can be asked of it that costs nothing"


def _test_version(services: Services) -> Version:
    data = PIXEL
    now = services.clock.now()
    file = VersionFile(
        name="connection-test_V1_PNG.png",
        format="png",
        role=Role.PRIMARY,
        view="",
        mime="image/png",
        sha256=services.blobs.put(data),
        bytes=len(data),
    )
    asset = Asset(
        id=AssetId("connection-test"), sku=Sku("connection-test"), deliverable="test", slot=1, kind="image"
    )
    facts: dict[str, Any] = {
        "files": (file,),
        "report": Report(),
        "provenance": {},
        "rules_fingerprint": "",
        "created_at": now,
    }
    return Version(
        id=VersionId("connection-test"),
        asset=asset,
        number=1,
        state=VersionState.IN_REVIEW,
        run_id=RunId(""),
        **facts,
    )
