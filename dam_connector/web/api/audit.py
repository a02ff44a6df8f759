"""Endpoint of the API for the audit log."""

from typing import Any

from flask import Response, abort, stream_with_context

from dam_connector.store.users import UserRole
from dam_connector.usecases.audit_export import AUDIT_FORMATS, audit_lines
from dam_connector.web.api.blueprint import bp
from dam_connector.web.request_context import requires, services
from schemas import api_admin as s
from schemas.api import page_of
from schemas.api_batches import binary


@bp.get("/audit")
@requires(UserRole.ADMIN)
@bp.arguments(s.AuditArgs, location="query")
@bp.response(200, page_of(s.AuditEntryOut))
def audit(args: dict[str, Any]) -> dict[str, Any]:
    """List the actions of people, newest first."""
    try:
        found = services().audit.page(before=args["cursor"], limit=args["limit"])
    except ValueError:
        abort(400, "this cursor is not one of the audit log")
    return {"items": found, "next": found[-1].cursor if len(found) == args["limit"] else None}


@bp.get("/audit/export")
@requires(UserRole.ADMIN)
@bp.arguments(s.ExportArgs, location="query")
@bp.response(200, binary("application/jsonl"), content_type="application/jsonl")
@bp.alt_response(200, schema=binary("text/csv"), content_type="text/csv", success=True)
def export_audit(args: dict[str, Any]) -> Response:
    """Return the whole audit log, newest first."""
    lines = stream_with_context(audit_lines(services(), args["format"]))
    return Response(lines, mimetype=AUDIT_FORMATS[args["format"]])
