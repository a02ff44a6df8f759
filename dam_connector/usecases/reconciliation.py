"""Reconciliation: PIMs, DAMs, channels and our own records are compared, and differences are repaired on
request, or by themselves after an unclean start.

Webhooks and polls carry what happens. Reconciliation finds what both lost, and what people changed by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog

from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.listing import Listing
from dam_connector.domain.rules import KEEP
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import AdapterError, BadOutput, ConfigError, NotFound
from dam_connector.store.channel_listings import SentListing
from dam_connector.usecases.backfill import EARLIEST
from dam_connector.usecases.consistency_checks import check_records, repair_records
from dam_connector.usecases.dam_sync.inbound import sync_from_dam
from dam_connector.usecases.dam_sync.outbound import sync_to_dam
from dam_connector.usecases.follow_up_runs import plan_follow_up, unique_input_hash
from dam_connector.usecases.intake import ingest_event
from dam_connector.usecases.publish import build_listing, listing_sha256, lock_listing, send_listing
from dam_connector.wiring import Services

log = structlog.get_logger()
RESULT_NOTE = "reconcile:last"
REQUESTED_NOTE = "reconcile:requested"
RUNNING_NOTE = "service:running"
UNCLEAN_START_NOTE = "service:unclean-start"
MAX_STORED = 500  # differences kept of the last reconciliation
COMPARED_STATES = (
    VersionState.IN_REVIEW,
    VersionState.APPROVED,
    VersionState.REJECTED,
    VersionState.PUBLISHED,
)
WAITING_STATES = (VersionState.DRAFT, VersionState.BLOCKED, VersionState.IN_REVIEW, VersionState.APPROVED)
RECONCILIATION_LEASE_S = 3600.0  # one process reconciles at a time


class DriftKind(StrEnum):
    """The ways in which a connection and our records differ."""

    MISSING = "missing"  # on the side that should have it
    STALE = "stale"
    ORPHANED = "orphaned"  # it exists, but should not
    CHANGED = "changed"  # by hand
    FAILED = "failed"  # the connection could not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One difference between a connection and our records."""

    kind: DriftKind
    # `pim`, `dam`, `channel`, or `connector` for our own records.
    port: str
    # The connection's name in plugin.json.
    where: str
    # Empty when we have no such product.
    sku: str
    # For a PIM, its reference of the product; for a DAM, our version id; for a channel, the SKU; for our own
    # records, our version id, or empty when the product's runs are missing.
    ref: str
    # For people.
    detail: str

    @property
    def remedy(self) -> str:
        """Return how `repair` resolves the difference, for people."""
        return _REMEDIES.get((self.port, self.kind), "look at it there")


_REMEDIES = {
    ("pim", DriftKind.MISSING): "add the product",
    ("pim", DriftKind.STALE): "fetch the product again",
    ("pim", DriftKind.ORPHANED): "ask the PIM once more, and mark the product as deleted",
    ("dam", DriftKind.MISSING): "push it again",
    ("dam", DriftKind.STALE): "adopt the decision made there, or write our state",
    ("dam", DriftKind.CHANGED): "replace the files there with ours",
    ("channel", DriftKind.MISSING): "publish it again",
    ("channel", DriftKind.ORPHANED): "remove it there",
    ("channel", DriftKind.STALE): "send the listing again",
    ("connector", DriftKind.STALE): "bring the channels in line with what people asked for",
    ("connector", DriftKind.MISSING): "plan its runs",
}


def reconcile(services: Services, *, connection: str = "", compare_files: bool = True) -> Iterator[Drift]:
    """Compare PIMs, DAMs and channels with our records; yield the differences.

    A connection that cannot be asked yields a `FAILED` difference, and the next one follows.

    Args:
        connection: the only connection to compare; empty: all.
        compare_files: whether to read the files in DAMs and compare their bytes.

    Raises:
        ConfigError: there is no such connection.
    """
    rules = services.rules.current()
    by_port = {"pim": rules.pim, "dam": rules.dam, "channel": rules.channel}
    known = [(port, name) for port, connections in by_port.items() for name in connections]
    if connection and connection not in {name for _, name in known}:
        names = ", ".join(name for _, name in known)
        raise ConfigError(f"there is no PIM, DAM or channel {connection!r}; known: {names}")
    if not connection:
        yield from _compare_records(services)
    for port, name in known:
        if connection in ("", name):
            try:
                yield from _compare(services, port, name, compare_files)
            except (AdapterError, ConfigError) as error:
                yield Drift(kind=DriftKind.FAILED, port=port, where=name, sku="", ref="", detail=str(error))


def _compare_records(services: Services) -> Iterator[Drift]:
    for problem in check_records(services):
        yield Drift(
            kind=DriftKind.STALE if problem.ref else DriftKind.MISSING,
            port="connector",
            where="records",
            sku=problem.sku,
            ref=problem.ref,
            detail=problem.detail,
        )


def _compare(services: Services, port: str, name: str, compare_files: bool) -> Iterator[Drift]:
    if port == "pim":
        return _compare_pim(services, name)
    if port == "dam":
        return _compare_dam(services, name, compare_files)
    return _compare_channel(services, name)


