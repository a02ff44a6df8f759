"""The Flask application: blueprints, error handlers and headers."""

import math
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog
from flask import Flask, Response, make_response, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from gunicorn.http.errors import NoMoreData, ParseException
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from dam_connector import logs, tracing
from dam_connector.domain.outside_values import decode_json
from dam_connector.errors import (
    AdapterError,
    Busy,
    ConfigError,
    DeliveryError,
    InputError,
    NotFound,
    RateLimited,
    Refused,
    StateConflict,
    StorageUnavailable,
    Unavailable,
)
from dam_connector.private_files import use_private_umask
from dam_connector.settings import Settings, ensure_secrets
from dam_connector.store.storage_probe import StorageProbe
from dam_connector.usecases.row_texts import issue_text, remedy_text
from dam_connector.usecases.storage_owner import require_own_storage
from dam_connector.web import (
    admin,
    adoption,
    api,
    api_page,
    ar_page,
    audit,
    auth,
    batches,
    captures,
    comments,
    files,
    gallery,
    google_feed,
    guests,
    health,
    help_pages,
    layout,
    metrics,
    needs,
    products,
    sign_on,
    static_files,
    touch_ups,
    version_actions,
    versions,
    webhooks,
)
from dam_connector.web.api.openapi import API_SETTINGS, TrueApi
from dam_connector.web.checked_request import CheckedRequest, check_address
from dam_connector.web.compression import compress_public
from dam_connector.web.error_pages import error_page, too_large_text
from dam_connector.web.rate_limit import WINDOW_S, RateLimiter
from dam_connector.web.request_context import (
    PAGE_BLUEPRINTS,
    check_identity,
    csrf,
    error_response,
    forget_address,
)
from dam_connector.wiring import Services, build_services
from schemas.common import problem_lines
from schemas.problem_context import with_context

log = structlog.get_logger()
MAX_BODY_BYTES = 8_388_608
EXPIRED_FORM = "The form has expired or came from another site. Go back, reload the page and try again."
STORAGE_RETRY_S = 5  # when a client may try again while our database or disk is away
PAGES = (
    auth.bp,
    sign_on.bp,
    layout.bp,
    static_files.bp,
    versions.bp,
    products.bp,
    captures.bp,
    gallery.bp,
    batches.bp,
    files.bp,
    ar_page.bp,
    health.bp,
    metrics.bp,
    api_page.bp,
    touch_ups.bp,
    adoption.bp,
    version_actions.bp,
    comments.bp,
    guests.bp,
    google_feed.bp,
    admin.bp,
    audit.bp,
    help_pages.bp,
    needs.bp,
)
_PAGE_CSP = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; connect-src 'self' blob: data:; worker-src blob:; font-src 'self'; "
    "form-action 'self'; base-uri 'none'"
)


def create_app(services: Services) -> Flask:
    """Return the WSGI application on the given services, with the webhook receiver mounted in it."""
    app = Flask("dam_connector", static_folder="web/static", template_folder="web/templates")
    settings = services.settings
    app.config.update(
        SECRET_KEY=settings.secret("env/DAM_CONNECTOR_SECRET_KEY"),
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.base_url.startswith("https://"),
        SESSION_COOKIE_NAME="dam_session",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=settings.session_hours),
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=settings.base_url.startswith("https://"),
        **API_SETTINGS,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["services"] = services
    app.extensions["rate_limiter"] = RateLimiter()
    app.extensions["storage_probe"] = StorageProbe(services.blobs)
    receiver = _create_receiver(services)
    app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
        app.wsgi_app, {"/webhooks": receiver.wsgi_app}
    )
    if settings.trusted_proxies:
        n = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n)  # type: ignore[method-assign]
    app.teardown_request(lambda _: forget_address())
    app.request_class = CheckedRequest
    app.before_request(check_address)
    app.before_request(check_identity)  # before the CSRF check, which reads the body
    csrf.init_app(app)
    smorest = TrueApi(app)
    smorest.register_blueprint(api.bp)
    for blueprint in PAGES:
        app.register_blueprint(blueprint)
    csrf.exempt(api.bp)  # it checks the CSRF token itself, unless there is a bearer token
    _handle_errors(app)
    app.after_request(compress_public)  # the last to run
    app.after_request(_add_headers)
    return app


def _create_receiver(services: Services) -> Flask:
    """Return the application of the webhook receiver."""
    app = Flask("dam_connector.receiver", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES)
    app.json.compact = True  # type: ignore[attr-defined]
    app.extensions["services"] = services
    app.extensions["rate_limiter"] = RateLimiter()
    app.before_request(check_address)
    app.register_blueprint(webhooks.bp)
    _handle_errors(app)
    return app


def _handle_errors(app: Flask) -> None:
    """Register a handler for each kind of error, so that all errors have one shape."""
    app.register_error_handler(
        DeliveryError, lambda e: error_response(e.status, ERROR_NAMES.get(e.status, "refused"), str(e))
    )
    app.register_error_handler(StateConflict, lambda e: _respond_error(409, str(e)))
    app.register_error_handler(
        InputError, lambda e: _respond_error(422, remedy_text(e.to_issue()), [_input_problem(e)])
    )
    app.register_error_handler(NotFound, lambda e: _respond_error(404, str(e)))
    app.register_error_handler(Refused, lambda e: _respond_error(422, str(e)))
    app.register_error_handler(Unavailable, lambda e: _respond_error(503, str(e)))
    app.register_error_handler(StorageUnavailable, _storage_away)
    app.register_error_handler(RateLimited, _retry_later)
    app.register_error_handler(AdapterError, lambda e: _respond_error(502, str(e)))
    app.register_error_handler(ConfigError, _rules_or_settings_error)
    app.register_error_handler(
        CSRFError,
        lambda e: _respond_error(400, EXPIRED_FORM, page_text=EXPIRED_FORM),
    )
    for broken_body in (ParseException, NoMoreData):  # wrong chunks, or fewer than announced
        app.register_error_handler(
            broken_body, lambda e: _respond_error(400, f"the body cannot be read ({type(e).__name__})")
        )
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected_error)


