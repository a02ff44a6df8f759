"""Gallery: finding what was made, as fast among 100,000 versions as among 1,000.

Every version is filed under tags (catalog/tags.py). A page is found by what is rare: filters with few hits are read whole and
intersected, those with many are only asked about each candidate, newest first. Slow is only what two common filters that
hardly meet leave over: then all candidates are looked at (0.2 s among 100,000).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.catalog.codec import from_plain
from dam_connector.catalog.ids import AssetId, VersionId
from dam_connector.catalog.product import Product
from dam_connector.catalog.tags import MAX_TAG, tag, tags_of, words_of
from dam_connector.catalog.version import Asset, VersionFile, VersionState, picture_of
from dam_connector.store.database import Database
from dam_connector.store.tables import assets, batch_rows, publications, version_tags
from dam_connector.store.tables import versions as t

RARE = 2000  # hits that are read whole
MAX_WORDS = 6
LATELY = 200
LAST = "\U0010ffff"  # sorts behind every other character
_CARDS = sa.select(
    t.c.id, t.c.asset_id, t.c.number, t.c.state, t.c.files, t.c.created_at, assets.c.sku, assets.c.deliverable, assets.c.slot, assets.c.kind
).join(assets, assets.c.id == t.c.asset_id)
SHOWN = tuple(s for s in VersionState if s not in (VersionState.DRAFT, VersionState.SUPERSEDED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for; an empty field asks for nothing. text: words, the last one perhaps not yet whole."""

    batch: str = ""
    category: str = ""
    deliverable: str = ""
    code: str = ""
    channel: str = ""
    text: str = ""
    states: tuple[VersionState, ...] = SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A version as a list shows it."""

    id: VersionId
    asset: Asset
    number: int
    state: VersionState
    files: tuple[VersionFile, ...]
    created_at: datetime

    @property
    def picture(self) -> VersionFile | None:
        return picture_of(self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A version as a manifest tells it. codes: of its report's issues."""

    card: Card
    run_id: str
    provenance: Mapping[str, Any]
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Test:
    """A filter: the ids of all versions that pass it, and whether one version does."""

    ids: Any
    passes: Any


