"""Tasks that wait for a slot, with what was ordered and made; which batch asked for a run, and who was chosen to make it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_JSON = sa.JSON()


def upgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("batch_id", sa.String(length=40), server_default="", nullable=False))
        runs.add_column(sa.Column("generator", sa.String(length=40), server_default="", nullable=False))
    with op.batch_alter_table("tasks") as tasks:
        tasks.drop_constraint(op.f("uq_tasks_run_id_provider"), type_="unique")
        tasks.add_column(sa.Column("batch_id", sa.String(length=40), server_default="", nullable=False))
        tasks.add_column(sa.Column("order", _JSON, server_default="{}", nullable=False))
        tasks.add_column(sa.Column("result", _JSON, server_default="{}", nullable=False))
        tasks.add_column(sa.Column("tries", sa.Integer(), server_default="0", nullable=False))
        tasks.add_column(sa.Column("look_at", sa.DateTime(), server_default="2026-01-01 00:00:00", nullable=False))
        tasks.add_column(sa.Column("heard", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(op.f("ix_tasks_run_id_provider"), "tasks", ["run_id", "provider"])
    op.create_index(op.f("ix_tasks_state_look_at"), "tasks", ["state", "look_at"])
    op.create_index(op.f("ix_tasks_batch_id"), "tasks", ["batch_id"])
    with op.batch_alter_table("tasks") as tasks:
        tasks.alter_column("look_at", server_default=None)
