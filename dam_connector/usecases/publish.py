"""Publishing: which versions are live in a channel, and how that changes by rollback, withdrawal or on a
later day.

The first publication follows from an approval: see `review.decide`. Every run that publishes or withdraws
brings the channels in line with `wanted_version`, whatever it was planned for.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

import structlog

from dam_connector.domain.adoption import ADOPTED
from dam_connector.domain.asset_texts import alt_text
from dam_connector.domain.channel_names import channel_names
from dam_connector.domain.file_names import product_folder
from dam_connector.domain.listing import Listing, Placement
from dam_connector.domain.live import live_version_id
from dam_connector.domain.product import Product
from dam_connector.domain.rules import WITHDRAW, Rules
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import ApprovedVersion, Asset, Version, VersionState
from dam_connector.domain.wanted_slots import wanted_channels
from dam_connector.errors import ConnectorError, ProductDeleted, StateConflict
from dam_connector.ports import Channel
from dam_connector.store.channel_listings import SentListing
from dam_connector.usecases.dam_sync.outbound import sync_to_dam
from dam_connector.usecases.follow_up_runs import plan_follow_up, unique_input_hash
from dam_connector.wiring import Services
from schemas.product import normal_locale
from schemas.webhook_listing import dump_listing

log = structlog.get_logger()


def require_product(services: Services, version: Version) -> None:
    """Check that a version may go live: its product was not deleted, or plugin.json keeps it live.

    Raises:
        ProductDeleted: it may not.
    """
    record = services.products.lock(version.asset.sku)
    if record and record.deleted and services.rules.current().products.on_delete == WITHDRAW:
        raise ProductDeleted(f"{version.asset.sku} was deleted in its PIM; nothing of it goes live")


def wanted_version(services: Services, product: Product, asset: Asset) -> Version | None:
    """Return the version of an asset that is to be live now, or None."""
    versions = {v.id: v for v in services.assets.versions(asset.id)}
    published = [v.id for v in versions.values() if v.state is VersionState.PUBLISHED]
    wanted = live_version_id(
        services.live_requests.of_asset(asset.id),
        services.clock.now(),
        live_from=product.live_from,
        live_until=product.live_until,
        published=published,
    )
    return versions.get(wanted) if wanted else None


def build_listing(
    services: Services,
    channel: str,
    product: Product,
    *,
    asset: Asset | None = None,
    wanted: ApprovedVersion | None = None,
) -> Listing:
    """Return what is live for a product in a channel, in the order of the deliverables in plugin.json.

    Args:
        channel: the channel's name in plugin.json.
        asset: an asset that changes there.
        wanted: its version that is to be live; None: no version is.
    """
    live = [
        p
        for p in services.publications.of_product(product.sku)
        if p.channel == channel and (asset is None or p.asset_id != asset.id)
    ]
    found = [wanted] if wanted else []
    for publication in live:
        version = services.assets.get(publication.version_id)
        try:
            found += [services.decisions.approved_version(version)] if version else []
        except StateConflict as error:
            log.warning("not_listed", version_id=publication.version_id, error=str(error))
    rules = services.rules.current()
    options = rules.channel[channel].options if channel in rules.channel else {}
    names = [*_texts_of(options, "order"), *(d.name for d in rules.deliverables)]
    order = {name: number for number, name in reversed(list(enumerate(names)))}  # the first place counts
    found.sort(key=lambda a: (order.get(a.version.asset.deliverable, len(names)), a.version.asset.slot))
    return Listing(
        product=product.in_locale(locale_of(rules, channel)),
        translated=_translated(product, rules, channel),
        folder=product_folder(product, rules),
        page_url=f"{services.settings.base_url}/ar/{quote(product.sku)}",
        placements=tuple(_placements(services, channel, product, found)),
    )


def listing_sha256(listing: Listing) -> str:
    """Return what identifies the content of a listing: files, texts and folder."""
    content = json.dumps(dump_listing(listing), sort_keys=True)
    return hashlib.sha256(f"{listing.folder} {content}".encode()).hexdigest()


def locale_of(rules: Rules, channel: str) -> str:
    """Return the locale that a channel wants its texts in; empty: that of the PIM."""
    connection = rules.channel.get(channel)
    return normal_locale(str(connection.options.get("locale", ""))) if connection else ""


def languages_of(rules: Rules, channel: str) -> tuple[str, ...]:
    """Return the further locales that a channel wants texts in."""
    connection = rules.channel.get(channel)
    names = _texts_of(connection.options, "languages") if connection else ()
    return tuple(dict.fromkeys(map(normal_locale, names)))


def _translated(product: Product, rules: Rules, channel: str) -> dict[str, Product]:
    """Return a product in each further language of a channel that it has texts in."""
    found = {locale: product.in_locale(locale) for locale in languages_of(rules, channel)}
    return {locale: translated for locale, translated in found.items() if translated != product}


def _texts_of(options: Mapping[str, object], name: str) -> list[str]:
    found = options.get(name, ())
    return [str(each) for each in found] if isinstance(found, (list, tuple)) else []


def send_listing(services: Services, channel: str, listing: Listing, *, since: datetime | None = None) -> str:
    """Bring a channel in line with a listing, under `lock_listing`; return the product's address there.

    Before each request to the channel it is checked that this process still has the lock. A process that is
    paused just then may send an old listing after a newer one. When it goes on, it plans a run that sends the
    last listing again.

    Args:
        channel: the channel's name in plugin.json.
        listing: what is to be live.
        since: do not send it again if the channel accepted the same content after this time.

    Raises:
        NotFound, Refused, ConfigError: do not retry.
        Unavailable, RateLimited: retry later.
        StateConflict: another process has the lock now.
    """
    sku, folder, adapter = listing.product.sku, listing.folder, services.channel(channel)
    sha256 = listing_sha256(listing)
    assets = [placement.approved.version.asset.id for placement in listing.placements]
    sent = services.channel_listings.begin(channel, sku, sha256=sha256, folder=folder, assets=assets)
    if since and sent.synced_at and sent.synced_at >= since:
        return sent.url
    former = tuple(f for f in sent.folders if f != folder)
    numbered = replace(listing, sequence=sent.sequence, former_folders=former)
    try:
        url = _sync(services, adapter, numbered)
        services.channel_listings.finish(
            channel, sku, sequence=sent.sequence, folder=folder, assets=assets, url=url
        )
    except ConnectorError:
        _correct_late_sending(services, channel, sku, sent)
        raise
    return url


def _sync(services: Services, adapter: Channel, listing: Listing) -> str:
    services.db.check_guard()
    with services.http.checked(services.db.check_guard):
        return adapter.sync(listing, services.blobs)


def _correct_late_sending(services: Services, channel: str, sku: str, sent: SentListing) -> None:
    """Plan a run that sends the last listing, if another process took over while this one was sending."""
    try:
        services.db.check_guard()
    except StateConflict as error:
        log.warning("sent_late", channel=channel, sku=sku, error=str(error))
        with services.db.unguarded(), services.transaction():
            services.channel_listings.doubt(channel, sku, sent)
            for asset in sent.assets[:1]:  # its run sends the listing of the whole product
                version = services.assets.versions(asset)[0]
                plan_follow_up(services, version, RunKind.PUBLISH, unique_input_hash("late", services))


def _placements(
    services: Services, channel: str, product: Product, found: list[ApprovedVersion]
) -> Iterator[Placement]:
    """Yield a placement for each version, with the names that its files have in the channel."""
    rules = services.rules.current()
    names = channel_names(channel, product, [each.version for each in found], rules)
    for approved, new_names in zip(found, names, strict=True):
        own = approved.for_channel(channel)
        yield _placement(services, channel, product, own, new_names)


def _placement(
    services: Services, channel: str, product: Product, approved: ApprovedVersion, names: Mapping[str, str]
) -> Placement:
    rules = services.rules.current()
    version, locale = approved.version, locale_of(rules, channel)
    deliverable = rules.deliverable(version.asset.deliverable)
    style = deliverable.style if deliverable else "studio"
    translated = _translated(product, rules, channel)
    links = {
        names[f.name]: f"{services.settings.base_url}/files/{f.sha256}/{quote(f.name)}"
        for f in version.channel_files
        if f.name in names
    }
    files = tuple(replace(f, name=names[f.name]) for f in version.files if f.name in names)
    renamed = replace(
        approved,
        version=replace(version, files=files),
        files_sha256={names[n]: sha256 for n, sha256 in approved.files_sha256.items() if n in names},
    )
    return Placement(
        approved=renamed,
        alt_text=alt_text(product.in_locale(locale), style=style, locale=locale),
        alt_texts={each: alt_text(made, style=style, locale=each) for each, made in translated.items()},
        links=links,
    )


@contextmanager
def lock_listing(services: Services, channel: str, sku: str) -> Iterator[None]:
    """Lock a product's media in a channel: of two processes, each would overwrite what the other adds.

    A process that lost the lock, e.g. since it was paused, writes nothing more in the block.

    Raises:
        Busy: another process holds the lock.
    """
    with services.locks.lock(f"{channel} {sku}") as check, services.db.guarded(check):
        yield


def can_roll_back(services: Services, version: Version) -> bool:
    """Return whether a rollback to this version is possible."""
    was_live = version.state in (VersionState.SUPERSEDED, VersionState.WITHDRAWN)
    return (was_live or is_waiting_adopted(services, version)) and services.decisions.is_approved(version)


def is_waiting_adopted(services: Services, version: Version) -> bool:
    """Return whether a version was adopted as approved and nobody asked for it to be live yet."""
    is_adopted = version.provenance.get("generator") == ADOPTED and version.state is VersionState.APPROVED
    return is_adopted and not services.live_requests.of_version(version)


def rollback(services: Services, version: Version, *, by: str) -> None:
    """Make an earlier approved version live again in every channel of its deliverable.

    An adopted version, which was approved elsewhere and never asked to be live, goes live by it too.

    Raises:
        StateConflict: the version was not approved, is neither superseded nor withdrawn nor adopted, or its
            product was deleted.
    """
    with services.transaction():
        require_product(services, version)
        services.assets.lock_asset(version.asset.id)
        current = services.assets.get(version.id) or version
        if not (is_waiting_adopted(services, current) and services.decisions.is_approved(current)):
            services.decisions.reinstate(version)
        services.assets.set_go_live_at(version.id, None)
        services.live_requests.add(version, goes_live=True, by=by)
        services.history.add(
            "rolled_back",
            sku=version.asset.sku,
            version_id=version.id,
            by=by,
            detail=f"to V{version.number}",
        )
        plan_follow_up(services, version, RunKind.PUBLISH, unique_input_hash("rollback", services))


def withdraw(services: Services, version: Version, *, by: str, reason: str = "") -> None:
    """Remove a version from all channels.

    An approved version may be live in some channels while others are away. It is taken back, and the version
    that was live before is live again there.

    Raises:
        StateConflict: the version is neither live nor approved.
    """
    with services.transaction():
        services.assets.lock_asset(version.asset.id)
        current = services.assets.get(version.id) or version
        services.assets.transition(
            version.id,
            VersionState.WITHDRAWN,
            from_states=[VersionState.PUBLISHED, VersionState.APPROVED],
        )
        if current.state is VersionState.PUBLISHED:
            services.live_requests.add(version, goes_live=False, by=by)
        else:
            services.live_requests.undo_newest(version)
        services.history.add("withdrawn", sku=version.asset.sku, version_id=version.id, by=by, detail=reason)
        sync_to_dam(services, version)
        plan_follow_up(services, version, RunKind.WITHDRAW, unique_input_hash("withdraw", services))


def wait_for_day(services: Services, product: Product, version: Version) -> datetime | None:
    """Return when a version may go live, by its own schedule and its product's embargo; None: now."""
    request = services.live_requests.newest(version)
    if request is None or not request.goes_live:
        return None
    embargo = product.live_from if version.state is not VersionState.PUBLISHED else None
    latest = max(filter(None, (request.due_at, embargo)), default=None)
    return latest if latest and latest > services.clock.now() else None


