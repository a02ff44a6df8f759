"""The frame of every page: template filters, the user, and the counts in the navigation."""

from typing import Any

from flask import Blueprint, g

from dam_connector.domain import report_words
from dam_connector.domain.comment import MAX_COMMENT_CHARS
from dam_connector.domain.failure_cause import FailureCause, failure_cause
from dam_connector.domain.issue import Issue
from dam_connector.domain.model_forecast import ModelForecast
from dam_connector.domain.run import OPEN_STATES
from dam_connector.errors import StorageUnavailable
from dam_connector.store.products import ProductRecord
from dam_connector.store.users import User, UserRole
from dam_connector.usecases import estimates, stages
from dam_connector.web import formatting
from dam_connector.web.request_context import current_user, services

bp = Blueprint("layout", __name__)
bp.app_template_filter("ago")(formatting.ago)
bp.app_template_filter("exact_time")(formatting.exact_time)
bp.app_template_global("page_time")(formatting.page_time)
bp.app_template_filter("size")(formatting.size)
bp.app_template_filter("count_text")(formatting.count_text)
bp.app_template_filter("duration")(formatting.duration)
bp.app_template_filter("box_size")(formatting.box_size)
bp.app_template_filter("step_text")(formatting.step_text)
bp.app_template_filter("cause")(failure_cause)
bp.app_template_filter("code_meanings")(formatting.code_meanings)
bp.app_template_filter("fact_lines")(report_words.fact_lines)
bp.app_template_filter("measured_text")(report_words.measured_text)
bp.app_template_filter("finding_measure")(report_words.finding_measure)
bp.app_template_filter("check_text")(report_words.check_text)
bp.app_template_filter("place_text")(report_words.place_text)
bp.app_template_filter("provenance_text")(report_words.provenance_text)
bp.app_template_filter("inline_code")(formatting.inline_code)
bp.app_template_filter("mentions")(formatting.mentions)
bp.app_template_filter("anchor_json")(formatting.anchor_json)


@bp.app_template_filter("remedy")
def remedy(found: Issue | FailureCause) -> str:
    """Return the remedy of an issue or a cause for the user; parts of it are for admins alone."""
    user = current_user()
    return found.remedy_for(is_admin=user is not None and user.role.includes(UserRole.ADMIN))


@bp.app_template_filter("own_forecast")
def own_forecast(record: ProductRecord) -> ModelForecast | None:
    """Return the forecast of a product's model by our own code; None where it makes none."""
    return estimates.record_forecast(services(), record)


@bp.app_context_processor
def navigation() -> dict[str, Any]:
    """Return the variables that base.html needs on every page: the user, permissions and counts.

    The page of an error has no navigation while the database is away, rather than an error of its own.
    """
    try:
        user = current_user()
        return {"text_limit": MAX_COMMENT_CHARS, **(_of_user(user) if user else {"user": None})}
    except StorageUnavailable:
        if not g.get("shows_error"):
            raise
        return {"user": None, "text_limit": MAX_COMMENT_CHARS}


def _of_user(user: User) -> dict[str, Any]:
    """Return the variables for a user: permissions, and counts of what waits."""
    s = services()
    versions, runs, deliveries = (
        s.assets.counts("in_review", "blocked"),
        s.runs.counts("failed", *OPEN_STATES),
        s.inbox.counts("failed"),
    )
    return {
        "user": user,
        "has_worker": lambda job: s.queue.workers(job) > 0,
        "may": lambda role: user.role.includes(UserRole(role)),
        "undo_s": s.settings.undo_s,
        "rules_refused": s.rules.problem is not None,
        "buys": bool(s.rules.current().provider),
        "counts": {
            "review": _waiting_count(user, versions.get("in_review", 0)),
            "blocked": versions.get("blocked", 0),
            "flagged": s.products.counts()["flagged"],
            "failed": runs.get("failed", 0),
            "open": sum(runs[k] for k in OPEN_STATES),
            "lost": deliveries.get("failed", 0),
            "mentions": s.comments.open_mention_count(user.name),
        },
    }


def _waiting_count(user: User, in_review: int) -> int:
    """Return how many versions in review wait for a user; all of them when the rules have no stages."""
    asked = stages.asked_stages(services(), name=user.name, roles=user.role.included)
    if asked is None or not user.role.includes(UserRole.REVIEWER):
        return in_review
    return services().review_queue.count(asked)
