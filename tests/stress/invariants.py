"""What must hold at any quiet moment, whatever happened before."""

from typing import Any

from dam_connector.wiring import Services
from tests.stress.crashes import World


def snapshot(world: World) -> dict[str, Any]:
    """Return all that people can see at the end, without times and ids."""
    s = world.services
    skus = ["CH1", "CH2", "CH3"]
    all_versions = [v for sku in skus for v in s.assets.of_product(sku)]
    title = {v.id: f"{v.asset.sku} {v.asset.deliverable} V{v.number}" for v in all_versions}
    products = {sku: s.products.get(sku) for sku in skus}
    dam: Any = s.dam("shelf")
    channels: dict[str, Any] = {name: s.channel(name) for name in ("shop", "feed")}
    return {
        "products": {
            sku: (r.product.color, r.deleted, sorted(r.sources), [i.code for i in r.issues])
            for sku, r in products.items()
            if r
        },
        "versions": {title[v.id]: v.state.value for v in all_versions},
        "public": sorted(
            title[v.id]
            for v in all_versions
            if v.files and s.assets.find_file(v.files[0].sha256, public=True)
        ),
        "decisions": {
            title[v.id]: [(d.decision.verdict.value, d.undone) for d in s.decisions.of_version(v.id)]
            for v in all_versions
        },
        "publications": sorted(
            (p.channel, title[p.version_id]) for sku in skus for p in s.publications.of_product(sku)
        ),
        "channels": {
            name: {sku: sorted(files) for sku, files in channel.inner.files_by_sku.items() if files}
            for name, channel in channels.items()
        },
        "dam": {ref: state.state.value for ref, state in dam.inner.remote_states.items()},
        "billed": _billed(s),
        "failed": [r.error for r in s.runs.page(state="failed")],
        "batches": [
            (b.name, b.state.value, [(r.sku, r.state.value) for r in s.batches.rows(b.id)])
            for b in s.batches.page()
        ],
        "missing blobs": [f.name for v in all_versions for f in v.files if not s.blobs.has(f.sha256)],
    }


def assert_consistent(world: World) -> None:
    """Assert what must hold at any quiet moment, whatever took effect."""
    s, seen = world.services, snapshot(world)
    live = [title for title, state in seen["versions"].items() if state == "published"]
    assert len(live) == len({title.rpartition(" ")[0] for title in live})
    for title in seen["public"]:
        assert seen["versions"][title] == "published", (title, seen["versions"][title])
    for channel, title in seen["publications"]:
        sku, deliverable, number = title.split()
        assert seen["versions"][title] == "published", (channel, title)
        assert any(f"_{deliverable}_{number}_" in name for name in seen["channels"][channel][sku])
    assert not [error for error in seen["failed"] if "may have been billed" not in error]
    assert not seen["missing blobs"] and all(count == 1 for count in seen["billed"].values())
    assert not any(r.state.value == "running" for r in s.runs.page())


def _billed(services: Services) -> dict[str, int]:
    """Return how many tasks a paid provider billed for each SKU."""
    if "maker" not in services.rules.current().provider:
        return {}
    provider: Any = services.provider("maker")
    return dict(provider.inner.billed())
