"""Product records: the newest record of each SKU from its PIM."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import Sha256, new_id
from dam_connector.domain.issue import Issue, Severity
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import INSPIRATION, Capture, Product, capture_of_key, captured_pictures
from dam_connector.domain.run import COMPUTE_KINDS, RunState
from dam_connector.ports import Clock
from dam_connector.store.changes import Changes
from dam_connector.store.database import Database
from dam_connector.store.run_records import NEWER_FACTS
from dam_connector.store.tables import assets, deletions, publications, runs
from dam_connector.store.tables import products as t


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRecord:
    """A product as stored, with its origin, its fetched pictures and its issues."""

    id: str
    product: Product
    connection: str  # the PIM connection that it came from; empty: uploaded by hand
    ref: str  # how that PIM names it
    source_time: datetime  # when the record was changed, by the PIM's clock
    updated_at: datetime
    sources: Mapping[str, Sha256]  # its fetched pictures, by view
    issues: tuple[Issue, ...]
    deleted: bool

    @property
    def photos(self) -> dict[str, Sha256]:
        """Return its fetched photos and its inspiration image, by view: all but captured pictures."""
        return {
            view: sha256
            for view, sha256 in self.sources.items()
            if view != BROUGHT_MODEL and not capture_of_key(view)
        }

    @property
    def spin(self) -> dict[str, Sha256]:
        """Return the frames of its spin by their keys, in order; empty if it has none."""
        return captured_pictures(self.sources, Capture.SPIN)

    @property
    def walk(self) -> dict[str, Sha256]:
        """Return the photos of a walk around it by their keys, in order; empty if it has none."""
        return captured_pictures(self.sources, Capture.WALK)

    @property
    def flagged(self) -> bool:
        """Return True if the product has an error that a person must correct."""
        return any(i.severity is Severity.ERROR for i in self.issues)


class Products:
    """The table of products. Of several records of a SKU the one with the latest source time counts."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def upsert(self, product: Product, *, connection: str, ref: str, source_time: datetime) -> bool:
        """Store a product; return False, without a change, if a newer record of the SKU is stored.

        Args:
            product: The product.
            connection: The PIM connection that it came from; empty: uploaded by hand.
            ref: How that PIM names it.
            source_time: When the record was changed, by the PIM's clock.
        """
        now = self._clock.now()
        gone = sa.select(deletions.c.at).where(
            deletions.c.connection == connection,
            deletions.c.ref.in_((ref, product.sku)),
            deletions.c.at > source_time,
        )
        values = {
            "name": product.name,
            "category": product.category,
            "facts": (facts := to_plain(product)),
            "live_until": facts.get("live_until"),
            "connection": connection,
            "ref": ref,
            "source_time": source_time,
            "updated_at": now,
            "deleted": False,
        }
        with self._db.write() as c:
            if connection and c.execute(gone).first():  # the news of its creation came after its deletion's
                return False
            if self._db.insert_new(
                c, t, {"id": new_id("prd", now), "sku": product.sku, "sources": {}, "issues": [], **values}
            ):
                return True
            done = c.execute(
                sa.update(t).where(t.c.sku == product.sku, t.c.source_time <= source_time).values(values)
            )
        return done.rowcount == 1

    def mark_deleted(
        self, connection: str, ref: str, source_time: datetime, *, keep_skus: Collection[str] = ()
    ) -> int:
        """Mark the products of a PIM's reference as deleted; return how many.

        Their failed runs that made something are cancelled.

        Args:
            connection: The PIM connection.
            ref: How that PIM names what it deleted.
            source_time: When it was deleted; newer records stay.
            keep_skus: SKUs of this reference that stay.
        """
        from_pim = sa.and_(t.c.connection == connection, t.c.ref == ref)
        # a product of the PIM is deleted even if a sheet changed it last
        by_hand = sa.and_(t.c.connection.in_((connection, "")), t.c.sku == ref)
        gone = sa.and_(sa.or_(from_pim, by_hand), t.c.sku.not_in(list(keep_skus)))
        with self._db.write() as c:
            if not keep_skus:
                self._remember_deletion(c, connection, ref, source_time)
            done = c.execute(
                sa.update(t)
                .where(gone, t.c.deleted.is_(False), t.c.source_time <= source_time)
                .values(deleted=True, source_time=source_time, updated_at=self._clock.now())
                .returning(t.c.sku)
            )
            skus = list(done.scalars())
            if skus:
                _cancel_failed(c, skus)
        return len(skus)

    def _remember_deletion(self, c: sa.Connection, connection: str, ref: str, at: datetime) -> None:
        """Store when a reference was deleted, so that older news of it that come later are ignored."""
        key = (deletions.c.connection == connection, deletions.c.ref == ref)
        if not self._db.insert_new(c, deletions, {"connection": connection, "ref": ref, "at": at}):
            c.execute(sa.update(deletions).where(*key, deletions.c.at < at).values(at=at))

    def set_findings(self, sku: str, sources: Mapping[str, Sha256], issues: tuple[Issue, ...]) -> None:
        """Store what was found when the product's pictures were collected.

        Args:
            sku: The product.
            sources: The SHA-256 of its pictures, by view.
            issues: The issues found.
        """
        flagged = any(i.severity is Severity.ERROR for i in issues)
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.sku == sku)
                .values(
                    sources=dict(sources),
                    issues=to_plain(issues),
                    flagged=flagged,
                    updated_at=self._clock.now(),
                )
            )

    def add_issues(self, sku: str, issues: tuple[Issue, ...]) -> None:
        """Add issues that a run found to a product, each once."""
        with self._db.write() as c:
            query = sa.select(t).where(t.c.sku == sku)
            row = c.execute(query if self._db.is_sqlite else query.with_for_update()).one()
            merged = tuple(dict.fromkeys((*_issues(row.issues), *issues)))
            c.execute(
                sa.update(t)
                .where(t.c.sku == sku)
                .values(
                    issues=to_plain(merged),
                    flagged=any(i.severity is Severity.ERROR for i in merged),
                    updated_at=self._clock.now(),
                )
            )

    def drop_issues(self, sku: str, is_outdated: Callable[[Issue], bool]) -> None:
        """Remove outdated issues from a product."""
        query = sa.select(t.c.issues).where(t.c.sku == sku)
        with self._db.read() as c:
            if not any(map(is_outdated, _issues(c.execute(query).scalar() or []))):
                return
        with self._db.write() as c:
            stored = c.execute(query if self._db.is_sqlite else query.with_for_update()).scalar()
            left = tuple(found for found in _issues(stored or []) if not is_outdated(found))
            if stored and len(left) < len(stored):
                flagged = any(found.severity is Severity.ERROR for found in left)
                values = {"issues": to_plain(left), "flagged": flagged, "updated_at": self._clock.now()}
                c.execute(sa.update(t).where(t.c.sku == sku).values(**values))

    def without_runs(self) -> list[str]:
        """Return the SKUs of products that could have runs and never had one."""
        has_runs = sa.exists().where(runs.c.sku == t.c.sku)
        query = sa.select(t.c.sku, t.c.sources).where(
            t.c.deleted.is_(False), t.c.flagged.is_(False), ~has_runs
        )
        with self._db.read() as c:
            return [row.sku for row in c.execute(query) if set(row.sources) - {INSPIRATION}]

    def expiring(
        self, after: datetime, until: datetime, limit: int, *, without_issue: str
    ) -> list[ProductRecord]:
        """Return products with a live version that expire between two times, the earliest first.

        Args:
            after: The earlier time.
            until: The later time.
            limit: The largest number of them.
            without_issue: Leave out products that have an issue of this code.
        """
        expires = t.c.live_until
        is_live = (
            sa.exists().where(publications.c.asset_id == assets.c.id, assets.c.sku == t.c.sku).correlate(t)
        )
        query = (
            sa.select(t)
            .where(expires > after.isoformat(), expires <= until.isoformat(), t.c.deleted.is_(False))
            .where(is_live, sa.cast(t.c.issues, sa.Text).not_like(f"%{without_issue}%"))
            .order_by(expires)
            .limit(limit)
        )
        with self._db.read() as c:
            return [_record(row) for row in c.execute(query)]

    def lock(self, sku: str) -> ProductRecord | None:
        """Return the product with a SKU, or None; nobody else changes it until the open transaction ends."""
        with self._db.write() as c:
            row = c.execute(sa.select(t).where(t.c.sku == sku).with_for_update()).one_or_none()
        return _record(row) if row else None

    def get(self, sku: str) -> ProductRecord | None:
        """Return the product with a SKU, or None."""
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.sku == sku)).one_or_none()
        return _record(row) if row else None

    def of_skus(self, skus: Iterable[str]) -> dict[str, ProductRecord]:
        """Return the products that are known by SKU, deleted ones too."""
        query = sa.select(t).where(t.c.sku.in_(list(skus)))
        with self._db.read() as c:
            return {row.sku: _record(row) for row in c.execute(query)}

    def error_codes(self, skus: Iterable[str]) -> dict[str, set[IssueCode]]:
        """Return the codes of the errors of flagged products, by SKU."""
        query = sa.select(t.c.sku, t.c.issues).where(
            t.c.sku.in_(list(skus)), t.c.flagged.is_(True), t.c.deleted.is_(False)
        )
        with self._db.read() as c:
            return {
                row.sku: {i.code for i in _issues(row.issues) if i.severity is Severity.ERROR}
                for row in c.execute(query)
            }

    def names(self, skus: Iterable[str]) -> dict[str, str]:
        """Return the names of products by SKU, without empty ones."""
        query = sa.select(t.c.sku, t.c.name).where(t.c.sku.in_(list(skus)), t.c.name != "")
        with self._db.read() as c:
            return {sku: name for sku, name in c.execute(query)}

    def ids_by_sku(self, skus: Iterable[str]) -> dict[str, str]:
        """Return the ids of the products that are known, by SKU."""
        query = sa.select(t.c.sku, t.c.id).where(t.c.sku.in_(list(skus)))
        with self._db.read() as c:
            return {sku: product_id for sku, product_id in c.execute(query)}

    def of_connection(self, connection: str) -> dict[str, tuple[str, datetime]]:
        """Return SKU and source time of a PIM's products, by the PIM's reference.

        If a reference has several SKUs, the newest counts.
        """
        query = (
            sa.select(t.c.ref, t.c.sku, t.c.source_time)
            .where(t.c.connection == connection, t.c.deleted.is_(False))
            .order_by(t.c.source_time)
        )
        with self._db.read() as c:
            return {row.ref: (row.sku, row.source_time) for row in c.execute(query)}

    def by_id(self, product_id: str) -> ProductRecord | None:
        """Return a product by the id of its record, or None."""
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.id == product_id)).one_or_none()
        return _record(row) if row else None

    def page(
        self,
        *,
        text: str = "",
        category: str = "",
        flagged: bool | None = None,
        code: IssueCode | None = None,
        sku: str = "",
        changes: Changes | None = None,
        before: str = "",
        limit: int = 50,
    ) -> list[ProductRecord]:
        """Products, newest first, from just before the id `before`; `text` is looked for in SKU and name.

        With `code`, those that have an issue of it.
        With `changes`, those that changed since, deleted ones too, in the order of their change.
        """
        there = (
            t.c.deleted.is_(False) if flagged else sa.case((t.c.deleted, 1), else_=0) == 0
        )  # so written, the order comes before an index
        query = sa.select(t).limit(limit)
        if changes:
            query = changes.apply(query, t.c.updated_at, t.c.id)
        else:
            query = query.where(there).order_by(t.c.id.desc())
        query = query.where(t.c.sku == sku) if sku else query
        if text:
            like = f"%{text.replace('%', '').replace('_', chr(92) + '_')}%"
            query = query.where(sa.or_(t.c.sku.ilike(like, escape="\\"), t.c.name.ilike(like, escape="\\")))
        query = query.where(t.c.category == category) if category else query
        if code:
            named = sa.cast(t.c.issues, sa.Text).contains(f'"{code}"', autoescape=True)
            query = query.where(named)
        query = query.where(t.c.flagged.is_(flagged)) if flagged is not None else query
        query = query.where(t.c.id < before) if before else query
        with self._db.read() as c:
            return [_record(row) for row in c.execute(query)]

    def counts(self) -> dict[str, int]:
        """Return how many products there are (`all`) and how many have errors (`flagged`)."""
        known = sa.select(t.c.flagged).where(t.c.deleted.is_(False))
        with self._db.read() as c:
            return {
                "all": self._db.count(c, known),
                "flagged": self._db.count(c, known.where(t.c.flagged.is_(True))),
            }


def _cancel_failed(c: sa.Connection, skus: Collection[str]) -> None:
    """Cancel the failed runs that made something of deleted products: nobody has to act on them any more."""
    failed = (
        runs.c.sku.in_(skus),
        runs.c.state == RunState.FAILED.value,
        runs.c.kind.in_([kind.value for kind in COMPUTE_KINDS]),
    )
    c.execute(sa.update(runs).where(*failed).values(state=RunState.CANCELLED.value, error=NEWER_FACTS))


def _issues(data: Any) -> tuple[Issue, ...]:
    return tuple(from_plain(Issue, i) for i in data)


def _record(row: Any) -> ProductRecord:
    return ProductRecord(
        id=row.id,
        product=from_plain(Product, row.facts),
        connection=row.connection,
        ref=row.ref,
        source_time=row.source_time,
        updated_at=row.updated_at,
        sources=row.sources,
        issues=_issues(row.issues),
        deleted=row.deleted,
    )
