"""Gallery: finding what was made, as fast among 100,000 versions as among 1,000.

Every version is filed under tags (catalog/tags.py). A page is found by what is rare: filters with few hits are read whole and
intersected; among those with many the rarest leads, and the others are asked about each of its versions, newest first.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.codec import from_plain
from dam_connector.domain.ids import AssetId, VersionId
from dam_connector.domain.product import Product
from dam_connector.domain.search_tags import MAX_TAG_LENGTH, search_tag, search_words, version_search_tags
from dam_connector.domain.version import Asset, VersionFile, VersionState, find_list_picture
from dam_connector.store.database import Database
from dam_connector.store.tables import assets, batch_rows, publications, version_tags
from dam_connector.store.tables import versions as t

FEW_HITS = 1000  # hits that are read whole
MAX_WORDS = 6
MAX_RECENT = 200
LAST_CHARACTER = "\U0010ffff"  # sorts behind every other character
_CARDS = sa.select(
    t.c.id,
    t.c.asset_id,
    t.c.number,
    t.c.state,
    t.c.files,
    t.c.created_at,
    assets.c.sku,
    assets.c.deliverable,
    assets.c.slot,
    assets.c.kind,
).join(assets, assets.c.id == t.c.asset_id)
_STATE = t.c.state.op("||")("")  # so written, its index is not taken instead of a better one
VISIBLE_STATES = tuple(s for s in VersionState if s not in (VersionState.DRAFT, VersionState.SUPERSEDED))


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryFilter:
    """What to look for; an empty field asks for nothing. text: words, the last one perhaps not yet whole."""

    batch: str = ""
    category: str = ""
    deliverable: str = ""
    code: str = ""
    channel: str = ""
    text: str = ""
    states: tuple[VersionState, ...] = VISIBLE_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionCard:
    """A version as a list shows it."""

    id: VersionId
    asset: Asset
    number: int
    state: VersionState
    files: tuple[VersionFile, ...]
    created_at: datetime

    @property
    def list_picture(self) -> VersionFile | None:
        return find_list_picture(self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestVersion:
    """A version as a manifest tells it. codes: of its report's issues."""

    card: VersionCard
    run_id: str
    provenance: Mapping[str, Any]
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Test:
    """A filter: the ids of all versions that pass it, and whether the one in a column does. tag: where it is one; its ids come oldest first."""

    ids: Any
    passes: Callable[[Any], Any]
    tag: str = ""