class Gallery:
    """Versions by tag."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def file(self, version_id: str, product: Product, deliverable: str, codes: Iterable[str]) -> None:
        """File a version under its tags; again changes nothing."""
        with self._db.write() as c:
            mine = sa.select(batch_rows.c.batch_id).where(batch_rows.c.sku == product.sku).distinct()
            batches = list(c.execute(mine).scalars())
            found = tags_of(sku=product.sku, name=product.name, category=product.category, deliverable=deliverable, codes=codes, batches=batches)
            self._db.insert_new_ids(c, version_tags, [{"version_id": version_id, "tag": each} for each in found])

    def file_batch(self, batch_id: str, sku: str = "") -> None:
        """File under a batch what there is of its unchanged rows, or of one SKU."""
        query = sa.select(t.c.id, sa.literal(tag("batch", batch_id))).join(assets, assets.c.id == t.c.asset_id)
        if sku:
            query = query.where(assets.c.sku == sku)
        else:
            mine = (batch_rows.c.batch_id == batch_id, batch_rows.c.state == "unchanged")
            query = query.where(assets.c.sku.in_(sa.select(batch_rows.c.sku).where(*mine)))
        known = sa.exists().where(version_tags.c.version_id == t.c.id, version_tags.c.tag == tag("batch", batch_id))
        with self._db.write() as c:
            c.execute(sa.insert(version_tags).from_select(["version_id", "tag"], query.where(~known)))

    def page(self, wanted: Wanted, *, before: str = "", limit: int = 60) -> list[Card]:
        """Versions that fit, newest first, from just before the id `before`."""
        with self._db.read() as c:
            found = self._found(c, _CARDS, wanted).order_by(t.c.id.desc()).limit(limit)
            return [_card(row) for row in c.execute(found.where(t.c.id < before) if before else found)]

    def cards(self, ids: Iterable[str]) -> list[Card]:
        """These versions, in the order of their assets."""
        query = _CARDS.where(t.c.id.in_(list(ids))).order_by(assets.c.sku, assets.c.deliverable, assets.c.slot, t.c.number)
        with self._db.read() as c:
            return [_card(row) for row in c.execute(query)]

    def made_of(self, skus: Iterable[str]) -> dict[str, list[Made]]:
        """By SKU its versions that were neither superseded nor are still drafts, each asset's newest first."""
        wanted = (assets.c.sku.in_(list(skus)), t.c.state.in_([s.value for s in SHOWN]))
        query = _CARDS.add_columns(t.c.run_id, t.c.provenance).where(*wanted).order_by(assets.c.deliverable, assets.c.slot, t.c.number.desc())
        coded = sa.select(version_tags).where(version_tags.c.tag.like("code:%"))
        codes: dict[str, list[str]] = {}
        found: dict[str, list[Made]] = {}
        with self._db.read() as c:
            rows = c.execute(query).all()
            for version_id, each in c.execute(coded.where(version_tags.c.version_id.in_([row.id for row in rows]))):
                codes.setdefault(version_id, []).append(each.partition(":")[2])
        for row in rows:
            made = Made(card=_card(row), run_id=row.run_id, provenance=row.provenance, codes=tuple(sorted(codes.get(row.id, ()))))
            found.setdefault(row.sku, []).append(made)
        return found

    def lately(self, batch_id: str, since: datetime) -> list[tuple[str, datetime]]:
        """SKU and time of the newest versions of a batch, those before `since` left out; at most LATELY."""
        query = (
            sa.select(assets.c.sku, t.c.created_at).join(assets, assets.c.id == t.c.asset_id).join(version_tags, version_tags.c.version_id == t.c.id)
        )
        newest = query.where(version_tags.c.tag == tag("batch", batch_id)).order_by(version_tags.c.version_id.desc()).limit(LATELY)
        with self._db.read() as c:
            return [(sku, at) for sku, at in c.execute(newest) if at >= since]

    def ids(self, wanted: Wanted, *, limit: int) -> list[str]:
        """The ids of versions that fit, newest first."""
        with self._db.read() as c:
            return list(c.execute(self._found(c, sa.select(t.c.id), wanted).order_by(t.c.id.desc()).limit(limit)).scalars())

    def count(self, wanted: Wanted, *, most: int) -> int:
        """How many versions fit, counted up to `most`."""
        with self._db.read() as c:
            return self._db.count(c, self._found(c, sa.select(t.c.id), wanted), most)

    def values(self, kind: str, *, limit: int = 200) -> list[str]:
        """The values that tags of a kind have: each is found from the one before it, so the number of versions does not count."""
        end = tag(kind, LAST)
        first = sa.select(sa.func.min(version_tags.c.tag).label("tag")).where(version_tags.c.tag > tag(kind, ""), version_tags.c.tag < end)
        each = first.cte(recursive=True)
        later = sa.select(sa.func.min(version_tags.c.tag)).where(version_tags.c.tag > each.c.tag, version_tags.c.tag < end).scalar_subquery()
        each = each.union_all(sa.select(later).where(each.c.tag.is_not(None)))
        with self._db.read() as c:
            found = c.execute(sa.select(each.c.tag).where(each.c.tag.is_not(None)).limit(limit)).scalars()
            return [value.partition(":")[2] for value in found]

    def _found(self, c: sa.Connection, query: Any, wanted: Wanted) -> Any:
        """The query, narrowed to what fits."""
        narrow: set[str] | None = None
        for test in _tests(wanted):
            ids = list(c.execute(test.ids.limit(RARE)).scalars())
            if len(ids) == RARE:
                query = query.where(test.passes)
            else:
                narrow = set(ids) if narrow is None else narrow & set(ids)
        return query if narrow is None else query.where(t.c.id.in_(narrow))


def _tests(wanted: Wanted) -> Iterator[_Test]:
    states = [s.value for s in wanted.states]
    yield _Test(sa.select(t.c.id).where(t.c.state.in_(states)), t.c.state.in_(states))
    for kind, value in (("batch", wanted.batch), ("category", wanted.category), ("deliverable", wanted.deliverable), ("code", wanted.code)):
        if value:
            yield _tagged(version_tags.c.tag == tag(kind, value))
    if wanted.channel:
        live = publications.c.channel == wanted.channel
        yield _Test(sa.select(publications.c.version_id).where(live), sa.exists().where(publications.c.version_id == t.c.id, live))
    words = words_of(wanted.text)[:MAX_WORDS]
    for word in words[:-1]:
        yield _tagged(version_tags.c.tag == tag("word", word))
    if words:
        begin = tag("word", words[-1])
        yield _tagged(sa.and_(version_tags.c.tag >= begin, version_tags.c.tag < (begin + LAST)[: MAX_TAG + 1]))


def _tagged(condition: Any) -> _Test:
    passes = sa.exists().where(version_tags.c.version_id == t.c.id, condition)
    return _Test(sa.select(version_tags.c.version_id).where(condition), passes)


def _card(row: Any) -> Card:
    asset = Asset(id=AssetId(row.asset_id), sku=row.sku, deliverable=row.deliverable, slot=row.slot, kind=row.kind)
    files = tuple(from_plain(VersionFile, f) for f in row.files)
    return Card(id=VersionId(row.id), asset=asset, number=row.number, state=VersionState(row.state), files=files, created_at=row.created_at)
