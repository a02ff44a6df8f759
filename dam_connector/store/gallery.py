"""The gallery: search for versions, as fast among 100,000 versions as among 1,000.

Every version has search tags (domain/search_tags.py). A filter that few versions pass is read whole, and such
filters are intersected. If every filter has many hits, the search follows the rarest tag and tests the others
on each of its versions, the newest first.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.codec import from_plain
from dam_connector.domain.ids import AssetId, VersionId
from dam_connector.domain.issue import Issue
from dam_connector.domain.product import Product
from dam_connector.domain.search_tags import MAX_TAG_LENGTH, search_tag, search_words, version_search_tags
from dam_connector.domain.version import Asset, Version, VersionFile, VersionState, find_list_picture
from dam_connector.domain.version_marks import VersionMarks, version_marks
from dam_connector.store.batch_tables import batch_rows
from dam_connector.store.changes import Changes
from dam_connector.store.database import Database
from dam_connector.store.gallery_conditions import (
    LAST_CHARACTER,
    Condition,
    id_condition,
    prefix_condition,
    stage_condition,
    state_condition,
    tag_condition,
)
from dam_connector.store.tables import assets, publications, version_tags
from dam_connector.store.tables import versions as t
from dam_connector.store.version_rows import VERSIONS_WITH_ASSET, version_from_row

FEW_HITS = 1000  # a condition with fewer hits is read whole
MAX_WORDS = 6  # of a search text; further words are ignored
MAX_RECENT = 200  # how many versions `recent` reads
_CARDS = sa.select(
    t.c.id,
    t.c.asset_id,
    t.c.number,
    t.c.state,
    t.c.files,
    t.c.created_at,
    t.c.report["issues"].label("issues"),
    t.c.report["waivers"].label("waivers"),
    assets.c.sku,
    assets.c.deliverable,
    assets.c.slot,
    assets.c.kind,
).join(assets, assets.c.id == t.c.asset_id)
_STATE = t.c.state.op("||")("")  # an expression, so that the database does not use the index on the state
# States of versions that lists show.
VISIBLE_STATES = tuple(s for s in VersionState if s not in (VersionState.DRAFT, VersionState.SUPERSEDED))


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryFilter:
    """What to search for. An empty field does not filter."""

    batch: str = ""  # id of a batch
    category: str = ""
    deliverable: str = ""
    code: str = ""  # an issue code of the report
    channel: str = ""  # a channel in which the version is live
    sku: str = ""
    text: str = ""  # words of SKU and name; the last one may be incomplete
    states: tuple[VersionState, ...] = VISIBLE_STATES
    stages: tuple[str, ...] | None = None  # of the review, in which versions wait; None: in any


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionCard:
    """A version as lists show it."""

    id: VersionId
    asset: Asset
    number: int
    state: VersionState
    files: tuple[VersionFile, ...]
    created_at: datetime
    marks: VersionMarks  # what a reviewer should look at

    @property
    def list_picture(self) -> VersionFile | None:
        """Return the picture that lists show for this version, or None."""
        return find_list_picture(self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestVersion:
    """A version as manifests describe it."""

    card: VersionCard
    run_id: str  # the run that made it
    provenance: Mapping[str, Any]
    codes: tuple[str, ...]  # the issue codes of its report


class Gallery:
    """The search tags of versions."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add_tags(self, version_id: str, product: Product, deliverable: str, codes: Iterable[str]) -> None:
        """Add the search tags of a version; those that it has already are skipped.

        Args:
            version_id: The version.
            product: Its product.
            deliverable: Name of its deliverable.
            codes: The issue codes of its report.
        """
        with self._db.write() as c:
            with_sku = sa.select(batch_rows.c.batch_id).where(batch_rows.c.sku == product.sku).distinct()
            batches = list(c.execute(with_sku).scalars())
            found = version_search_tags(
                sku=product.sku,
                name=product.name,
                category=product.category,
                deliverable=deliverable,
                codes=codes,
                batches=batches,
            )
            self._db.insert_new_ids(
                c, version_tags, [{"version_id": version_id, "tag": each} for each in found]
            )

    def tag_batch(self, batch_id: str, sku: str = "") -> None:
        """Add the tag of a batch to versions that were made before.

        Args:
            batch_id: The batch.
            sku: Tag the versions of this SKU; empty: of all unchanged rows of the batch.
        """
        query = sa.select(t.c.id, sa.literal(search_tag("batch", batch_id))).join(
            assets, assets.c.id == t.c.asset_id
        )
        if sku:
            query = query.where(assets.c.sku == sku)
        else:
            mine = (batch_rows.c.batch_id == batch_id, batch_rows.c.state == "unchanged")
            query = query.where(assets.c.sku.in_(sa.select(batch_rows.c.sku).where(*mine)))
        known = sa.exists().where(
            version_tags.c.version_id == t.c.id, version_tags.c.tag == search_tag("batch", batch_id)
        )
        with self._db.write() as c:
            c.execute(sa.insert(version_tags).from_select(["version_id", "tag"], query.where(~known)))

    def page(self, filters: GalleryFilter, *, before: str = "", limit: int = 60) -> list[VersionCard]:
        """Return a page of versions that pass a filter, the newest first, from before the id `before`."""
        return self.page_and_count(filters, before=before, limit=limit, max_count=0)[0]

    def page_and_count(
        self, filters: GalleryFilter, *, before: str = "", limit: int, max_count: int
    ) -> tuple[list[VersionCard], int]:
        """Return a page of versions that pass a filter, the newest first, and how many pass it in all.

        Args:
            filters: What to search for.
            before: Id of the last version of the page before; empty: the first page.
            limit: How many versions the page has at most.
            max_count: Count up to this number; 0: do not count. The count is exact if few versions pass.
        """
        with self._db.read() as c:
            found, key, few = self._matches(c, filters)
            max_count = FEW_HITS if few and max_count else max_count
            newest = found.order_by(key.desc())
            ids = list(
                c.execute(
                    newest.limit(max(limit, max_count))
                    if not before
                    else newest.where(key < before).limit(limit)
                ).scalars()
            )
            count = self._db.count(c, found, max_count) if before and max_count else min(len(ids), max_count)
            return [
                _card(row) for row in c.execute(_CARDS.where(t.c.id.in_(ids[:limit])).order_by(t.c.id.desc()))
            ], count

    def cards(self, ids: Iterable[str]) -> list[VersionCard]:
        """Return versions by their ids, sorted by SKU, deliverable, slot and number."""
        query = _CARDS.where(t.c.id.in_(list(ids))).order_by(
            assets.c.sku, assets.c.deliverable, assets.c.slot, t.c.number
        )
        with self._db.read() as c:
            return [_card(row) for row in c.execute(query)]

    def product_cards(self, skus: Iterable[str]) -> list[VersionCard]:
        """Return the visible versions of some products, the newest first."""
        visible = (assets.c.sku.in_(list(skus)), _STATE.in_([s.value for s in VISIBLE_STATES]))
        with self._db.read() as c:
            return [_card(row) for row in c.execute(_CARDS.where(*visible).order_by(t.c.id.desc()))]

    def states_of(self, skus: Iterable[str]) -> set[tuple[str, VersionState]]:
        """Return the SKUs of some products, each with the states of its visible versions."""
        visible = (assets.c.sku.in_(list(skus)), _STATE.in_([s.value for s in VISIBLE_STATES]))
        query = sa.select(assets.c.sku, t.c.state).join(assets, assets.c.id == t.c.asset_id).where(*visible)
        with self._db.read() as c:
            return {(sku, VersionState(state)) for sku, state in c.execute(query.distinct())}

    def manifest_versions(self, skus: Iterable[str]) -> dict[str, list[ManifestVersion]]:
        """Return the visible versions of some products by SKU, sorted by asset, the newest first."""
        visible = (assets.c.sku.in_(list(skus)), _STATE.in_([s.value for s in VISIBLE_STATES]))
        query = (
            _CARDS.add_columns(t.c.run_id, t.c.provenance)
            .where(*visible)
            .order_by(assets.c.deliverable, assets.c.slot, t.c.number.desc())
        )
        code_tags = sa.select(version_tags).where(version_tags.c.tag.like("code:%"))
        codes: dict[str, list[str]] = {}
        by_sku: dict[str, list[ManifestVersion]] = {}
        with self._db.read() as c:
            rows = c.execute(query).all()
            of_rows = version_tags.c.version_id.in_([row.id for row in rows])
            for version_id, tag in c.execute(code_tags.where(of_rows)):
                codes.setdefault(version_id, []).append(tag.partition(":")[2])
        for row in rows:
            version = ManifestVersion(
                card=_card(row),
                run_id=row.run_id,
                provenance=row.provenance,
                codes=tuple(sorted(codes.get(row.id, ()))),
            )
            by_sku.setdefault(row.sku, []).append(version)
        return by_sku

    def recent(self, batch_id: str, since: datetime) -> list[tuple[str, datetime]]:
        """Return SKU and creation time of the newest versions of a batch.

        Args:
            batch_id: The batch.
            since: Leave out versions that were made before this time.
        """
        query = (
            sa.select(assets.c.sku, t.c.created_at)
            .join(assets, assets.c.id == t.c.asset_id)
            .join(version_tags, version_tags.c.version_id == t.c.id)
        )
        newest = (
            query.where(version_tags.c.tag == search_tag("batch", batch_id))
            .order_by(version_tags.c.version_id.desc())
            .limit(MAX_RECENT)
        )
        with self._db.read() as c:
            return [(sku, at) for sku, at in c.execute(newest) if at >= since]

    def ids(self, filters: GalleryFilter, *, limit: int) -> list[str]:
        """Return the ids of versions that pass a filter, the newest first."""
        with self._db.read() as c:
            found, key, _ = self._matches(c, filters)
            return list(c.execute(found.order_by(key.desc()).limit(limit)).scalars())

    def version_page(
        self,
        filters: GalleryFilter,
        *,
        before: str = "",
        changes: Changes | None = None,
        oldest_first: bool = False,
        limit: int,
    ) -> list[Version]:
        """Return a page of versions that pass a filter, by creation or by their last change.

        Args:
            filters: What to search for.
            before: Id of the last version of the page before; empty: the first page.
            changes: Only versions that changed since; they come in the order of their change.
            oldest_first: Begin with the oldest; else with the newest.
            limit: How many versions the page has at most.
        """
        with self._db.read() as c:
            found, key, _ = self._matches(c, filters)
            if changes:
                query = changes.apply(VERSIONS_WITH_ASSET.where(t.c.id.in_(found)), t.c.updated_at, t.c.id)
            else:
                order = t.c.id if oldest_first else t.c.id.desc()
                if before:
                    found = found.where(key > before if oldest_first else key < before)
                found = found.order_by(key if oldest_first else key.desc()).limit(limit)
                ids = list(c.execute(found).scalars())
                query = VERSIONS_WITH_ASSET.where(t.c.id.in_(ids)).order_by(order)
            return [version_from_row(row) for row in c.execute(query.limit(limit))]

    def tag_values(self, kind: str, *, limit: int = 200) -> list[str]:
        """Return the values that tags of a kind have, e.g. all categories."""
        with self._db.read() as c:
            return [
                found.partition(":")[2] for found in self._tags_with_prefix(c, search_tag(kind, ""), limit)
            ]

    def _matches(self, c: sa.Connection, filters: GalleryFilter) -> tuple[Any, Any, bool]:
        """Return a query for the ids that pass a filter, its column to sort by, and whether they are few."""
        few: set[str] | None = None
        common: list[tuple[str, Condition]] = []  # with the newest id among the oldest hits, of tags
        for condition in self._conditions(c, filters):
            ids = list(c.execute(condition.matching_ids.limit(FEW_HITS)).scalars())
            if len(ids) < FEW_HITS:
                few = set(ids) if few is None else few & set(ids)
            else:
                common.append((ids[-1] if condition.tag else "", condition))
        if few is not None:
            tests = [condition.matches_column(t.c.id) for _, condition in common]
            return sa.select(t.c.id).where(t.c.id.in_(few), *tests), t.c.id, True
        # The rarer a tag is, the newer is the last one of its oldest hits. The rarest tag leads the search.
        _, rarest = max(common, key=lambda pair: pair[0], default=("", None))
        if rarest is None or not rarest.tag:
            return self._without_tag([condition for _, condition in common])
        leading = version_tags.alias("led")
        key = leading.c.version_id
        tests = [condition.matches_column(key) for _, condition in common if condition is not rarest]
        return sa.select(key).where(leading.c.tag == rarest.tag, *tests), key, False

    def _without_tag(self, conditions: list[Condition]) -> tuple[Any, Any, bool]:
        """Return what `_matches` returns for conditions with many hits of which none is a tag."""
        leading = next((each for each in conditions if each.column is not None), None)
        if leading is None:
            return (
                sa.select(t.c.id).where(*(each.matches_column(t.c.id) for each in conditions)),
                t.c.id,
                False,
            )
        tests = [each.matches_column(leading.column) for each in conditions if each is not leading]
        return leading.matching_ids.where(*tests), leading.column, False

    def _conditions(self, c: sa.Connection, filters: GalleryFilter) -> Iterator[Condition]:
        """Yield the conditions of a filter."""
        for kind, value in (
            ("batch", filters.batch),
            ("category", filters.category),
            ("deliverable", filters.deliverable),
            ("code", filters.code),
        ):
            if value:
                yield tag_condition(search_tag(kind, value))
        if filters.sku:
            of_sku = sa.select(t.c.id).join(assets, assets.c.id == t.c.asset_id)
            yield id_condition(of_sku.where(assets.c.sku == filters.sku))
        if filters.channel:
            published, other = publications.alias("published"), publications.c
            yield Condition(
                sa.select(published.c.version_id).where(published.c.channel == filters.channel),
                lambda key: sa.exists().where(other.version_id == key, other.channel == filters.channel),
                column=published.c.version_id,
            )
        words = search_words(filters.text)[:MAX_WORDS]
        for word in words[:-1]:
            yield tag_condition(search_tag("word", word))
        if words:
            whole = self._tags_with_prefix(c, search_tag("word", words[-1]), 2)
            yield (
                tag_condition(whole[0])
                if len(whole) == 1
                else prefix_condition(search_tag("word", words[-1]))
            )
        if filters.stages is not None:
            yield stage_condition(filters.stages)
        yield state_condition([s.value for s in filters.states])

    def _tags_with_prefix(self, c: sa.Connection, prefix: str, limit: int) -> list[str]:
        """Return the first tags that begin with a prefix.

        Each is found from the one before it by the index, so the time does not depend on the number of
        versions.
        """
        end = (prefix + LAST_CHARACTER)[: MAX_TAG_LENGTH + 1]
        first = sa.select(sa.func.min(version_tags.c.tag).label("tag")).where(
            version_tags.c.tag >= prefix, version_tags.c.tag < end
        )
        each = first.cte(recursive=True)
        later = (
            sa.select(sa.func.min(version_tags.c.tag))
            .where(version_tags.c.tag > each.c.tag, version_tags.c.tag < end)
            .scalar_subquery()
        )
        each = each.union_all(sa.select(later).where(each.c.tag.is_not(None)))
        return list(c.execute(sa.select(each.c.tag).where(each.c.tag.is_not(None)).limit(limit)).scalars())


def _card(row: Any) -> VersionCard:
    asset = Asset(
        id=AssetId(row.asset_id), sku=row.sku, deliverable=row.deliverable, slot=row.slot, kind=row.kind
    )
    files = tuple(from_plain(VersionFile, f) for f in row.files)
    found = tuple(from_plain(Issue, each) for each in row.issues or ())
    return VersionCard(
        id=VersionId(row.id),
        asset=asset,
        number=row.number,
        state=VersionState(row.state),
        files=files,
        created_at=row.created_at,
        marks=version_marks(found, [each["code"] for each in row.waivers or ()]),
    )
