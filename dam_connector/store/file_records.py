"""The files that records name: of versions, and photos of products."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import Sha256
from dam_connector.store.database import Database
from dam_connector.store.tables import assets, products, version_files, versions

ADDRESS = re.compile("[0-9a-f]{64}")
NEWEST = 5  # files of each kind that are looked for in a storage without a mark


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file that a record names."""

    sha256: Sha256
    sku: str
    place: str  # for people, e.g. `packshot main V2 CH1.jpg` or `photo front`
    version_id: str  # empty for a photo


def newest_files(db: Database) -> list[Sha256]:
    """Return the addresses of a few files that were stored last."""
    with db.read() as c:
        of_versions = (
            sa.select(version_files.c.sha256)
            .join(versions, versions.c.id == version_files.c.version_id)
            .order_by(versions.c.id.desc())
            .limit(NEWEST)
        )
        found = [Sha256(each) for each in c.execute(of_versions).scalars() if ADDRESS.fullmatch(each)]
        newest = sa.select(products.c.sources).order_by(products.c.updated_at.desc()).limit(NEWEST)
        for sources in c.execute(newest).scalars():
            found += _addresses(sources).values()
    return found


def _addresses(sources: Any) -> dict[str, Sha256]:
    """Return the addresses of photos by view; nothing for a damaged record."""
    if not isinstance(sources, dict):
        return {}
    return {view: Sha256(each) for view, each in sources.items() if ADDRESS.fullmatch(str(each))}


def named_files(db: Database) -> Iterator[NamedFile]:
    """Yield all files that versions and products name."""
    columns = (versions.c.id, versions.c.number, version_files.c.sha256, version_files.c.name)
    of_versions = (
        sa.select(assets.c.sku, assets.c.deliverable, assets.c.slot, *columns)
        .select_from(version_files)
        .join(versions, versions.c.id == version_files.c.version_id)
        .join(assets, assets.c.id == versions.c.asset_id)
        .order_by(assets.c.sku, versions.c.id)
    )
    with db.read() as c:
        for row in c.execute(sa.select(products.c.sku, products.c.sources).order_by(products.c.sku)):
            for view, sha256 in _addresses(row.sources).items():
                yield NamedFile(sha256=sha256, sku=row.sku, place=f"photo {view}", version_id="")
        for file in c.execute(of_versions):
            if not ADDRESS.fullmatch(file.sha256):
                continue
            place = f"{file.deliverable} {file.slot} V{file.number} {file.name}"
            yield NamedFile(sha256=Sha256(file.sha256), sku=file.sku, place=place, version_id=file.id)
