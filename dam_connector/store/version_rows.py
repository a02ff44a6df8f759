"""Versions as the database has them: the query for their rows, and how a row becomes a version."""

from typing import Any

import sqlalchemy as sa

from dam_connector.domain.codec import from_plain
from dam_connector.domain.ids import AssetId, RunId, VersionId
from dam_connector.domain.issue import Report
from dam_connector.domain.version import Asset, Version, VersionFile, VersionState
from dam_connector.store.tables import assets
from dam_connector.store.tables import versions as t

VERSIONS_WITH_ASSET = sa.select(
    t, assets.c.sku, assets.c.deliverable, assets.c.slot, assets.c.kind
).join_from(t, assets, assets.c.id == t.c.asset_id)


def version_from_row(row: Any) -> Version:
    """Build a version from a row of `VERSIONS_WITH_ASSET`."""
    asset = Asset(
        id=AssetId(row.asset_id), sku=row.sku, deliverable=row.deliverable, slot=row.slot, kind=row.kind
    )
    return Version(
        id=VersionId(row.id),
        asset=asset,
        number=row.number,
        state=VersionState(row.state),
        run_id=RunId(row.run_id),
        files=tuple(from_plain(VersionFile, f) for f in row.files),
        report=from_plain(Report, row.report),
        provenance=row.provenance,
        rules_fingerprint=row.rules_fingerprint,
        created_at=row.created_at,
        dam=row.dam,
        dam_ref=row.dam_ref,
        dam_state=row.dam_state,
        stage=row.stage,
        go_live_at=row.go_live_at,
        updated_at=row.updated_at,
    )
