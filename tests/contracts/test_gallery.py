"""Finding versions, on SQLite and on PostgreSQL."""

from collections.abc import Callable

import pytest

from dam_connector.domain.issue import Report
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import VersionState
from dam_connector.store import gallery
from dam_connector.store.batch_records import NewBatchRow, RowState
from dam_connector.store.gallery import GalleryFilter
from dam_connector.store.run_records import NewRun
from dam_connector.wiring import Services
from tests.support import TestClock, file_of, product

Make = Callable[..., str]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("migrated_postgres")())


@pytest.fixture
def make(services: Services, clock: TestClock) -> Make:
    """A version in review, filed; gives its id."""

    def made(
        sku: str,
        name: str = "Chair",
        category: str = "seating",
        deliverable: str = "packshot",
        codes: tuple[str, ...] = (),
    ) -> str:
        clock.forward(1)
        thing = product(sku, name=name, category=category)
        services.products.upsert(thing, connection="", ref=sku, source_time=clock.now())
        new = NewRun(
            kind=RunKind.IMAGE,
            sku=sku,
            deliverable=deliverable,
            slot=1,
            input_hash=f"{sku}{clock.now()}",
            rules_fingerprint="r",
        )
        run_id = services.runs.add([new])[0]
        version_id, _ = services.assets.assign_version(
            sku=sku, deliverable=deliverable, slot=1, kind="image", run_id=run_id, rules_fingerprint="r"
        )
        services.assets.seal(version_id, (file_of(b"x", f"{sku}.webp", "webp"),), Report(), {})
        services.gallery.add_tags(version_id, thing, deliverable, codes)
        services.assets.transition(version_id, VersionState.IN_REVIEW)
        return version_id

    return made


def skus(services: Services, **wanted: object) -> list[str]:
    # type: ignore[arg-type]
    return [card.asset.sku for card in services.gallery.page(GalleryFilter(**wanted))]


def row(line: int, sku: str, state: RowState) -> NewBatchRow:
    return NewBatchRow(line=line, sku=sku, cells={}, product=product(sku), state=state)


@pytest.fixture(params=[1000, 1], ids=["few", "many"])
def rare(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of finding: read whole and intersect, or ask about each candidate."""
    monkeypatch.setattr(gallery, "FEW_HITS", request.param)


@pytest.mark.usefixtures("rare")
def test_every_filter_alone_and_together(services: Services, make: Make) -> None:
    first = make("A1", name="Oak Chair", codes=("dimensions.wrong",))
    make("A2", name="Oak Table", category="tables", deliverable="model")
    make("B-77", name="Übergroßer Sessel")
    assert skus(services) == ["B-77", "A2", "A1"]
    assert skus(services, category="tables") == ["A2"] and skus(services, deliverable="packshot") == [
        "B-77",
        "A1",
    ]
    assert skus(services, code="dimensions.wrong") == ["A1"] and skus(services, code="x.none") == []
    assert (
        skus(services, text="oak") == ["A2", "A1"]
        and skus(services, text="OAK ch") == ["A1"]
        and skus(services, text="chair oa") == ["A1"]
    )
    assert (
        skus(services, text="ubergro") == ["B-77"]
        and skus(services, text="b-77") == ["B-77"]
        and skus(services, text="%") == ["B-77", "A2", "A1"]
    )
    services.assets.transition(first, VersionState.SUPERSEDED)
    assert skus(services) == ["B-77", "A2"] and skus(services, states=(VersionState.SUPERSEDED,)) == ["A1"]
    services.publications.set(services.assets.get(first), "shop", "")
    assert (
        skus(services, channel="shop", states=tuple(VersionState)) == ["A1"]
        and skus(services, channel="viewer") == []
    )
    assert services.gallery.page_and_count(GalleryFilter(), limit=1, max_count=10)[1] == 2


@pytest.mark.usefixtures("rare")
def test_pages_cover_everything_once(services: Services, make: Make) -> None:
    for n in range(7):
        make(f"S{n}")
    seen, before = [], ""
    while page := services.gallery.page(GalleryFilter(category="seating"), before=before, limit=3):
        seen += [c.asset.sku for c in page]
        before = page[-1].id
    assert (
        seen == [f"S{n}" for n in reversed(range(7))]
        and len(services.gallery.ids(GalleryFilter(), limit=5)) == 5
    )


def test_a_batch_shows_what_it_made_and_what_there_was_of_its_unchanged_rows(
    services: Services, make: Make
) -> None:
    make("OLD")
    make("OTHER")
    batch = services.batches.store(
        "autumn", "ada", ("sku",), [row(2, "OLD", RowState.UNCHANGED), row(3, "NEW", RowState.WAITING)]
    )
    services.gallery.tag_batch(batch.id)
    services.gallery.tag_batch(batch.id)
    make("NEW")
    assert skus(services, batch=batch.id) == ["NEW", "OLD"]
    services.gallery.tag_batch(batch.id, "OTHER")
    assert skus(services, batch=batch.id) == ["NEW", "OTHER", "OLD"]


def test_values_are_those_that_there_are(services: Services, make: Make) -> None:
    assert services.gallery.tag_values("category") == []
    for n, category in enumerate(["chairs", "lamps", "chairs", "ångström"]):
        make(f"S{n}", category=category)
    assert sorted(services.gallery.tag_values("category")) == sorted(["chairs", "lamps", "ångström"])
    assert services.gallery.tag_values("deliverable") == ["packshot"]


def test_what_was_made_before_the_gallery_is_found_in_it(services: Services, make: Make) -> None:
    from alembic import command
    from alembic.config import Config

    from dam_connector.store.revisions import MIGRATIONS

    make("A1", name="Oak Chair")
    with services.db.write() as c:
        for statement in ("DROP TABLE version_tags", "UPDATE alembic_version SET version_num = '0002'"):
            c.exec_driver_sql(statement)
        for table, column in (("batches", "turn"), ("runs", "bulk")):
            c.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN {column}")
        for index in (
            "ix_publications_channel_version_id",
            "ix_products_deleted_flagged_id",
            "ix_version_files_name",
            "ix_library_version_id",
        ):
            c.exec_driver_sql(f"DROP INDEX {index}")
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = c
        command.upgrade(config, "0003")
    assert skus(services, text="oak", category="seating") == ["A1"]
