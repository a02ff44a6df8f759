"""The guest of a request: the link in the session, and the one check that every route for guests passes."""

from functools import wraps
from typing import Any, cast

from flask import abort, g, render_template, request, session
from flask.typing import ResponseReturnValue

from dam_connector.domain.version import Version
from dam_connector.store.guest_links import GuestLink
from dam_connector.usecases import guests
from dam_connector.web.request_context import View, services

SESSION_KEY = "guest"


def current_guest() -> GuestLink | None:
    """Return the link by which a guest is here, or None; a revoked or expired one is none."""
    if "guest" not in g:
        secret = session.get(SESSION_KEY, "")
        g.guest = services().guest_links.by_secret(secret) if secret else None
    return cast(GuestLink | None, g.guest)


def signed_in_guest() -> GuestLink:
    """Return the link of the guest, or abort with 401."""
    guest = current_guest()
    return guest if guest is not None else abort(401)


def guest_version() -> Version:
    """Return the version that the address of the request names; `check_guest` found it within the scope."""
    return cast(Version, g.guest_version)


def guest_may_read(sha256: str) -> bool:
    """Return whether a guest is here and may read a file."""
    guest = current_guest()
    return guest is not None and guests.may_read_file(services(), guest, sha256)


def for_guests(view: View) -> View:
    """Allow a view only to guests whose link is open, and only for versions within its scope.

    `check_identity` does so before anything of the body is read; the wrapper is for views that are called in
    another way.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        refusal = check_guest()
        return refusal if refusal is not None else cast(ResponseReturnValue, view(*args, **kwargs))

    guarded.check_guest = check_guest  # type: ignore[attr-defined]
    return cast(View, guarded)


def check_guest() -> ResponseReturnValue | None:
    """Return the page for people whose link is closed; abort with 401 or 404 otherwise, or return None."""
    guest = current_guest()
    if guest is None:
        return render_template("guest_closed.html", is_lost=request.method != "GET"), 401
    if version_id := (request.view_args or {}).get("version_id"):
        version = guests.visible_version(services(), guest, version_id)
        g.guest_version = version if version is not None else abort(404)
    return None
