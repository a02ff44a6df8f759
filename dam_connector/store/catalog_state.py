"""The state of many products at once: by which input their assets were made, and what is live of them."""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from dam_connector.domain.run import COMPUTE_KINDS, GENERATION_KINDS, OPEN_STATES, RunState
from dam_connector.domain.version import VersionState
from dam_connector.store.database import Database
from dam_connector.store.run_records import base_input_hash
from dam_connector.store.tables import assets, decisions, publications, runs, versions


class Slot(NamedTuple):
    """One slot of one deliverable of one SKU."""

    sku: str
    deliverable: str
    number: int  # from 1 on


class CatalogState:
    """Queries over the tables of runs, assets and publications, for a few hundred products each."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def newest_inputs(self, skus: Collection[str]) -> dict[Slot, str]:
        """Return the input hash of the newest run of each slot, without its suffix."""
        query = (
            sa.select(runs.c.sku, runs.c.deliverable, runs.c.slot, runs.c.input_hash)
            .where(runs.c.sku.in_(list(skus)), runs.c.kind.in_([kind.value for kind in GENERATION_KINDS]))
            .order_by(runs.c.created_at, runs.c.id)
        )
        with self._db.read() as c:
            return {
                Slot(row.sku, row.deliverable, row.slot): base_input_hash(row.input_hash)
                for row in c.execute(query)
            }

    def made_slots(self, skus: Collection[str]) -> set[Slot]:
        """Return the slots of which there is a version, whatever became of it."""
        query = (
            sa.select(assets.c.sku, assets.c.deliverable, assets.c.slot)
            .join(versions, versions.c.asset_id == assets.c.id)
            .where(assets.c.sku.in_(list(skus)), versions.c.state != VersionState.DRAFT.value)
        )
        with self._db.read() as c:
            return {Slot(row.sku, row.deliverable, row.slot) for row in c.execute(query.distinct())}

    def undecided_slots(self, skus: Collection[str]) -> set[Slot]:
        """Return the slots that have a version in review, or a blocked one."""
        undecided = (VersionState.IN_REVIEW.value, VersionState.BLOCKED.value)
        query = (
            sa.select(assets.c.sku, assets.c.deliverable, assets.c.slot)
            .join(versions, versions.c.asset_id == assets.c.id)
            .where(assets.c.sku.in_(list(skus)), versions.c.state.in_(undecided))
        )
        with self._db.read() as c:
            return {Slot(row.sku, row.deliverable, row.slot) for row in c.execute(query.distinct())}

    def open_slots(self, skus: Collection[str]) -> set[Slot]:
        """Return the slots of which a version is being made, or failed to be made."""
        query = sa.select(runs.c.sku, runs.c.deliverable, runs.c.slot).where(
            runs.c.sku.in_(list(skus)),
            runs.c.kind.in_([kind.value for kind in COMPUTE_KINDS]),
            runs.c.state.in_([state.value for state in (*OPEN_STATES, RunState.FAILED)]),
        )
        with self._db.read() as c:
            return {Slot(row.sku, row.deliverable, row.slot) for row in c.execute(query.distinct())}

    def dropped_slots(self, skus: Collection[str]) -> dict[Slot, str]:
        """Return the slots whose newest version was taken out of review without a decision, with its id.

        Those that were planned again since are left out.
        """
        later = runs.alias()
        is_planned = sa.exists().where(
            later.c.sku == assets.c.sku,
            later.c.deliverable == assets.c.deliverable,
            later.c.slot == assets.c.slot,
            later.c.kind.in_([kind.value for kind in COMPUTE_KINDS]),
            later.c.id > runs.c.id,
        )
        is_decided = sa.exists().where(
            decisions.c.version_id == versions.c.id, decisions.c.is_final, decisions.c.undone.is_(False)
        )
        query = (
            sa.select(assets.c.sku, assets.c.deliverable, assets.c.slot, versions.c.id)
            .join(versions, versions.c.asset_id == assets.c.id)
            .join(runs, runs.c.id == versions.c.run_id)
            .where(
                assets.c.sku.in_(list(skus)),
                versions.c.number == assets.c.latest,
                versions.c.state == VersionState.SUPERSEDED.value,
                runs.c.state == RunState.DONE.value,
                ~is_planned,
                ~is_decided,
            )
        )
        with self._db.read() as c:
            return {Slot(row.sku, row.deliverable, row.slot): row.id for row in c.execute(query)}

    def live_slots(self, skus: Collection[str]) -> dict[Slot, set[str]]:
        """Return the channels in which each published slot is live; a slot may be live in none."""
        published = (
            sa.select(assets.c.sku, assets.c.deliverable, assets.c.slot, publications.c.channel)
            .join(versions, versions.c.asset_id == assets.c.id)
            .outerjoin(publications, publications.c.asset_id == assets.c.id)
            .where(assets.c.sku.in_(list(skus)), versions.c.state == VersionState.PUBLISHED.value)
        )
        found: dict[Slot, set[str]] = {}
        with self._db.read() as c:
            for row in c.execute(published):
                channels = found.setdefault(Slot(row.sku, row.deliverable, row.slot), set())
                channels |= {row.channel} - {None}
        return found