def _compare_pim(services: Services, name: str) -> Iterator[Drift]:
    """Compare the PIM's list of all products, and when each one changed last, with our records."""
    source = services.pim(name)
    if not source.capabilities.can_list_changes:
        return
    known = services.products.of_connection(name)
    listed: set[str] = set()
    for event in source.changed_since(EARLIEST):
        listed.add(event.ref)
        sku, changed_at = known.get(event.ref, ("", None))
        place = {"port": "pim", "where": name, "sku": sku, "ref": event.ref}
        if changed_at is None:
            yield Drift(kind=DriftKind.MISSING, detail="it exists there, but not here", **place)
        elif event.at > changed_at:
            detail = f"changed there {event.at:%Y-%m-%d %H:%M}, known here of {changed_at:%Y-%m-%d %H:%M}"
            yield Drift(kind=DriftKind.STALE, detail=detail, **place)
    if source.capabilities.can_fetch:  # others, e.g. a folder of sheets, list changes, not all products
        for ref, (sku, _) in known.items():
            if ref not in listed:
                place = {"port": "pim", "where": name, "sku": sku, "ref": ref}
                yield Drift(kind=DriftKind.ORPHANED, detail="it exists here, but no longer there", **place)


def _compare_dam(services: Services, name: str, compare_files: bool) -> Iterator[Drift]:
    dam = services.dam(name)
    if dam.capabilities.is_reviewed_here:
        return
    for version in services.assets.in_dam(name, COMPARED_STATES):
        place = {"port": "dam", "where": name, "sku": version.asset.sku, "ref": version.id}
        title = _title(version)
        try:
            remote = dam.remote_state(version.dam_ref, version)
            changed = dam.changed_files(version.dam_ref, version) if compare_files else ()
        except NotFound:
            yield Drift(kind=DriftKind.MISSING, detail=f"{title} no longer exists there", **place)
            continue
        except BadOutput as error:
            yield Drift(kind=DriftKind.STALE, detail=f"{title}: {error}", **place)
            continue
        if remote.state is not version.state:
            detail = f"{title} is {remote.state.value} there, {version.state.value} here"
            yield Drift(kind=DriftKind.STALE, detail=detail, **place)
        if changed:
            yield Drift(kind=DriftKind.CHANGED, detail=f"{title}: {', '.join(changed)}", **place)


def _compare_channel(services: Services, name: str) -> Iterator[Drift]:
    channel = services.channel(name)
    for sku in sorted({*services.publications.skus(name), *services.channel_listings.skus(name)}):
        listing = _listing(services, name, sku)
        if listing is None:
            continue
        try:
            live, expected = set(channel.live_files(listing)), set(channel.expected_files(listing))
        except NotFound:
            live, expected = set(), set(channel.expected_files(listing))
        place = {"port": "channel", "where": name, "sku": sku, "ref": sku}
        sent = services.channel_listings.of_product(sku).get(name)
        if sent and not sent.synced_at:
            yield Drift(kind=DriftKind.STALE, detail="it is not known to have the last listing", **place)
            continue
        if missing := sorted(expected - live):
            yield Drift(kind=DriftKind.MISSING, detail=", ".join(missing), **place)
        if orphaned := sorted(live - expected):
            yield Drift(kind=DriftKind.ORPHANED, detail=", ".join(orphaned), **place)
        if live == expected and sent and not _was_sent(services, name, listing, sent):
            detail = "it was sent other texts, another order or another folder"
            yield Drift(kind=DriftKind.STALE, detail=detail, **place)


def _was_sent(services: Services, channel: str, listing: Listing, sent: SentListing) -> bool:
    """Return whether a channel has a listing's content, or gets it with a version that waits.

    New facts of a product, e.g. its colour, make new versions. Before one of them is approved, the pictures
    that are live show the former facts.
    """
    sku = listing.product.sku
    return services.channel_listings.has_content(channel, sku, listing_sha256(listing)) or any(
        version.state in WAITING_STATES and sent.synced_at and version.created_at > sent.synced_at
        for version in services.assets.of_product(sku)
    )


def _listing(services: Services, channel: str, sku: str) -> Listing | None:
    """Return what is to be live for a product in a channel; None if it is deleted and its assets are kept."""
    record = services.products.get(sku)
    if record is None or (record.deleted and services.rules.current().products.on_delete == KEEP):
        return None
    return build_listing(services, channel, record.product)


def _title(version: Version) -> str:
    return f"{version.asset.deliverable} {version.asset.slot} V{version.number}"


def repair(services: Services, drift: Drift) -> str:
    """Resolve one difference; return a summary for people.

    Raises:
        AdapterError, ConfigError: the connection cannot be used.
    """
    if drift.port == "pim" and drift.kind is not DriftKind.FAILED:
        event = Event(kind=EventKind.UPDATED, ref=drift.ref, at=services.clock.now())
        return ingest_event(services, drift.where, event)
    if drift.port == "connector":
        return repair_records(services, drift.sku, drift.ref)
    if drift.port == "channel":
        with lock_listing(services, drift.where, drift.sku):
            if listing := _listing(services, drift.where, drift.sku):
                send_listing(services, drift.where, listing)
                return f"{drift.sku}: {len(listing.placements)} assets are live"
    version = services.assets.get(drift.ref) if drift.port == "dam" else None
    if version is None:
        return "nothing can be done from here"
    return _repair_in_dam(services, drift, version)


