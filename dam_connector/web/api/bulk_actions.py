"""Endpoints of the API for actions on many versions, as in the gallery."""

from typing import Any

from flask import Response, abort, stream_with_context

from dam_connector.domain.event import Decision, Verdict
from dam_connector.store.users import UserRole
from dam_connector.usecases import batch_exports, bulk_review
from dam_connector.web.api.blueprint import bp, idempotent
from dam_connector.web.api.versions import gallery_filter
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import api_batches as b
from schemas import api_versions as s


@bp.post("/versions/bulk/decision")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.BulkDecisionIn)
@bp.response(200, s.BulkOut)
def decide_many(data: dict[str, Any]) -> dict[str, Any]:
    """Approve or reject the versions that are in review. For some seconds, `undo` takes it back."""
    decision = Decision(
        verdict=Verdict(data["verdict"]),
        by=signed_in_user().name,
        reasons=tuple(data["reasons"]),
        note=data["note"],
    )
    ids, more = _selected(data)
    delay_s = services().settings.undo_s
    roles = signed_in_user().role.included
    result = bulk_review.decide_all(services(), ids, decision, delay_s=delay_s, roles=roles, source="api")
    return _body(result, more)


@bp.post("/versions/bulk/undo")
@requires(UserRole.REVIEWER)
@idempotent
@bp.response(200, s.BulkOut)
def undo_many() -> dict[str, Any]:
    """Take back your last decision about many versions, where it has not taken effect."""
    return _body(bulk_review.undo_all(services(), by=signed_in_user().name))


@bp.post("/versions/bulk/regenerate")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.BulkRegenerateIn)
@bp.response(202, s.BulkOut)
def regenerate_many(data: dict[str, Any]) -> dict[str, Any]:
    """Make the next version of each asset."""
    ids, more = _selected(data)
    by = signed_in_user().name
    return _body(bulk_review.regenerate_all(services(), ids, note=data["note"], by=by), more)


@bp.post("/versions/bulk/upscale")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.SelectionIn)
@bp.response(202, s.BulkOut)
def upscale_many(data: dict[str, Any]) -> dict[str, Any]:
    """Make a version of each still picture with twice the pixels."""
    ids, more = _selected(data)
    return _body(bulk_review.upscale_all(services(), ids, by=signed_in_user().name), more)


@bp.post("/versions/bulk/comments")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.BulkCommentIn)
@bp.response(200, s.BulkOut)
def comment_many(data: dict[str, Any]) -> dict[str, Any]:
    """Add one comment to each version."""
    ids, more = _selected(data)
    text, by = data["text"].strip(), signed_in_user().name
    return _body(bulk_review.comment_all(services(), ids, text=text, by=by), more)


@bp.post("/versions/bulk/download")
@requires(UserRole.VIEWER)
@bp.arguments(s.SelectionIn)
@bp.response(200, b.binary("application/zip"), content_type="application/zip")
def download_many(data: dict[str, Any]) -> Response:
    """Return the files of some versions as a ZIP, in their folders."""
    cards = services().gallery.cards(_selected(data)[0]) or abort(404, "none of these versions exists")
    return Response(
        stream_with_context(batch_exports.stream_zip(services(), cards)), mimetype="application/zip"
    )


def _selected(data: dict[str, Any]) -> tuple[list[str], bool]:
    """Return the ids of the selected versions, and whether the filter finds more."""
    if "ids" in data:
        return list(dict.fromkeys(data["ids"])), False
    found = services().gallery.ids(gallery_filter(data["filter"]), limit=s.MAX_SELECTED + 1)
    return found[: s.MAX_SELECTED], len(found) > s.MAX_SELECTED


def _body(result: bulk_review.BulkResult, more: bool = False) -> dict[str, Any]:
    return {"done": result.done, "refused": result.refused, "more": more}
