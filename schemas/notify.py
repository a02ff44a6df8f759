"""The block `notify` of plugin.json."""

import re
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from dam_connector.domain.notify import DigestRules, NotifyEvent, NotifyRules, NotifyTarget
from schemas.common import CATEGORY, NOT_EMPTY, SLUG, StrictFloat, lists_to_tuples

_REFERENCE = validate.Regexp(r"^env/[A-Z][A-Z0-9_]*$", error="put it into the environment: env/NAME")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it raises for a port that is none
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname) and not any(c.isspace() for c in url)


class NotifyTargetSchema(Schema):
    """One receiver of messages."""

    kind = fields.String(
        required=True,
        validate=validate.OneOf(["webhook", "slack", "teams"]),
        metadata={"description": "`webhook` (Standard Webhooks), or the incoming webhook of a chat."},
    )
    url = fields.String(
        required=True,
        validate=validate.Length(1, 2000),
        metadata={"description": "Address of a webhook; of a chat `env/NAME`, since it is a secret."},
    )
    secret = fields.String(
        validate=_REFERENCE, metadata={"description": "Signing secret of a webhook, `env/NAME`."}
    )
    events = fields.List(
        fields.String(validate=validate.OneOf([event.value for event in NotifyEvent])),
        validate=NOT_EMPTY,
        metadata={"description": "Events to tell of; all when absent."},
    )
    categories = fields.List(
        fields.String(validate=[validate.Length(1, 150), CATEGORY]),
        validate=NOT_EMPTY,
        metadata={"description": "Only of products of these categories; all when absent."},
    )

    @validates_schema(skip_on_field_errors=True)
    def _secrets_are_references(self, data: dict[str, Any], **_: object) -> None:
        is_reference = data["url"].startswith("env/")
        if data["kind"] == "webhook":
            if "secret" not in data:
                raise ValidationError("a webhook needs a secret, env/NAME", "secret")
            if is_reference or not _is_address(data["url"]):
                raise ValidationError("write the address, https://...", "url")
        elif not is_reference:
            raise ValidationError("the address of a chat is a secret: env/NAME", "url")
        elif not re.fullmatch(_REFERENCE.regex, data["url"]):
            raise ValidationError(str(_REFERENCE.error), "url")


class DigestSchema(Schema):
    """E-mails about what waits for a decision."""

    smtp = fields.String(
        required=True,
        validate=_REFERENCE,
        metadata={"description": "`env/NAME` of `smtp://USER:PASSWORD@HOST:587` or `smtps://...:465`."},
    )
    sender = fields.Email(required=True, data_key="from", metadata={"description": "Address of the sender."})
    addresses = fields.Dict(
        keys=fields.String(),
        values=fields.Email(),
        required=True,
        metadata={"description": "E-mail by owner in `review.owners`; `*` gets what has no owner."},
    )
    every_hours = StrictFloat(
        validate=validate.Range(1, 24 * 7),
        metadata={"description": "Hours between two e-mails; 24 if absent."},
    )


class NotifySchema(Schema):
    """Who is told of what."""

    targets = fields.Dict(
        keys=fields.String(validate=SLUG),
        values=fields.Nested(NotifyTargetSchema),
        metadata={"description": "Receivers of messages, by name."},
    )
    digest = fields.Nested(
        DigestSchema, metadata={"description": "E-mails to the owners of categories about what waits."}
    )
    due_days = StrictFloat(
        validate=validate.Range(0.04, 365),
        metadata={"description": "Days until a review is overdue; `review.overdue` is sent once a day."},
    )


def build_notify(data: dict[str, Any]) -> NotifyRules:
    """Return the block as a value."""
    targets = {name: NotifyTarget(**lists_to_tuples(t)) for name, t in data.get("targets", {}).items()}
    digest = DigestRules(**data["digest"]) if "digest" in data else None
    return NotifyRules(targets=targets, digest=digest, due_days=data.get("due_days", 0.0))
