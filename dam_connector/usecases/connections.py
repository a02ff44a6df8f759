"""Connections: their setup at the outside system, and a test that leaves nothing behind there."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from dam_connector.adapters import load_setup, open_adapter
from dam_connector.adapters.common.preparation import Preparation
from dam_connector.domain.completeness import product_issues
from dam_connector.domain.event import Decision, Event, EventKind, Verdict
from dam_connector.domain.ids import AssetId, RunId, Sku, VersionId
from dam_connector.domain.issue import Issue, Report, Severity
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Connection
from dam_connector.domain.version import Asset, Role, Version, VersionFile, VersionState
from dam_connector.errors import AdapterError, BadOutput, ConfigError, NotFound, Refused, Unsupported
from dam_connector.ports import (
    ChecksDecisions,
    ChecksMetadata,
    ChecksRights,
    Dam,
    ExplainsMessages,
    InboundWebhook,
    Pim,
    PushRequest,
    SendsTest,
)
from dam_connector.store.inbox import DeliveryRecord
from dam_connector.usecases.backfill import EARLIEST
from dam_connector.usecases.dam_photos import sources_option
from dam_connector.usecases.intake import fetch_products, ignored_text
from dam_connector.usecases.photo_check import check_photos
from dam_connector.usecases.publish import build_listing
from dam_connector.usecases.rules_check import secret_references
from dam_connector.wiring import Services, with_placeholders

WHITE_PIXEL = base64.b64decode(  # a PNG
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)
VERDICTS = {VersionState.APPROVED: Verdict.APPROVED, VersionState.REJECTED: Verdict.REJECTED}
MAX_TRIED_PRODUCTS = 20
MAX_GROUPED = 200  # newest deliveries that `last_deliveries` reads
WEBHOOK_PORTS = ("pim", "dam", "provider")  # ports whose systems may send webhooks
PORTS = ("pim", "dam", "channel", "provider")
# Said in place of a test, where nothing can be asked.
ONLY_SENDS = "it only sends webhooks and cannot be asked: send one to test it"
COSTS_ALWAYS = "it has no request that costs nothing, so it was not tested"


def last_deliveries(services: Services) -> dict[str, DeliveryRecord]:
    """Return the newest webhook delivery of each connection, among the newest of all."""
    newest = services.inbox.page(limit=MAX_GROUPED)
    return {delivery.connection: delivery for delivery in reversed(newest)}


def list_preparations(
    services: Services, port: str, name: str, connection: Connection
) -> Iterator[Preparation]:
    """Yield what a connection needs at the outside system, and whether it exists there already.

    Args:
        port: `pim`, `dam`, `channel` or `provider`.
        name: the connection's name in plugin.json.
        connection: the connection itself, which need not be in plugin.json yet.

    Raises:
        ConfigError: there is nothing to set up for this adapter.
    """
    setup = load_setup(port, connection.adapter)
    yield from setup.prepare(
        connection.options, services.adapter_context, f"{services.settings.base_url}/webhooks/{name}"
    )


def manual_steps(port: str, adapter: str) -> tuple[str, ...]:
    """Return the steps of the setup that a person must do, since the outside system has no API for them."""
    steps: tuple[str, ...] = load_setup(port, adapter).BY_HAND
    return steps


def connection_entry(services: Services, port: str, connection: Connection) -> dict[str, Any]:
    """Return a connection that was set up as plugin.json has it.

    Raises:
        AdapterError: the outside system cannot be read.
    """
    found: dict[str, Any] = load_setup(port, connection.adapter).entry(
        connection.options, services.adapter_context
    )
    return found


def check_connection(services: Services, name: str, *, sku: str = "") -> Iterator[str]:
    """Test a connection; yield a line for people after each successful step.

    Args:
        name: the connection's name in plugin.json.
        sku: a product of ours with which a channel is tested.

    Raises:
        AdapterError: the step that does not work.
        ConfigError: there is no such connection.
    """
    rules = services.rules.current()
    checks = {"pim": _check_pim, "dam": _check_dam, "provider": _check_provider}
    for port in PORTS:
        if name in getattr(rules, port):
            yield f"{port} {name}: {getattr(rules, port)[name].adapter}"
            yield from (
                _check_channel(services, name, sku) if port == "channel" else checks[port](services, name)
            )
            return
    known = ", ".join(n for port in PORTS for n in getattr(rules, port))
    raise ConfigError(f"/connections: there is no connection {name!r}; known: {known}")


@dataclass(frozen=True, slots=True)
class TriedProduct:
    """One product of a message that was only tried."""

    # What happened to it: created, updated or deleted.
    kind: str
    # How the PIM names it.
    ref: str
    # When it happened.
    at: datetime
    # The product; None if it is deleted or cannot be read.
    product: Product | None = None
    # Why it cannot be taken in.
    problem: str = ""
    # What is missing by `products` of plugin.json.
    issues: tuple[Issue, ...] = ()
    # Parts of its record that are not used.
    left_out: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Return whether assets could be made of it."""
        return not self.problem and not any(each.severity is Severity.ERROR for each in self.issues)


