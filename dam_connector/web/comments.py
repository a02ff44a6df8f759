"""The actions of people on comments: write, reply, resolve, open again."""

from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from marshmallow import ValidationError

from dam_connector.domain.comment import Anchor
from dam_connector.domain.outside_values import decode_json
from dam_connector.domain.version import Version
from dam_connector.errors import Refused
from dam_connector.store.users import UserRole
from dam_connector.usecases import comments
from dam_connector.web.queue_place import requested_query
from dam_connector.web.request_context import requires, services, signed_in_user
from dam_connector.web.versions import version_page
from schemas.comments import AnchorSchema

bp = Blueprint("comments", __name__)


@bp.post("/versions/<version_id>/comment")
@requires(UserRole.REVIEWER)
def add(version_id: str) -> ResponseReturnValue:
    """Add a comment to a version, pinned to a place or not, or a reply to a comment."""
    version, draft = _version(version_id), requested_draft()
    try:
        comment_id = comments.add(
            services(),
            version,
            text=draft.text,
            by=signed_in_user().name,
            anchor=requested_anchor(),
            parent_id=draft.parent,
        )
    except Refused as error:
        flash(f"Not stored: {error.reason}.", "error")
        return version_page(version, draft), 422
    return _back(version_id, comment_id)


@bp.post("/versions/<version_id>/comments/<comment_id>/<any(resolve, reopen):action>")
@requires(UserRole.REVIEWER)
def settle(version_id: str, comment_id: str, action: str) -> ResponseReturnValue:
    """Record that a version resolves a comment, or open the comment again."""
    resolved, by = action == "resolve", signed_in_user().name
    comments.set_resolved(services(), _version(version_id), comment_id, by=by, resolved=resolved)
    flash("The comment is resolved." if resolved else "The comment is open again.", "info")
    return _back(version_id, comment_id)


@bp.get("/mentions")
@requires(UserRole.VIEWER)
def mentions() -> ResponseReturnValue:
    """Show the comments in open threads that mention the user, the newest first."""
    found = services().comments.open_mentions(signed_in_user().name)
    names = services().products.names({sku for _, sku in found})
    return render_template("mentions.html", mentions=found, names=names)


@dataclass(frozen=True, slots=True)
class Draft:
    """A comment as the form of a request has it; a page shows it again when it was not stored."""

    text: str
    parent: str  # the id of the comment that it replies to; empty: it begins a thread
    anchor: str  # its pin as JSON; empty: none


def requested_draft() -> Draft:
    """Return the comment in the form of the request."""
    form = request.form
    return Draft(form.get("comment", ""), form.get("parent", ""), form.get("anchor", "")[:2000])


def requested_anchor() -> Anchor | None:
    """Return the pin in the form of the request, or None; abort with 400 if it is none."""
    if not (text := request.form.get("anchor", "")):
        return None
    try:
        anchor: Anchor = AnchorSchema().load(decode_json(text[:2000]))
    except (ValueError, ValidationError):
        abort(400, "the pin of the comment cannot be read; place it again")
    return anchor


def _back(version_id: str, comment_id: str = "") -> ResponseReturnValue:
    anchor = f"comment-{comment_id}" if comment_id else None
    return redirect(url_for("versions.version", version_id=version_id, **requested_query(), _anchor=anchor))


def _version(version_id: str) -> Version:
    """Return a version, or abort with 404."""
    return services().assets.get(version_id) or abort(404)