def channels_of(services: Services, product: Product, asset: Asset) -> tuple[str, ...]:
    """Return the channels in which an asset is live, by the rules in force and the product's sheet.

    There are none if the rules no longer want it.
    """
    return wanted_channels(services.rules.current(), product, asset.deliverable, asset.slot)


def channels_to_update(
    services: Services, product: Product, asset: Asset, wanted: Version | None
) -> list[str]:
    """Return the channels that are to show the wanted version, and those that may show another one."""
    channels = channels_of(services, product, asset) if wanted else ()
    live = [p.channel for p in services.publications.of_asset(asset.id)]
    may_have = [
        channel
        for channel, sent in services.channel_listings.of_product(asset.sku).items()
        if asset.id in sent.assets
    ]
    return list(dict.fromkeys([*channels, *live, *may_have]))


def is_in_line(services: Services, product: Product, asset: Asset, wanted: Version | None) -> bool:
    """Return whether no channel may show another version of an asset than the wanted one."""
    live = {p.channel: p.version_id for p in services.publications.of_asset(asset.id)}
    sent = services.channel_listings.of_product(asset.sku)
    return all(
        channel in sent and sent[channel].synced_at and wanted and live.get(channel) == wanted.id
        for channel in channels_to_update(services, product, asset, None)
    )


