"""Reconciling: PIM, our records, DAM and channels compared; where they drifted apart is shown, and mended on request.

Nothing here is urgent: webhooks and polls carry what happens. This finds what both lost, and what people changed by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog

from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.listing import Listing
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import AdapterError, BadOutput, ConfigError, NotFound
from dam_connector.usecases.backfill import EARLIEST
from dam_connector.usecases.dam_sync.inbound import sync_from_dam
from dam_connector.usecases.dam_sync.outbound import sync_to_dam
from dam_connector.usecases.follow_up_runs import plan_follow_up, unique_input_hash
from dam_connector.usecases.intake import ingest_event
from dam_connector.usecases.publish import build_listing, lock_listing
from dam_connector.wiring import Services

log = structlog.get_logger()
RESULT_NOTE = "reconcile:last"
MAX_STORED = 500  # findings of the last reconciliation
COMPARED_STATES = (VersionState.IN_REVIEW, VersionState.APPROVED, VersionState.REJECTED, VersionState.PUBLISHED)
LEASE_S = 3600.0


class DriftKind(StrEnum):
    """In what way a connection and our records are not of one mind."""

    MISSING = "missing"  # on the side that should have it
    STALE = "stale"
    ORPHANED = "orphaned"  # it is there, and should not
    CHANGED = "changed"  # by hand
    FAILED = "failed"  # it could not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One finding. where: the connection. ref: how that connection names it, or the version's id here."""

    kind: DriftKind
    port: str
    where: str
    sku: str
    ref: str
    detail: str

    @property
    def remedy(self) -> str:
        """What mending does about it."""
        return _REMEDIES.get((self.port, self.kind), "look at it there")


_REMEDIES = {
    ("pim", DriftKind.MISSING): "take it in",
    ("pim", DriftKind.STALE): "take in its newest facts",
    ("pim", DriftKind.ORPHANED): "ask for it once more, and take it for deleted",
    ("dam", DriftKind.MISSING): "push it again",
    ("dam", DriftKind.STALE): "take in what was decided there, else write our state",
    ("dam", DriftKind.CHANGED): "replace the files there by ours",
    ("channel", DriftKind.MISSING): "publish it again",
    ("channel", DriftKind.ORPHANED): "take it off",
}


def reconcile(services: Services, *, connection: str = "", compare_files: bool = True) -> Iterator[Drift]:
    """Where things drifted apart, connection by connection. only: of this one. files: those in DAMs are read and compared too.

    Raises: ConfigError when there is no such connection.
    """
    rules = services.rules.current()
    looks = {"pim": rules.pim, "dam": rules.dam, "channel": rules.channel}
    known = [(port, name) for port, connections in looks.items() for name in connections]
    if connection and connection not in {name for _, name in known}:
        raise ConfigError(
            f"there is no PIM, DAM or channel {connection!r}; known: {', '.join(name for _, name in known)}"
        )
    for port, name in known:
        if connection in ("", name):
            try:
                yield from (
                    _pim(services, name)
                    if port == "pim"
                    else _dam(services, name, compare_files)
                    if port == "dam"
                    else _channel(services, name)
                )
            except (AdapterError, ConfigError) as error:
                yield Drift(kind=DriftKind.FAILED, port=port, where=name, sku="", ref="", detail=str(error))


def _pim(services: Services, name: str) -> Iterator[Drift]:
    """By the source's own list of everything, and when each was changed last."""
    source = services.pim(name)
    if not source.capabilities.can_list_changes:
        return
    known = services.products.of_connection(name)
    listed: set[str] = set()
    for event in source.changed_since(EARLIEST):
        listed.add(event.ref)
        here = known.get(event.ref)
        if here is None:
            yield Drift(
                kind=DriftKind.MISSING,
                port="pim",
                where=name,
                sku="",
                ref=event.ref,
                detail="it is there, and not here",
            )
        elif event.at > here[1]:
            detail = f"changed there {event.at:%Y-%m-%d %H:%M}, known here of {here[1]:%Y-%m-%d %H:%M}"
            yield Drift(kind=DriftKind.STALE, port="pim", where=name, sku=here[0], ref=event.ref, detail=detail)
    if source.capabilities.can_fetch:  # else it lists what changed, not what there is
        for ref, (sku, _) in known.items():
            if ref not in listed:
                yield Drift(
                    kind=DriftKind.ORPHANED,
                    port="pim",
                    where=name,
                    sku=sku,
                    ref=ref,
                    detail="it is here, and no longer there",
                )


