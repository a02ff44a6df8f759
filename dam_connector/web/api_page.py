"""The page of the API, to read and to try out."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from dam_connector.store.users import UserRole
from dam_connector.web.request_context import requires

bp = Blueprint("api_page", __name__)


@bp.get("/api/docs")
@requires(UserRole.VIEWER)
def api_docs() -> ResponseReturnValue:
    """Show the API, and how to get a token."""
    return render_template("api.html")
