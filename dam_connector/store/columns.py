"""The kinds of columns that the tables are made of, and the metadata that they belong to."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.store.request_origin import request_address

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(sa.TypeDecorator[datetime]):
    """An aware UTC datetime, stored without its zone, so that SQLite can sort it."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value else None


def id_column(name: str = "id") -> sa.Column[str]:
    """Return the column of a primary key that is an id."""
    return sa.Column(name, sa.String(40), primary_key=True)


def foreign_key_column(name: str, target: str, **more: Any) -> sa.Column[str]:
    """Return a column that refers to an id of another table."""
    return sa.Column(name, sa.String(40), sa.ForeignKey(target), **more)


def text_column(name: str, default: str = "") -> sa.Column[str]:
    """Return a column of text that is never NULL."""
    return sa.Column(name, sa.Text, nullable=False, default=default, server_default=default)


def address_column() -> sa.Column[str]:
    """Return a column that records by itself from where the current request came."""
    return sa.Column("address", sa.String(64), nullable=False, default=_current_address, server_default="")


def _current_address() -> str:
    return request_address.get()[:64]


def json_column(name: str) -> sa.Column[Any]:
    """Return a column of JSON that is never NULL."""
    return sa.Column(name, sa.JSON, nullable=False)