def _dam(services: Services, name: str, files: bool) -> Iterator[Drift]:
    dam = services.dam(name)
    if dam.capabilities.is_reviewed_here:
        return
    for version in services.assets.in_dam(name, COMPARED_STATES):
        about = {"port": "dam", "where": name, "sku": version.asset.sku, "ref": version.id}
        try:
            found = dam.remote_state(version.dam_ref, version)
            changed = dam.changed_files(version.dam_ref, version) if files else ()
        except NotFound:
            yield Drift(kind=DriftKind.MISSING, detail=f"{_title(version)} is not there any more", **about)
            continue
        except BadOutput as error:
            yield Drift(kind=DriftKind.STALE, detail=f"{_title(version)}: {error}", **about)
            continue
        if found.state is not version.state:
            yield Drift(
                kind=DriftKind.STALE,
                detail=f"{_title(version)} is {found.state.value} there, {version.state.value} here",
                **about,
            )
        if changed:
            yield Drift(kind=DriftKind.CHANGED, detail=f"{_title(version)}: {', '.join(changed)}", **about)


def _channel(services: Services, name: str) -> Iterator[Drift]:
    channel = services.channel(name)
    for sku in services.publications.skus(name):
        listing = _listing(services, name, sku)
        if listing is None:
            continue
        try:
            live, wanted = set(channel.live_files(listing)), set(channel.expected_files(listing))
        except NotFound:
            live, wanted = set(), set(channel.expected_files(listing))
        about = {"port": "channel", "where": name, "sku": sku, "ref": sku}
        if gone := sorted(wanted - live):
            yield Drift(kind=DriftKind.MISSING, detail=", ".join(gone), **about)
        if left := sorted(live - wanted):
            yield Drift(kind=DriftKind.ORPHANED, detail=", ".join(left), **about)


def _listing(services: Services, channel: str, sku: str) -> Listing | None:
    record = services.products.get(sku)
    return build_listing(services, channel, record.product) if record and not record.deleted else None


def _title(version: Version) -> str:
    return f"{version.asset.deliverable} {version.asset.slot} V{version.number}"


def mend(services: Services, drift: Drift) -> str:
    """Put one finding right; gives a few words about it. Raises: AdapterError, ConfigError."""
    if drift.port == "pim" and drift.kind is not DriftKind.FAILED:
        return ingest_event(
            services, drift.where, Event(kind=EventKind.UPDATED, ref=drift.ref, at=services.clock.now())
        )
    if drift.port == "channel" and (listing := _listing(services, drift.where, drift.sku)):
        with lock_listing(services, drift.where, drift.sku):
            services.channel(drift.where).sync(listing, services.blobs)
        return f"{drift.sku}: {len(listing.placements)} assets are live"
    version = services.assets.get(drift.ref) if drift.port == "dam" else None
    if version is None:
        return "nothing can be done from here"
    return _mend_in_dam(services, drift, version)


def _mend_in_dam(services: Services, drift: Drift, version: Version) -> str:
    if drift.kind is DriftKind.STALE:
        try:
            return sync_from_dam(services, drift.where, version.dam_ref)
        except BadOutput:
            services.assets.set_dam_state(version.id, None)
            sync_to_dam(services, version)
            return f"{_title(version)}: our state is written there again"
    if drift.kind is DriftKind.CHANGED:
        services.dam(drift.where).remove(version.dam_ref)
    services.assets.set_dam_ref(version.id, "", "")
    plan_follow_up(services, version, RunKind.REVIEW, unique_input_hash("push", services))
    return f"{_title(version)} is pushed again"


def store_result(services: Services, found: list[Drift]) -> None:
    """Keep what was found for the page that shows it."""
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
    services.notes.set(RESULT_NOTE, {"at": services.clock.now().isoformat(), "count": len(found), "rows": rows})


def last_result(services: Services) -> tuple[datetime | None, int, list[Drift]]:
    """When it was reconciled last, how much was found, and the first of it."""
    noted = services.notes.get(RESULT_NOTE)
    if not noted:
        return None, 0, []
    return (
        datetime.fromisoformat(noted["at"]),
        noted["count"],
        [Drift(**{**row, "kind": DriftKind(row["kind"])}) for row in noted["rows"]],
    )


def reconcile_when_due(services: Services, owner: str) -> bool:
    """Whether it was time, by plugin.json, and it was done; with `mend`, what was found is mended."""
    rules = services.rules.current().reconcile
    at, _, _ = last_result(services)
    now = services.clock.now()
    if not rules.every_hours or (at and (now - at).total_seconds() < rules.every_hours * 3600):
        return False
    if not services.locks.lease("reconcile", owner, LEASE_S):
        return False
    found = list(reconcile(services, compare_files=rules.files))
    store_result(services, found)
    for drift in found if rules.mend else ():
        try:
            log.info("mended", where=drift.where, sku=drift.sku, said=mend(services, drift))
        except (AdapterError, ConfigError) as error:
            log.warning("not_mended", where=drift.where, sku=drift.sku, error=str(error))
    return True
