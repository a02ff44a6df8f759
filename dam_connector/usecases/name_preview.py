"""A preview of names: what the files of a product are called in the DAM and in each channel."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from dam_connector.domain.channel_names import channel_names, missing_codes
from dam_connector.domain.file_names import EXTENSIONS, VIDEO, file_stem, file_suffix, shown_view
from dam_connector.domain.ids import AssetId, RunId, Sha256, VersionId
from dam_connector.domain.issue import Report
from dam_connector.domain.product import Product
from dam_connector.domain.row_request import apply_request
from dam_connector.domain.rules import Deliverable, Motion, Rules
from dam_connector.domain.run import RunKind
from dam_connector.domain.trade_codes import wrong_gtin
from dam_connector.domain.version import Asset, Role, Version, VersionFile, VersionState
from dam_connector.errors import ConfigError
from dam_connector.wiring import Services

MODEL_FORMATS = ("glb", "usdz", "web", "lod1", "lod2")


@dataclass(frozen=True, slots=True)
class PreviewedName:
    """The name of one file."""

    # Its deliverable in plugin.json.
    deliverable: str
    # Its slot, from 1 on.
    slot: int
    # Where it has this name: empty for our own name, or a channel.
    channel: str
    # The name with its extension.
    name: str


def preview_names(services: Services, sku: str) -> Iterator[PreviewedName]:
    """Yield the names that the next versions of a product's assets get: our own, then those by channel.

    Raises:
        ConfigError: there is no such product.
    """
    record = services.products.get(sku)
    if record is None:
        raise ConfigError(f"there is no product {sku!r}; `dam-connector product add` adds one")
    rules = services.rules.current()
    versions = list(_next_versions(services, record.product, rules))
    for version in versions:
        for file in version.files:
            yield PreviewedName(version.asset.deliverable, version.asset.slot, "", file.name)
    for channel in rules.naming.channels:
        shown = [v for v in versions if _is_in(rules.deliverable(v.asset.deliverable), channel)]
        names = channel_names(channel, record.product, shown, rules)
        for version, renamed in zip(shown, names, strict=True):
            for file in version.for_channel(channel).channel_files:
                if name := renamed.get(file.name):
                    yield PreviewedName(version.asset.deliverable, version.asset.slot, channel, name)


def naming_notes(services: Services, sku: str) -> Iterator[str]:
    """Yield why pictures of a product keep their own names in channels that have names of their own."""
    record = services.products.get(sku)
    if record is None:
        return
    rules = services.rules.current()
    for channel in rules.naming.channels:
        if missing := missing_codes(channel, record.product, rules):
            code = "GTIN or ASIN" if "amazon_id" in missing else "GTIN"
            attribute, wrong = wrong_gtin(record.product)
            why = f"{attribute} is no GTIN: {wrong}" if attribute else f"the product has no {code}"
            yield f"{channel}: {why}; its pictures keep their own names there"


def _is_in(deliverable: Deliverable | None, channel: str) -> bool:
    return deliverable is not None and channel in deliverable.channels


def _next_versions(services: Services, product: Product, rules: Rules) -> Iterator[Version]:
    newest: dict[tuple[str, int], Version] = {}
    for version in services.assets.of_product(product.sku):  # the newest of each first
        newest.setdefault((version.asset.deliverable, version.asset.slot), version)
    for in_rules in rules.deliverables:
        deliverable = apply_request(in_rules, product.request)
        if deliverable is None or not deliverable.is_for_category(product.category):
            continue
        for slot in range(1, deliverable.count + 1):
            yield _version(product, deliverable, slot, newest.get((deliverable.name, slot)), rules)


def _files(deliverable: Deliverable, before: Version | None) -> Iterator[tuple[str, Role, str]]:
    """Yield the format, role and view of each file of a version, by the rules and by the version before."""
    is_still = deliverable.kind is not RunKind.MODEL and deliverable.motion == Motion.STILL
    yield from ((each, Role.USDZ if each == "usdz" else Role.PRIMARY, "") for each in deliverable.formats)
    if is_still:
        sizes = sorted(size for size in set(deliverable.sizes) if size < deliverable.size_px)
        yield from ((each, Role.SIZE, str(size)) for each in deliverable.formats for size in sizes)
    if before is None and is_still:
        yield "webp", Role.PREVIEW, shown_view(deliverable)
    for file in before.channel_files if before else ():  # previews, frames of a spin, models for channels
        if file.role is Role.PREVIEW or (file.role is not Role.SIZE and file.view):
            yield file.format, file.role, file.view


def _version(
    product: Product, deliverable: Deliverable, slot: int, before: Version | None, rules: Rules
) -> Version:
    """Return a version as it would be, with the names of its files and without their bytes."""
    files, number = [], before.number + 1 if before else 1
    for format, role, view in _files(deliverable, before):
        kind = "model" if format in MODEL_FORMATS else "video" if format == VIDEO else "image"
        file = VersionFile(
            name="",
            format=format,
            role=role,
            view=view,
            mime=f"{kind}/{format}",
            sha256=Sha256(""),
            bytes=0,
        )
        stem = file_stem(format, product, deliverable, slot, number, rules)
        name = f"{stem}{file_suffix(file)}.{EXTENSIONS.get(format, format)}"
        files.append(replace(file, name=name))
    return Version(
        id=VersionId(f"{deliverable.name}-{slot}"),
        asset=Asset(
            id=AssetId(""),
            sku=product.sku,
            deliverable=deliverable.name,
            slot=slot,
            kind=deliverable.kind.value,
        ),
        number=number,
        state=VersionState.DRAFT,
        run_id=RunId(""),
        files=tuple(files),
        report=Report(),
        provenance={},
        rules_fingerprint="",
        created_at=datetime.min,
    )
