"""The page that people see in place of an error, with its remedy."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

from flask import g, render_template, request, session, url_for

from dam_connector.web.formatting import size

# The remedy by status, where the message of the error names none.
ADVICE = {
    400: "Go back, reload the page and try again.",
    403: "Ask an admin for the right to do this, or to do it for you.",
    404: "Check the address. What was deleted, or is not published, has no page.",
    405: "Go back and use the buttons of the page.",
    409: "Go back and reload the page: it shows how things are now.",
    413: "Send a smaller file, or several smaller ones.",
    422: "Go back, correct it and send it again.",
    502: "Try again in a minute. Under Connections, an admin can test the other system.",
    503: "Try again in a minute. An admin finds the cause with dam-connector doctor.",
}
# The message by status, where the error has no words of ours.
_HAPPENED = {
    400: "The form or the address cannot be read.",
    403: "You may not do this.",
    404: "There is nothing at this address.",
    405: "This address takes no such request.",
}
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_OF_STRANGERS = (
    "You are not logged in, or not any more; nothing was changed. Log in, then do it once more.",
    "Log in",
)


def error_page(code: int, message: str, *, says_remedy: bool) -> str:
    """Render the page of an error.

    Args:
        code: the HTTP status.
        message: of the error; empty: it has no words of ours.
        says_remedy: the message names the remedy, so that no advice is added.
    """
    g.shows_error = True
    advice = "" if says_remedy else ADVICE.get(code, "")
    message = message or _HAPPENED.get(code, "The request failed.")
    target, label = url_for("versions.home"), "To the review queue"
    if code == 401:
        message, label = _OF_STRANGERS
        target = url_for("auth.login_page", next=_path_before() or None)
    elif "guest" in session and "secret" not in session:
        target = url_for("guests.queue")
    elif code == 500:
        advice = f"Try again. If it fails again, tell an admin what you did, and the time: {_now()}."
    return render_template(
        "error.html", code=code, message=message, advice=advice, target=target, label=label
    )


def too_large_text() -> str:
    """Return the limit that a request exceeds, of the whole or of its texts, and the remedy."""
    whole, text = request.max_content_length, request.max_form_memory_size
    if whole is not None and (request.content_length is None or request.content_length > whole):
        return f"At most {size(whole)} can be sent here. {ADVICE[413]}"
    if text is not None and request.mimetype in _FORMS:
        return f"The texts of a form may have at most {size(text)}. Shorten them."
    return ""


def _path_before() -> str:
    """Return the path of the page from which a form was sent, to come back to after the login."""
    if request.method == "GET":
        return request.full_path.rstrip("?")
    before = urlsplit(request.referrer or "")
    if before.netloc != request.host:
        return ""
    return f"{before.path}?{before.query}" if before.query else before.path


def _now() -> str:
    return datetime.now(UTC).strftime("%H:%M UTC")
