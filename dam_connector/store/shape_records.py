"""Which products share the shape of a model deliverable, and which of them makes it."""

import sqlalchemy as sa

from dam_connector.store.database import Database
from dam_connector.store.review_tables import shape_members as members
from dam_connector.store.review_tables import shapes as t
from dam_connector.store.tables import products


class ShapeRecords:
    """The tables of shapes and of their members."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def join(self, deliverable: str, sku: str, key: str) -> str:
        """Record that a product shares a shape, and leaves any other; return the one before.

        The empty key means none.
        """
        mine = (members.c.deliverable == deliverable, members.c.sku == sku)
        row = {"deliverable": deliverable, "sku": sku, "shape_key": key}
        with self._db.write() as c:
            before = c.execute(sa.select(members.c.shape_key).where(*mine)).scalar_one_or_none()
            if not key:
                c.execute(sa.delete(members).where(*mine))
            elif not self._db.insert_new(c, members, row):
                c.execute(sa.update(members).where(*mine).values(shape_key=key))
        return str(before or "")

    def lock_owner(self, deliverable: str, key: str) -> str:
        """Return the product that was to make a shape, also one that is gone; empty: none was.

        Nobody else changes it until the open transaction ends.
        """
        query = sa.select(t.c.owner).where(t.c.deliverable == deliverable, t.c.shape_key == key)
        with self._db.write() as c:
            self._db.insert_new(c, t, {"deliverable": deliverable, "shape_key": key, "owner": ""})
            return str(c.execute(query.with_for_update()).scalar_one())

    def set_owner(self, deliverable: str, key: str, sku: str) -> None:
        """Store which product makes a shape, after `lock_owner`; empty: none does."""
        of_shape = (t.c.deliverable == deliverable, t.c.shape_key == key)
        with self._db.write() as c:
            c.execute(sa.update(t).where(*of_shape).values(owner=sku))

    def _is_member(self, c: sa.Connection, deliverable: str, sku: str, key: str) -> bool:
        return c.execute(_members(deliverable, key).where(members.c.sku == sku)).first() is not None

    def owner(self, deliverable: str, key: str) -> str:
        """Return the SKU of the product that makes a shape; empty if none does, or it is gone."""
        query = sa.select(t.c.owner).where(t.c.deliverable == deliverable, t.c.shape_key == key)
        with self._db.read() as c:
            found = c.execute(query).scalar_one_or_none()
            return str(found) if found and self._is_member(c, deliverable, found, key) else ""

    def key_of(self, deliverable: str, sku: str) -> str:
        """Return the shape that a product shares with others; empty: none."""
        query = sa.select(members.c.shape_key).where(
            members.c.deliverable == deliverable, members.c.sku == sku
        )
        with self._db.read() as c:
            return str(c.execute(query).scalar_one_or_none() or "")

    def members(self, deliverable: str, key: str) -> list[str]:
        """Return the SKUs of the products that share a shape and are not deleted, sorted."""
        with self._db.read() as c:
            return sorted(str(sku) for sku in c.execute(_members(deliverable, key)).scalars())


def _members(deliverable: str, key: str) -> "sa.Select[tuple[str]]":
    return (
        sa.select(members.c.sku)
        .join(products, products.c.sku == members.c.sku)
        .where(
            members.c.deliverable == deliverable,
            members.c.shape_key == key,
            products.c.deleted.is_(False),
        )
    )