def record_live(services: Services, product: Product, asset: Asset, channels: Collection[str]) -> bool:
    """Record what is live of an asset, once its channels are in line with what people asked for.

    Args:
        channels: the channels of the asset's deliverable.

    Returns:
        Whether they are in line. Otherwise somebody asked for something else meanwhile.
    """
    with services.transaction():
        services.assets.lock_asset(asset.id)
        wanted = wanted_version(services, product, asset)
        live = {p.channel: p.version_id for p in services.publications.of_asset(asset.id)}
        if live != (dict.fromkeys(channels, wanted.id) if wanted else {}):
            return False
        services.assets.show_only(asset.id, [wanted.id] if wanted else [])
        if wanted and wanted.state is not VersionState.PUBLISHED:
            services.assets.transition(wanted.id, VersionState.PUBLISHED)
            services.history.add("published", sku=asset.sku, version_id=wanted.id, detail=", ".join(channels))
        _supersede_others(services, asset, wanted)
    return True


def _supersede_others(services: Services, asset: Asset, wanted: Version | None) -> None:
    """Supersede the versions that were live, and the approved ones that were asked for earlier."""
    newest = services.live_requests.newest(wanted) if wanted else None
    for version in services.assets.versions(asset.id):
        if wanted and version.id == wanted.id:
            continue
        request = services.live_requests.newest(version)
        is_overtaken = newest is not None and request is not None and request.number < newest.number
        if version.state is VersionState.PUBLISHED or (
            version.state is VersionState.APPROVED and is_overtaken
        ):
            services.assets.transition(version.id, VersionState.SUPERSEDED)