@dataclass(frozen=True, slots=True)
class TriedMessage:
    """A message that was only tried."""

    products: tuple[TriedProduct, ...]
    # Why it results in no product.
    ignored: str = ""


def try_delivery(services: Services, name: str, body: bytes, headers: Mapping[str, str]) -> TriedMessage:
    """Return the products that a message of a PIM results in; store nothing.

    No secret is needed. Where one is not set, the PIM is not asked for the newest record.

    Args:
        name: the PIM's name in plugin.json.
        body: the body of a webhook.
        headers: headers that the body's meaning depends on, by name in lower case.

    Raises:
        ConfigError: there is no such PIM.
        BadOutput: the body is no message of this PIM.
        Unavailable, RateLimited: the PIM is asked for the product, and is away.
    """
    if name not in services.rules.current().pim:
        known = ", ".join(services.rules.current().pim)
        raise ConfigError(f"/connections/pim: there is no PIM {name!r}; known: {known}")
    inbound = InboundWebhook(
        headers={"content-type": "application/json", **headers},
        body=body,
        received_at=services.clock.now(),
    )
    source, can_ask = _source_to_try(services, name)
    events = source.normalize(inbound)
    if not events:
        return TriedMessage((), ignored_text(source, inbound))
    left_out = source.left_out(inbound) if isinstance(source, ExplainsMessages) else {}
    return TriedMessage(
        tuple(
            replace(tried, left_out=tuple(left_out.get(event.ref, ())))
            for event in events
            for tried in _try_event(services, name, event, can_ask=can_ask)
        )
    )


def _source_to_try(services: Services, name: str) -> tuple[Pim, bool]:
    """Return a PIM's adapter, and whether all its secrets are set."""
    connection = services.rules.current().pim[name]
    variables = [variable for _, variable in secret_references(connection.options)]
    if all(services.settings.environ.get(variable) for variable in variables):
        return services.pim(name), True
    return open_adapter("pim", name, connection, with_placeholders(services).adapter_context), False


def _try_event(services: Services, name: str, event: Event, *, can_ask: bool) -> Iterator[TriedProduct]:
    tried = TriedProduct(event.kind.value, event.ref, event.at, problem=event.problem)
    if not can_ask and event.product:
        yield replace(tried, product=event.product, issues=_issues(services, event.product))
        return
    if event.kind is EventKind.DELETED or event.problem:
        yield tried
        return
    try:
        products = fetch_products(services, name, event)
    except (NotFound, Refused, Unsupported, BadOutput) as error:
        yield replace(tried, problem=str(error))
        return
    for product in products:
        yield replace(tried, product=product, issues=_issues(services, product))


def _issues(services: Services, product: Product) -> tuple[Issue, ...]:
    return tuple(product_issues(product, services.rules.current().products))


def _check_pim(services: Services, name: str) -> Iterator[str]:
    source = services.pim(name)
    if not source.capabilities.can_list_changes:
        yield ONLY_SENDS
        return
    events = list(islice(source.changed_since(EARLIEST), MAX_TRIED_PRODUCTS))
    yield "it lists changed products" + ("" if events else ", and has no product yet")
    for event in events if source.capabilities.can_fetch else ():
        try:
            products = source.fetch(event.ref)
        except NotFound:  # a draft, or one that was deleted meanwhile
            continue
        yield f"it returns product {event.ref}: {', '.join(p.sku for p in products) or 'without a SKU'}"
        break
    listed = next((event.product for event in events if event.product), None)
    if listed and not source.capabilities.can_fetch:
        yield f"its list has product {listed.sku}"
    if isinstance(source, ChecksRights):
        yield from source.check_rights()


def _check_dam(services: Services, name: str) -> Iterator[str]:
    """Push a version, decide about it, compare its file, and remove it again, also after a failure."""
    dam, version = services.dam(name), _sample_version(services)
    product = Product(sku=version.asset.sku, name="Connection test", category="connection-test")
    external_id = f"{version.asset.sku}:test:1:{int(services.clock.now().timestamp())}"
    request = PushRequest(
        external_id=external_id,
        version=version,
        product=product,
        folder="connection-test",
        review_url=services.settings.base_url,
    )
    refs: list[str] = []
    try:
        yield from _try_dam(services, name, request, refs)
    except Exception as error:
        _clean_up(name, dam, request, refs, error)
        raise
    _clean_up(name, dam, request, refs)
    yield "the file was removed again"
    if isinstance(dam, ChecksMetadata):
        newest = services.products.page(limit=MAX_TRIED_PRODUCTS)
        yield from dam.check_metadata([record.product for record in newest])
    if sources_option(services, name):
        yield from check_photos(services, name)


