"""Login by single sign-on: to the OpenID provider and back."""

import structlog
from flask import Blueprint, abort, flash, redirect, render_template, request, session
from flask.typing import ResponseReturnValue

from dam_connector.errors import AdapterError, LoginRefused
from dam_connector.usecases.sign_on import CALLBACK_PATH, begin_sign_on, finish_sign_on
from dam_connector.web.auth import login_context, record_failure, safe_target
from dam_connector.web.rate_limit import limit_rate
from dam_connector.web.request_context import services

bp = Blueprint("sign_on", __name__)
log = structlog.get_logger()
_KEY = "sign_on"  # of what the browser keeps


@bp.get("/login/sign-on")
def begin() -> ResponseReturnValue:
    """Send the person to the provider."""
    limit_rate(services().settings.logins_per_minute)
    if services().rules.current().sign_on is None:
        abort(404)
    try:
        url, pending = begin_sign_on(services(), safe_target(request.args.get("next", "")))
    except AdapterError as error:
        return _provider_failed(error)
    session[_KEY] = pending.to_dict()
    return redirect(url)


@bp.get(CALLBACK_PATH)
def finish() -> ResponseReturnValue:
    """Log in the person who comes back; each login is finished once."""
    limit_rate(services().settings.logins_per_minute)
    if services().rules.current().sign_on is None:
        abort(404)
    begun = session.pop(_KEY, None)
    try:
        secret = finish_sign_on(services(), begun, request.args)
    except LoginRefused as error:
        record_failure("single sign-on", str(error))
        flash(f"You are not logged in: {error}.", "error")
        return render_template("login.html", **login_context("")), 401
    except AdapterError as error:
        return _provider_failed(error)
    session.clear()  # against session fixation
    session["secret"] = secret
    session.permanent = True
    return redirect(safe_target(str(begun["target"])))


def _provider_failed(error: AdapterError) -> ResponseReturnValue:
    log.warning("sign_on_failed", error=str(error))
    flash("The provider of single sign-on does not answer as it should. Try again in a minute.", "error")
    return render_template("login.html", **login_context("")), 503
