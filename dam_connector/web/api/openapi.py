"""The OpenAPI document of the API: every status, name and header that the endpoints really have."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Any

from flask import Flask, Request, Response
from flask_smorest import Api, Blueprint, abort
from marshmallow import RAISE, missing
from webargs.core import is_json
from webargs.flaskparser import FlaskParser

from dam_connector import __version__
from schemas.api import ErrorOut
from schemas.strict_json import load_json

MAX_KEY_LENGTH = 100  # characters of an Idempotency-Key
KEY_PARAMETER = "IDEMPOTENCY_KEY"
SECRET_TEXT = "Takes no Idempotency-Key: the answer holds a secret, which is not kept."
READ_STATUSES = (400, 401, 403, 422, 503)
WRITE_STATUSES = (400, 401, 403, 409, 413, 415, 422, 502, 503)
DESCRIPTION = f"""dam-connector {__version__}: products, batches, versions, reviews and connections.

**Token.** People make tokens of their own on the page of their account; an admin makes one of the user NAME
with `POST /api/v1/users/NAME/tokens`, or `dam-connector token add NAME` on the machine of the service. Send
it as `Authorization: Bearer TOKEN`. It may do what its user's role may: viewer, merchandiser, reviewer,
admin, each including those before it.

**Errors** have one shape, `ErrorOut`, with a JSON pointer in front of each problem. Unknown parameters are
refused.

**Pages.** Pass `next` of a page as `cursor` of the following one; the last page has `next: null`. With
`updated_since`, records come in the order of their last change, deleted products too: one that changes again
meanwhile comes again, none is left out. For the next round begin a minute before the newest `updated_at`.

**Repeats.** A write with an `Idempotency-Key` happens once; a repeat within a week gets the first answer.
Writes that take none are safe to repeat, but for those whose answer holds a secret: each of them says what a
repeat does.
"""
TAG_TEXTS = {  # the groups of operations: the first part of their paths, in the order of the document
    "products": "Records, what is made of them, and models from elsewhere.",
    "uploads": "Files for batches and products.",
    "batches": "Sheets: check, begin, watch, control.",
    "assets": "What is made for a product, with its versions.",
    "versions": "Reports, files, decisions, comments and actions on many versions.",
    "guest-links": "Reviews without an account.",
    "runs": "What is being made, and failed runs.",
    "deliveries": "Webhooks that came in.",
    "connections": "PIMs, DAMs, channels, and their test.",
    "reconciliation": "Differences between DAM, PIM, shop and the records here.",
    "adoption": "Finished files that become first versions.",
    "providers": "Who generates remotely.",
    "spend": "Costs and caps.",
    "rules": "plugin.json: what is in force, and the check of a new one.",
    "ar-counts": "Views and AR starts of the AR page.",
    "audit": "Who did what.",
    "account": "The user of the token.",
    "users": "Users and their roles.",
    "tokens": "Tokens for programs.",
}
API_SETTINGS: dict[str, Any] = {
    "API_TITLE": "dam-connector",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/api",
    "OPENAPI_JSON_PATH": "openapi.json",
    "API_SPEC_OPTIONS": {
        "info": {"description": DESCRIPTION},
        "tags": [{"name": name, "description": text} for name, text in TAG_TEXTS.items()],
        "security": [{"token": []}, {"session": [], "csrf": []}],
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`dam-connector token add NAME`",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "dam_session",
                    "description": "The login of a browser.",
                },
                "csrf": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-CSRFToken",
                    "description": "Beside a session, for every request but GET.",
                },
            },
            "parameters": {
                KEY_PARAMETER: {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": False,
                    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
                    "description": "Carry out the write once: a repeat gets the first answer.",
                }
            },
        },
    },
}


class StrictParser(FlaskParser):
    """The reader of parameters and bodies; it refuses those that nobody asks for."""

    DEFAULT_UNKNOWN_BY_LOCATION = {
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": RAISE,
        "form": RAISE,
        "files": RAISE,
    }

    def _raw_load_json(self, req: Request) -> Any:
        """Return the body as JSON; 400 when it is none, names a key twice or is nested too deeply."""
        body = req.get_data(cache=True)
        if not is_json(req.mimetype) or not body:
            return missing
        try:
            return load_json(body.decode())
        except ValueError as error:
            problem = f"the body is not JSON that can be read without a guess: {error}"
            abort(400, messages={"json": [problem]})


class TrueApi(Api):
    """The API whose document shows errors as they are.

    The operations are described when the document is asked for first: that takes a tenth of a second, and
    few processes ever serve it.
    """

    ERROR_SCHEMA = ErrorOut

    def __init__(self, app: Flask) -> None:
        self._to_describe: list[Callable[[], None]] = []
        self._lock = Lock()
        super().__init__(app)

    def describe_later(self, describe: Callable[[], None]) -> None:
        """Remember a function that adds operations to the document."""
        self._to_describe.append(describe)

    def _openapi_json(self) -> Response:
        with self._lock:
            while self._to_describe:
                self._to_describe[0]()
                del self._to_describe[0]
        response: Response = super()._openapi_json()
        return response


class ApiBlueprint(Blueprint):
    """A blueprint whose document names operations by their functions, and every status and header."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(self._complete)

    def add_url_rule(self, rule: str, *args: Any, **options: Any) -> None:
        """Add a rule; its operations are tagged by the first part of the path."""
        options["tags"] = [rule.strip("/").partition("/")[0]]
        super().add_url_rule(rule, *args, **options)

    def register_views_in_doc(self, api: TrueApi, *args: Any, **options: Any) -> None:
        """Leave it to the API when to describe the operations. flask-smorest calls this."""
        api.describe_later(partial(super().register_views_in_doc, api, *args, **options))

    def _store_endpoint_docs(
        self, endpoint: str, obj: Callable[..., Any], parameters: Any, tags: Any, **options: Any
    ) -> None:
        super()._store_endpoint_docs(endpoint, obj, parameters, tags, **options)
        for method, info in self._docs[endpoint].items():
            if method != "parameters":
                info["operation"] = endpoint
                info["takes_key"] = getattr(obj, "takes_key", False)
                info["holds_secret"] = getattr(obj, "holds_secret", False)
                info["role"] = getattr(obj, "required_role", "")

    @staticmethod
    def _complete(doc: dict[str, Any], info: dict[str, Any], *, method: str, **_: Any) -> dict[str, Any]:
        """Add the operation's name, its header, its role and the statuses of its errors."""
        doc["operationId"] = info["operation"]
        responses = {str(status): value for status, value in doc.get("responses", {}).items()}
        responses.pop("default", None)
        for status in READ_STATUSES if method == "get" else WRITE_STATUSES:
            responses.setdefault(str(status), HTTPStatus(status).name)
        responses.setdefault("404", HTTPStatus.NOT_FOUND.name)
        doc["responses"] = dict(sorted(responses.items()))
        if info["takes_key"]:
            doc["parameters"] = [*doc.get("parameters", []), KEY_PARAMETER]
        if info["holds_secret"]:
            text = info["docstring"].get("description", "")
            info["docstring"]["description"] = f"{text}\n\n{SECRET_TEXT}".strip()
        if info["role"]:
            text = info["docstring"].get("description", "")
            info["docstring"]["description"] = f"{text}\n\nRole: {info['role'].value}.".strip()
        return doc