def repair_found(services: Services, where: str, ref: str, kind: str, *, by: str) -> str:
    """Resolve a difference that the last comparison found; return a summary for people.

    Args:
        by: the name of whoever asks for it, for the audit log.

    Raises:
        NotFound: the last comparison did not find it.
        AdapterError, ConfigError: the connection cannot be used.
    """
    _, _, differences = last_result(services)
    key = (where, ref, kind)
    drift = next((d for d in differences if (d.where, d.ref, d.kind.value) == key), None)
    if drift is None:
        raise NotFound("reconciliation", "repair", "the last comparison did not find this difference")
    message = repair(services, drift)
    with services.transaction():
        subject = f"{drift.where} {drift.ref}"
        services.audit.add("difference_repaired", by=by, subject=subject, detail=message)
        store_result(services, [d for d in differences if d != drift])
    return message


def request_reconciliation(services: Services, *, by: str) -> None:
    """Let the sweeper compare everything soon, as if it were time by plugin.json."""
    services.notes.set(REQUESTED_NOTE, by)


def is_requested(services: Services) -> bool:
    """Return whether a comparison was requested that has not ended yet."""
    return bool(services.notes.get(REQUESTED_NOTE))


def _repair_in_dam(services: Services, drift: Drift, version: Version) -> str:
    if drift.kind is DriftKind.STALE:
        try:
            return sync_from_dam(services, drift.where, version.dam_ref)
        except BadOutput:  # the state there means nothing to us
            services.assets.set_dam_state(version.id, None)
            sync_to_dam(services, version)
            return f"{_title(version)}: our state is written there again"
    if drift.kind is DriftKind.CHANGED:
        services.dam(drift.where).remove(version.dam_ref)
    services.assets.set_dam_ref(version.id, "", "")
    plan_follow_up(services, version, RunKind.REVIEW, unique_input_hash("push", services))
    return f"{_title(version)} is pushed again"


def store_result(services: Services, found: list[Drift]) -> None:
    """Store the differences, at most `MAX_STORED`, for the page that shows them."""
    rows = [
        {
            "kind": d.kind.value,
            "port": d.port,
            "where": d.where,
            "sku": d.sku,
            "ref": d.ref,
            "detail": d.detail,
        }
        for d in found[:MAX_STORED]
    ]
    result = {"at": services.clock.now().isoformat(), "count": len(found), "rows": rows}
    services.notes.set(RESULT_NOTE, result)


def last_result(services: Services) -> tuple[datetime | None, int, list[Drift]]:
    """Return the result of the last reconciliation.

    Returns:
        When it ran, None if never; the number of differences; the first `MAX_STORED` of them.
    """
    result = services.notes.get(RESULT_NOTE)
    if not result:
        return None, 0, []
    differences = [Drift(**{**row, "kind": DriftKind(row["kind"])}) for row in result["rows"]]
    return datetime.fromisoformat(result["at"]), result["count"], differences


def note_start(services: Services) -> None:
    """Record that the service runs. If it did not stop cleanly before, it is reconciled soon."""
    with services.transaction():
        if services.notes.get(RUNNING_NOTE):
            services.notes.set(UNCLEAN_START_NOTE, True)
        services.notes.set(RUNNING_NOTE, True)


def note_stop(services: Services) -> None:
    """Record that the service stopped cleanly."""
    services.notes.delete(RUNNING_NOTE)


def reconcile_when_due(services: Services, owner: str) -> bool:
    """Reconcile if it is time by plugin.json, and repair the differences if `mend` is set there.

    When somebody requested it, it is time too. After an unclean start it is, and the differences in our own
    records are repaired in any case.

    Args:
        owner: the name of this process, for the lease.

    Returns:
        Whether it was time.
    """
    rules = services.rules.current().reconcile
    last_at, _, _ = last_result(services)
    now, is_unclean = services.clock.now(), bool(services.notes.get(UNCLEAN_START_NOTE))
    is_due = rules.every_hours and not (
        last_at and (now - last_at).total_seconds() < rules.every_hours * 3600
    )
    if not is_due and not is_unclean and not is_requested(services):
        return False
    if not services.locks.lease("reconcile", owner, RECONCILIATION_LEASE_S):
        return False
    found = list(reconcile(services, compare_files=rules.files))
    store_result(services, found)
    services.notes.delete(UNCLEAN_START_NOTE)
    services.notes.delete(REQUESTED_NOTE)
    for drift in found:
        if not rules.mend and not (is_unclean and drift.port == "connector"):
            continue
        try:
            log.info("mended", where=drift.where, sku=drift.sku, said=repair(services, drift))
        except (AdapterError, ConfigError) as error:
            log.warning("not_mended", where=drift.where, sku=drift.sku, error=str(error))
    return True
