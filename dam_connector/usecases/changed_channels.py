"""Placement: a deliverable whose channels changed in plugin.json is not made again, but brought in line.

Nor is one made again for other conditions of its generators (`when`) that leave the same ones for a product.

The input hash of a run has all fields of its deliverable, also those that change nothing of the files. Hashes
are kept from release to release, since a new one would make, and pay, every asset again.
"""

from collections.abc import Collection
from dataclasses import replace

from dam_connector.domain.channel_names import UNVERSIONED_ADAPTERS
from dam_connector.domain.generator_choice import choice_key
from dam_connector.domain.planning import PlannedRun, input_hash
from dam_connector.domain.product import Product
from dam_connector.domain.row_request import apply_request
from dam_connector.domain.rules import Rules
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import VersionState
from dam_connector.store.run_records import base_input_hash
from dam_connector.usecases.follow_up_runs import plan_follow_up, unique_input_hash
from dam_connector.usecases.publish import build_listing, channels_of, languages_of, listing_sha256, locale_of
from dam_connector.wiring import Services

_TEXT_OPTIONS = ("locale", "languages", "order")  # of a channel: they change its listings, and no file


def known_input_hash(services: Services, product: Product, planned: PlannedRun, rules: Rules) -> str:
    """Return the input hash of a planned run; that of the newest run if they differ in nothing that is made.

    These are the channels, conditions of generators that leave the same ones for this product, and, by the
    hash of an earlier release, the number of slots.
    """
    newest = services.runs.newest_input(product.sku, planned.deliverable.name, planned.slot)
    if newest is None or newest.rules_fingerprint == rules.fingerprint:
        return planned.input_hash
    before = services.rules.with_fingerprint(newest.rules_fingerprint).deliverable(planned.deliverable.name)
    placed = apply_request(before, product.request) if before else None
    if placed is None:
        return planned.input_hash
    as_before = replace(planned.deliverable, channels=placed.channels, count=placed.count)
    if choice_key(placed, product, planned.inputs) == choice_key(as_before, product, planned.inputs):
        as_before = replace(as_before, when=placed.when)
    if as_before == planned.deliverable:
        return planned.input_hash
    base = base_input_hash(newest.input_hash)
    same = (
        input_hash(product, each.inputs, as_before, planned.slot, rules, naming, count)
        for each in (planned, *planned.by_more_photos)
        for naming in (None, *services.rules.former_namings())
        for count in {1, placed.count}
    )
    return base if base in same else planned.input_hash


def channels_with_other_texts(before: Rules, rules: Rules) -> set[str]:
    """Return the channels that get other texts, other names or another order by new rules."""
    return {
        name
        for name, connection in rules.channel.items()
        if (known := before.channel.get(name))
        and (
            any(connection.options.get(option) != known.options.get(option) for option in _TEXT_OPTIONS)
            or _has_other_names(before, rules, name)
        )
    }


def _has_other_names(before: Rules, rules: Rules, channel: str) -> bool:
    """Return whether a channel's own names change, or the folders of one that consists of folders."""
    old, new = before.naming, rules.naming
    own = new.channels.get(channel)
    has_folders = rules.channel[channel].adapter in UNVERSIONED_ADAPTERS
    return (
        own != old.channels.get(channel)
        or (own is not None and new.codes != old.codes)
        or (has_folders and new.folder != old.folder)
    )


def send_changed_texts(services: Services, product: Product, channels: Collection[str] = ()) -> int:
    """Plan a publication for each channel in whose languages the texts of a live product have changed.

    A changed translation makes nothing anew, so that no approval would bring it to the channel.

    Args:
        channels: channels whose options changed, so that all their products are compared, in the lane of
            batches; none: the channels that want a language.

    Returns:
        How many publications were planned.
    """
    rules, count = services.rules.current(), 0
    for channel, sent in services.channel_listings.of_product(product.sku).items():
        wants_language = locale_of(rules, channel) or languages_of(rules, channel)
        if not sent.assets or not (channel in channels if channels else wants_language):
            continue
        sha256 = listing_sha256(build_listing(services, channel, product))
        if not services.channel_listings.has_content(channel, product.sku, sha256):
            version = services.assets.versions(sent.assets[0])[0]  # its run sends the whole listing
            request, bulk = unique_input_hash("texts", services), bool(channels)
            plan_follow_up(services, version, RunKind.PUBLISH, request, bulk=bulk)
            count += 1
    return count


def bring_live_version_in_line(
    services: Services, product: Product, planned: PlannedRun, rules: Rules
) -> None:
    """Plan a publication, once for these rules, if the live version of a slot is in other channels."""
    for version in services.assets.of_product(product.sku):
        asset = version.asset
        if (asset.deliverable, asset.slot) != (planned.deliverable.name, planned.slot):
            continue
        live = {p.channel for p in services.publications.of_asset(asset.id)}
        if version.state is VersionState.PUBLISHED and live != set(channels_of(services, product, asset)):
            request = f"placed:{version.id}:{rules.fingerprint}"
            plan_follow_up(services, version, RunKind.PUBLISH, request)