class Gallery:
    """Versions by tag."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add_tags(self, version_id: str, product: Product, deliverable: str, codes: Iterable[str]) -> None:
        """File a version under its tags; again changes nothing."""
        with self._db.write() as c:
            mine = sa.select(batch_rows.c.batch_id).where(batch_rows.c.sku == product.sku).distinct()
            batches = list(c.execute(mine).scalars())
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
        """File under a batch what there is of its unchanged rows, or of one SKU."""
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

    def page(self, wanted: GalleryFilter, *, before: str = "", limit: int = 60) -> list[VersionCard]:
        """Versions that fit, newest first, from just before the id `before`."""
        return self.page_and_count(wanted, before=before, limit=limit, max_count=0)[0]

    def page_and_count(
        self, wanted: GalleryFilter, *, before: str = "", limit: int, max_count: int
    ) -> tuple[list[VersionCard], int]:
        """A page of versions that fit, as `page` gives it, and how many fit in all: exactly where they are few, else counted up to `most`."""
        with self._db.read() as c:
            found, key, few = self._found(c, wanted)
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
        """These versions, in the order of their assets."""
        query = _CARDS.where(t.c.id.in_(list(ids))).order_by(
            assets.c.sku, assets.c.deliverable, assets.c.slot, t.c.number
        )
        with self._db.read() as c:
            return [_card(row) for row in c.execute(query)]

    def product_cards(self, skus: Iterable[str]) -> list[VersionCard]:
        """The versions of some products that were neither superseded nor are still drafts, newest first."""
        wanted = (assets.c.sku.in_(list(skus)), _STATE.in_([s.value for s in VISIBLE_STATES]))
        with self._db.read() as c:
            return [_card(row) for row in c.execute(_CARDS.where(*wanted).order_by(t.c.id.desc()))]

    def manifest_versions(self, skus: Iterable[str]) -> dict[str, list[ManifestVersion]]:
        """By SKU its versions that were neither superseded nor are still drafts, each asset's newest first."""
        wanted = (assets.c.sku.in_(list(skus)), _STATE.in_([s.value for s in VISIBLE_STATES]))
        query = (
            _CARDS.add_columns(t.c.run_id, t.c.provenance)
            .where(*wanted)
            .order_by(assets.c.deliverable, assets.c.slot, t.c.number.desc())
        )
        coded = sa.select(version_tags).where(version_tags.c.tag.like("code:%"))
        codes: dict[str, list[str]] = {}
        found: dict[str, list[ManifestVersion]] = {}
        with self._db.read() as c:
            rows = c.execute(query).all()
            for version_id, each in c.execute(
                coded.where(version_tags.c.version_id.in_([row.id for row in rows]))
            ):
                codes.setdefault(version_id, []).append(each.partition(":")[2])
        for row in rows:
            made = ManifestVersion(
                card=_card(row),
                run_id=row.run_id,
                provenance=row.provenance,
                codes=tuple(sorted(codes.get(row.id, ()))),
            )
            found.setdefault(row.sku, []).append(made)
        return found

    def recent(self, batch_id: str, since: datetime) -> list[tuple[str, datetime]]:
        """SKU and time of the newest versions of a batch, those before `since` left out; at most LATELY."""
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

    def ids(self, wanted: GalleryFilter, *, limit: int) -> list[str]:
        """The ids of versions that fit, newest first."""
        with self._db.read() as c:
            found, key, _ = self._found(c, wanted)
            return list(c.execute(found.order_by(key.desc()).limit(limit)).scalars())

    def tag_values(self, kind: str, *, limit: int = 200) -> list[str]:
        """The values that tags of a kind have."""
        with self._db.read() as c:
            return [found.partition(":")[2] for found in self._begun(c, search_tag(kind, ""), limit)]

    def _found(self, c: sa.Connection, wanted: GalleryFilter) -> tuple[Any, Any, bool]:
        """The ids of what fits, as a query; its column, to be ordered by; and whether they are few."""
        narrow: set[str] | None = None
        common: list[tuple[str, _Test]] = []
        for test in self._tests(c, wanted):
            ids = list(c.execute(test.ids.limit(FEW_HITS)).scalars())
            if len(ids) < FEW_HITS:
                narrow = set(ids) if narrow is None else narrow & set(ids)
            else:
                common.append((ids[-1] if test.tag else "", test))
        if narrow is not None:
            return (
                sa.select(t.c.id).where(t.c.id.in_(narrow), *(test.passes(t.c.id) for _, test in common)),
                t.c.id,
                True,
            )
        _, sparse = max(common, key=lambda found: found[0], default=("", None))
        if sparse is None or not sparse.tag:
            return sa.select(t.c.id).where(*(test.passes(t.c.id) for _, test in common)), t.c.id, False
        led = version_tags.alias(
            "led"
        )  # the oldest hits of a tag reach the further the rarer it is: it leads the search
        others = (test.passes(led.c.version_id) for _, test in common if test is not sparse)
        return sa.select(led.c.version_id).where(led.c.tag == sparse.tag, *others), led.c.version_id, False

    def _tests(self, c: sa.Connection, wanted: GalleryFilter) -> Iterator[_Test]:
        for kind, value in (
            ("batch", wanted.batch),
            ("category", wanted.category),
            ("deliverable", wanted.deliverable),
            ("code", wanted.code),
        ):
            if value:
                yield _tagged(search_tag(kind, value))
        if wanted.channel:
            live = publications.c.channel == wanted.channel
            yield _Test(
                sa.select(publications.c.version_id).where(live),
                lambda key: sa.exists().where(publications.c.version_id == key, live),
            )
        words = search_words(wanted.text)[:MAX_WORDS]
        for word in words[:-1]:
            yield _tagged(search_tag("word", word))
        if words:
            whole = self._begun(c, search_tag("word", words[-1]), 2)
            yield _tagged(whole[0]) if len(whole) == 1 else _begun(search_tag("word", words[-1]))
        yield _in_state([s.value for s in wanted.states])

    def _begun(self, c: sa.Connection, begin: str, limit: int) -> list[str]:
        """The first tags that begin so: each is found from the one before it, so the number of versions does not count."""
        end = (begin + LAST_CHARACTER)[: MAX_TAG_LENGTH + 1]
        first = sa.select(sa.func.min(version_tags.c.tag).label("tag")).where(
            version_tags.c.tag >= begin, version_tags.c.tag < end
        )
        each = first.cte(recursive=True)
        later = (
            sa.select(sa.func.min(version_tags.c.tag))
            .where(version_tags.c.tag > each.c.tag, version_tags.c.tag < end)
            .scalar_subquery()
        )
        each = each.union_all(sa.select(later).where(each.c.tag.is_not(None)))
        return list(c.execute(sa.select(each.c.tag).where(each.c.tag.is_not(None)).limit(limit)).scalars())


def _in_state(states: list[str]) -> _Test:
    held = t.alias("held")
    among = held.c.state.in_(states)
    if len(states) > len(VersionState) / 2:  # fewer questions: whether it is in none of the others
        rest = [s.value for s in VersionState if s not in states]
        return _Test(
            sa.select(t.c.id).where(t.c.state.in_(states)),
            lambda key: ~sa.exists().where(held.c.state.in_(rest), held.c.id == key),
        )
    return _Test(
        sa.select(t.c.id).where(t.c.state.in_(states)), lambda key: sa.exists().where(among, held.c.id == key)
    )


def _tagged(whole: str) -> _Test:
    condition = version_tags.c.tag == whole
    ids = sa.select(version_tags.c.version_id).where(condition).order_by(version_tags.c.version_id)
    return _Test(ids, lambda key: sa.exists().where(version_tags.c.version_id == key, condition), whole)


def _begun(begin: str) -> _Test:
    condition = sa.and_(
        version_tags.c.tag >= begin, version_tags.c.tag < (begin + LAST_CHARACTER)[: MAX_TAG_LENGTH + 1]
    )
    passes = lambda key: sa.exists().where(version_tags.c.version_id == key, condition)  # noqa: E731
    return _Test(sa.select(version_tags.c.version_id).where(condition), passes)


def _card(row: Any) -> VersionCard:
    asset = Asset(
        id=AssetId(row.asset_id), sku=row.sku, deliverable=row.deliverable, slot=row.slot, kind=row.kind
    )
    files = tuple(from_plain(VersionFile, f) for f in row.files)
    return VersionCard(
        id=VersionId(row.id),
        asset=asset,
        number=row.number,
        state=VersionState(row.state),
        files=files,
        created_at=row.created_at,
    )
