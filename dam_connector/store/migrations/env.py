"""Alembic's entry: runs the migrations on the connection that `Database.migrate` hands over."""

from alembic import context

from dam_connector.store import tables  # noqa: F401 - fills the metadata
from dam_connector.store.columns import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
