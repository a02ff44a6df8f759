"""The page of the audit log, and its export."""

from flask import Blueprint, Response, abort, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue

from dam_connector.store.users import UserRole
from dam_connector.usecases.audit_export import AUDIT_FORMATS, audit_lines
from dam_connector.web.record_links import RecordLinks
from dam_connector.web.request_context import PAGE_SIZE, requires, services

bp = Blueprint("audit", __name__)


@bp.get("/audit")
@requires(UserRole.ADMIN)
def index() -> ResponseReturnValue:
    """Show the actions of people, newest first."""
    try:
        found = services().audit.page(before=request.args.get("cursor", ""), limit=PAGE_SIZE)
    except ValueError:
        abort(400, "this cursor is not one of the audit log; open it without the part after the ?")
    cursor = found[-1].cursor if len(found) == PAGE_SIZE else None
    links = RecordLinks(services(), [text for entry in found for text in (entry.subject, entry.detail)])
    return render_template("audit.html", entries=found, links=links, next=cursor)


@bp.get("/audit.<extension>")
@requires(UserRole.ADMIN)
def export(extension: str) -> ResponseReturnValue:
    """Send the whole audit log as CSV or JSON lines."""
    if extension not in AUDIT_FORMATS:
        abort(404)
    return Response(
        stream_with_context(audit_lines(services(), extension)),
        mimetype=AUDIT_FORMATS[extension],
        headers={"Content-Disposition": f"attachment; filename=audit.{extension}"},
    )
