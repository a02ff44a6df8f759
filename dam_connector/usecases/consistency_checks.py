"""Checks of our own records: what is live agrees with what people asked for, and every product has its runs.

Each promise is one transaction. These checks find publications that failed for good, and what an earlier
release, a restored backup or a changed plugin.json left.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dam_connector.domain.product import Product
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Version, VersionState
from dam_connector.usecases.follow_up_runs import plan_follow_up, unique_input_hash
from dam_connector.usecases.publish import channels_of, wait_for_day, wanted_version
from dam_connector.usecases.run_planning import plan_runs
from dam_connector.wiring import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordProblem:
    """A difference in our own records."""

    sku: str
    ref: str  # the version's id; empty: the product has no runs
    detail: str  # for people


def check_records(services: Services) -> Iterator[RecordProblem]:
    """Yield the differences in our own records. What an open run will bring in line is none."""
    for version in services.assets.newest_requested():
        record = services.products.get(version.asset.sku)
        if record and (detail := _live_problem(services, record.product, version)):
            yield RecordProblem(sku=version.asset.sku, ref=version.id, detail=detail)
    for sku in services.products.without_runs():
        yield RecordProblem(sku=sku, ref="", detail="it is complete, but none of its assets was ever begun")


def _live_problem(services: Services, product: Product, version: Version) -> str:
    """Return how an asset's states and publications differ from the requests of people; empty: not at all."""
    asset = version.asset
    if services.runs.is_open(asset.sku, asset.deliverable, asset.slot, (RunKind.PUBLISH, RunKind.WITHDRAW)):
        return ""
    versions = services.assets.versions(asset.id)
    wanted = wanted_version(services, product, asset)
    live = {p.channel: p.version_id for p in services.publications.of_asset(asset.id)}
    expected = dict.fromkeys(channels_of(services, product, asset), wanted.id) if wanted else {}
    title = f"{asset.deliverable} {asset.slot}"
    if live != expected:
        number = f"V{wanted.number}" if wanted else "no version"
        return f"{title}: {number} is to be live, but these channels differ: {_different(live, expected)}"
    published = [v for v in versions if v.state is VersionState.PUBLISHED]
    if [v.id for v in published] != ([wanted.id] if wanted else []):
        numbers = ", ".join(f"V{v.number}" for v in published) or "no version"
        return f"{title}: {numbers} is published by its state, but not the one in the channels"
    waiting = [
        v for v in versions if v.state is VersionState.APPROVED and not wait_for_day(services, product, v)
    ]
    if waiting:
        return f"{title}: {', '.join(f'V{v.number}' for v in waiting)} is approved, but nothing publishes it"
    return ""


def _different(live: Mapping[str, str], expected: Mapping[str, str]) -> str:
    names = sorted(name for name in live.keys() | expected.keys() if live.get(name) != expected.get(name))
    return ", ".join(names)


def repair_records(services: Services, sku: str, version_id: str) -> str:
    """Plan what brings a product's channels in line, or its missing runs; return a summary for people."""
    if version := services.assets.get(version_id) if version_id else None:
        plan_follow_up(services, version, RunKind.PUBLISH, unique_input_hash("repair", services))
        return f"{sku}: its channels are being brought in line"
    record = services.products.get(sku)
    count = plan_runs(services, record.product, record.sources) if record else 0
    return f"{sku}: {count} runs planned"