ERROR_NAMES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    500: "internal",
    502: "bad_gateway",
    503: "unavailable",
}


def _respond_error(
    code: int, message: str, lines: list[str] | None = None, *, page_text: str | None = None
) -> ResponseReturnValue:
    """Return an error as JSON to machines and as a page to people.

    Args:
        code: the HTTP status.
        message: of the error.
        lines: each problem of the request.
        page_text: the message on the page, with its remedy; None: `message`, empty: the usual words.
    """
    if (
        request.path.startswith("/api/")
        or request.script_root == "/webhooks"
        or request.accept_mimetypes.best == "application/json"
    ):
        return error_response(code, ERROR_NAMES.get(code, "error"), message, lines)
    return error_page(code, message if page_text is None else page_text, says_remedy=bool(page_text)), code


def _http_error(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if code < 400:
        return error
    lines = _validation_problems(error)
    is_ours = error.description != type(error).description  # and says what to do
    words = str(error.description) if is_ours else too_large_text() if code == 413 else ""
    response = make_response(
        _respond_error(
            code,
            "the request is not valid; see problems"
            if lines
            else words or str(error.description or error.name),
            lines,
            page_text=words,
        )
    )
    if code == 429:
        response.headers["Retry-After"] = str(WINDOW_S)
    if code == 405 and getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]
    return response


def _validation_problems(error: HTTPException) -> list[str]:
    """Return each problem with its place, its value and a near name, if the request is not valid."""
    data: Any = getattr(error, "data", None)
    messages = data.get("messages") if isinstance(data, dict) else None
    if not isinstance(messages, dict):
        return [str(m) for m in messages] if isinstance(messages, list) else []
    sent = {"json": _sent_json(), "query": request.args.to_dict()}
    return [
        line
        for location, below in messages.items()
        for line in with_context(problem_lines(below, data.get("schema"), (location,)), sent)
    ]


def _sent_json() -> Any:
    try:
        return decode_json(request.get_data()) if request.is_json else None
    except ValueError:
        return None


def _input_problem(error: InputError) -> str:
    return f"{error.pointer or '/'}: {issue_text(replace(error.to_issue(), pointer=''))} [{error.issue_code}]"


def _retry_later(error: RateLimited) -> ResponseReturnValue:
    message = f"{error}; try again in {error.retry_after_s:g} s"
    response = make_response(
        _respond_error(409 if isinstance(error, Busy) else 503, message, page_text=message)
    )
    response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response


def _storage_away(error: StorageUnavailable) -> ResponseReturnValue:
    message = f"{error}; try again in {STORAGE_RETRY_S} s"
    response = make_response(_respond_error(503, message, page_text=message))
    response.headers["Retry-After"] = str(STORAGE_RETRY_S)
    return response


def _rules_or_settings_error(error: ConfigError) -> ResponseReturnValue:
    log.error("misconfigured", problems=list(error.problems))
    return _respond_error(503, "plugin.json or the settings are incomplete: " + "; ".join(error.problems))


def _unexpected_error(error: Exception) -> ResponseReturnValue:
    log.exception("request_failed", path=request.path)
    return _respond_error(500, "The connector failed on this request. The log has the details.")


def _add_headers(response: Response) -> Response:
    """Add security headers and a caching rule to a response; only the AR page may be in a frame."""
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    ancestors = "*" if request.endpoint == "viewer.page" else "'none'"
    headers.setdefault("Content-Security-Policy", f"{_PAGE_CSP}; frame-ancestors {ancestors}")
    headers.setdefault(
        "Permissions-Policy", "camera=(self), xr-spatial-tracking=(self), microphone=(), geolocation=()"
    )
    if request.endpoint == "static":
        headers["Cache-Control"] = "public, max-age=86400"
    elif "Cache-Control" not in headers:
        headers["Cache-Control"] = (
            "no-store" if request.blueprint in (*PAGE_BLUEPRINTS, "auth", "api") else "no-cache"
        )
    return response


SERVER_STOPS = 3  # the exit code with which a process tells gunicorn to start no other


def create_from_env() -> Flask:
    """Return the application on the settings of the environment, for gunicorn."""
    use_private_umask()
    settings = ensure_secrets(Settings.from_env())
    logs.configure_logging(settings.log_format)
    tracing.start("web", settings.otlp_endpoint)
    try:
        services = build_services(settings, for_web=True)
        services.rules.current()  # a bad plugin.json stops here, with its problems
        with suppress(Unavailable):  # a storage that is away stops neither webhooks nor decisions
            require_own_storage(services)
    except ConfigError as error:
        log.error("misconfigured", problems=list(error.problems))
        sys.exit(SERVER_STOPS)
    services.counters.send_in_background("web")
    # Responses take about a millisecond. With Python's default of 5 ms they wait for each other
    # (0.63 instead of 0.67 of the rate of a bare WSGI application, docs/lab/webhooks.md).
    sys.setswitchinterval(0.0005)
    return create_app(services)