def _try_dam(services: Services, name: str, request: PushRequest, refs: list[str]) -> Iterator[str]:
    """Push a version twice, decide about it, and compare its file; add what it stored to `refs`."""
    dam, version = services.dam(name), request.version
    refs.append(dam.push(request, services.blobs))
    yield f"a file was pushed: {refs[0]}"
    refs.append(dam.push(request, services.blobs))
    if refs[1] != refs[0]:
        raise BadOutput(
            name, "push", "the same version was stored twice: its user may not search, or finds nothing"
        )
    yield "a repeated push stored nothing twice"
    for state in (VersionState.IN_REVIEW, VersionState.APPROVED, VersionState.REJECTED):
        if verdict := VERDICTS.get(state):
            dam.write_state(refs[0], state, Decision(verdict=verdict, by="connection test"))
        remote = dam.remote_state(refs[0], replace(version, state=state))
        if remote.state is not state:
            message = f"{state.value} was written, {remote.state.value} was read"
            raise BadOutput(name, "remote_state", message)
        yield f"its state is {state.value.replace('_', ' ')}"
    if isinstance(dam, ChecksDecisions):
        yield dam.check_decisions(refs[0])
    if dam.changed_files(refs[0], version):
        raise BadOutput(name, "changed_files", "the file that was read is not the one that was pushed")
    yield "the file is there, byte for byte"


def _clean_up(
    name: str, dam: Dam, request: PushRequest, refs: list[str], cause: Exception | None = None
) -> None:
    """Remove all that a test stored; say which part is left if that is refused."""
    left = []
    for ref in dict.fromkeys(refs):
        try:
            dam.remove(ref)
        except AdapterError as error:
            left.append(f"{ref} ({error})")
    if not refs and isinstance(dam, ChecksDecisions):
        try:
            dam.discard(request.external_id)
        except AdapterError as error:
            if not _lets_us_do_nothing(cause, error):
                left.append(f"{request.external_id} ({error})")
    if left:
        reason = f"the test has left {', '.join(left)} there; delete it by hand"
        raise Refused(name, "remove", f"{cause}; {reason}" if cause else reason) from cause


def _lets_us_do_nothing(cause: Exception | None, error: AdapterError) -> bool:
    """Return whether a push and its clean-up failed alike, so that nothing was stored."""
    is_final = isinstance(cause, (BadOutput, Refused)) and type(cause) is type(error)
    return str(cause) == str(error) or (is_final and getattr(cause, "reason", "") == error.reason)


def _check_channel(services: Services, name: str, sku: str) -> Iterator[str]:
    """Read which of our files are live for a product, and sync the same listing again."""
    channel = services.channel(name)
    record = services.products.get(sku) if sku else None
    product = record.product if record else Product(sku=Sku(sku or "connection-test"))
    listing = build_listing(services, name, product)
    if isinstance(channel, SendsTest):
        yield channel.send_test()
    else:
        names = channel.live_files(listing)
        yield f"it was asked about {product.sku}: {len(names)} of our files are live there"
    if isinstance(channel, ChecksRights):
        yield from channel.check_rights()
    if sku:
        channel.sync(listing, services.blobs)
        yield "the same files were synced again"


def _check_provider(services: Services, name: str) -> Iterator[str]:
    provider = services.provider(name)
    try:
        if provider.capabilities.has_balance:
            yield f"it answers: {provider.balance():.2f} USD are left"
        elif provider.capabilities.tasks_per_poll:
            provider.poll(["connection-test"])
            yield "it answers"
        else:
            yield COSTS_ALWAYS
    except Unsupported:
        yield COSTS_ALWAYS


def _sample_version(services: Services) -> Version:
    file = VersionFile(
        name="connection-test_V1_PNG.png",
        format="png",
        role=Role.PRIMARY,
        view="",
        mime="image/png",
        sha256=services.blobs.put(WHITE_PIXEL),
        bytes=len(WHITE_PIXEL),
    )
    asset = Asset(
        id=AssetId("connection-test"), sku=Sku("connection-test"), deliverable="test", slot=1, kind="image"
    )
    return Version(
        id=VersionId("connection-test"),
        asset=asset,
        number=1,
        state=VersionState.IN_REVIEW,
        run_id=RunId(""),
        files=(file,),
        report=Report(),
        provenance={},
        rules_fingerprint="",
        created_at=services.clock.now(),
    )
