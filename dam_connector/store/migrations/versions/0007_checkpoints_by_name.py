"""A checkpoint names the step to run next, so that steps can be inserted, removed and renamed between releases."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# The pipelines as they were when checkpoints held a position. Frozen: later changes of the pipelines do not belong here.
_END = ("assign_version", "label_provenance", "check", "seal_version", "push", "request_review", "tell_dam")
_PIPELINES = {
    "image": ("collect_sources", "make_renditions", *_END),
    "model": (
        "collect_sources",
        "make_model",
        "fit_dimensions",
        "finish_model",
        "convert_usdz",
        "pack_web",
        "make_lods",
        "render_previews",
        *_END,
        "plan_renditions",
    ),
    "upscale": ("enlarge", *_END),
    "review": ("push", "request_review", "tell_dam", "plan_renditions"),
    "publish": ("publish_to_channels", "record_publication", "tell_dam", "tell_pim"),
    "withdraw": ("withdraw_from_channels", "tell_dam", "tell_pim"),
    "tell": ("tell_dam",),
}
_NEW_NAMES = {
    "check": "check_files",
    "convert_usdz": "convert_to_usdz",
    "enlarge": "upscale_pictures",
    "finish_model": "optimise_model",
    "pack_web": "make_web_glb",
    "push": "push_to_dam",
    "tell_dam": "write_dam_state",
    "tell_pim": "write_back_to_pim",
}
_AFTER_THE_LAST = "all_steps_done"


def upgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("next_step", sa.Text(), server_default="", nullable=False))
    rows = sa.table(
        "runs", sa.column("kind"), sa.column("position"), sa.column("step"), sa.column("next_step", sa.Text())
    )
    checkpointed = rows.c.step != ""  # a run without a checkpoint begins with the first step, whatever its name
    for kind, steps in _PIPELINES.items():
        for position, name in enumerate(steps):
            op.execute(
                rows.update()
                .where(checkpointed, rows.c.kind == kind, rows.c.position == position)
                .values(next_step=_NEW_NAMES.get(name, name))
            )
        op.execute(
            rows.update()
            .where(checkpointed, rows.c.kind == kind, rows.c.position >= len(steps))
            .values(next_step=_AFTER_THE_LAST)
        )
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("position")
