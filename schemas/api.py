"""What the API takes and answers: records and domain objects go in, JSON comes out."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from schemas.common import MomentField, TimestampField
from schemas.product import dump_product
from schemas.report import IssueOut, ReportOut


class PageArgs(Schema):
    """Pages by cursor: pass `next` of a page as `cursor` of the following one."""

    cursor = fields.String(load_default="", validate=validate.Length(max=80))
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class ProductArgs(PageArgs):
    """Which products to list."""

    q = fields.String(
        load_default="",
        validate=validate.Length(max=200),
        metadata={"description": "Part of the SKU or the name."},
    )
    category = fields.String(load_default="", validate=validate.Length(max=200))
    flagged = fields.Boolean(
        load_default=None,
        allow_none=True,
        metadata={"description": "Only products with errors (true), or only those without (false)."},
    )


class VersionArgs(PageArgs):
    """Which versions to list."""

    state = fields.String(
        load_default="",
        validate=validate.OneOf(
            [
                "",
                "draft",
                "blocked",
                "in_review",
                "approved",
                "rejected",
                "published",
                "superseded",
                "withdrawn",
            ]
        ),
    )
    deliverable = fields.String(load_default="", validate=validate.Length(max=40))
    mine = fields.Boolean(
        load_default=False,
        metadata={"description": "Only versions in review that wait for the user of the token."},
    )


class RunArgs(PageArgs):
    """Which runs to list."""

    state = fields.String(
        load_default="",
        validate=validate.OneOf(["", "queued", "running", "parked", "done", "failed", "cancelled"]),
    )
    sku = fields.String(load_default="", validate=validate.Length(max=500))


class DeliveryArgs(PageArgs):
    """Which deliveries to list."""

    state = fields.String(
        load_default="", validate=validate.OneOf(["", "received", "handled", "ignored", "failed"])
    )


class AssetArgs(Schema):
    """Of which product to list the assets."""

    sku = fields.String(required=True, validate=validate.Length(1, 500))


class FileOut(Schema):
    """One file of a version."""

    name = fields.String()
    format = fields.String()
    role = fields.String()
    view = fields.String()
    mime = fields.String()
    sha256 = fields.String()
    bytes = fields.Integer()
    url = fields.Function(lambda f: f"/files/{f.sha256}/{f.name}", metadata={"type": "string"})


class VersionOut(Schema):
    """A version with its report."""

    id = fields.String()
    sku = fields.String(attribute="asset.sku")
    deliverable = fields.String(attribute="asset.deliverable")
    slot = fields.Integer(attribute="asset.slot")
    kind = fields.String(attribute="asset.kind")
    number = fields.Integer()
    state = fields.String()
    stage = fields.String(metadata={"description": "The stage of the review in which it waits."})
    run_id = fields.String()
    files = fields.List(fields.Nested(FileOut))
    report = fields.Nested(ReportOut)
    provenance = fields.Dict()
    rules_fingerprint = fields.String()
    dam = fields.String()
    dam_ref = fields.String()
    go_live_at = fields.AwareDateTime(allow_none=True)
    created_at = fields.AwareDateTime()


class VersionBriefOut(Schema):
    """A version in the list of an asset."""

    id = fields.String()
    number = fields.Integer()
    state = fields.String()
    created_at = fields.AwareDateTime()


class AssetOut(Schema):
    """An asset with its versions."""

    sku = fields.String()
    deliverable = fields.String()
    slot = fields.Integer()
    kind = fields.String()
    latest = fields.Integer()
    published = fields.Integer(allow_none=True)
    versions = fields.List(fields.Nested(VersionBriefOut))


class ProductOut(Schema):
    """A product as stored."""

    id = fields.String()
    product = fields.Function(lambda r: dump_product(r.product), metadata={"type": "object"})
    connection = fields.String()
    source_time = fields.AwareDateTime()
    updated_at = fields.AwareDateTime()
    sources = fields.Dict(keys=fields.String(), values=fields.String())
    issues = fields.List(fields.Nested(IssueOut))
    flagged = fields.Boolean()
    deleted = fields.Boolean()


class RunOut(Schema):
    """A run."""

    id = fields.String()
    kind = fields.String()
    sku = fields.String()
    deliverable = fields.String()
    slot = fields.Integer()
    version_id = fields.String(allow_none=True)
    state = fields.String()
    step = fields.String()
    attempts = fields.Integer()
    error = fields.String()
    note = fields.String()
    timings = fields.Dict(keys=fields.String(), values=fields.Float())
    created_at = fields.AwareDateTime()
    started_at = fields.AwareDateTime(allow_none=True)
    finished_at = fields.AwareDateTime(allow_none=True)


class DeliveryOut(Schema):
    """A webhook delivery."""

    id = fields.String()
    connection = fields.String()
    key = fields.String()
    state = fields.String()
    attempts = fields.Integer()
    summary = fields.String()
    error = fields.String()
    received_at = fields.AwareDateTime(attribute="inbound.received_at")
    bytes = fields.Function(lambda d: len(d.inbound.body), metadata={"type": "integer"})


class AuditEntryOut(Schema):
    """One thing that somebody did."""

    id = fields.String()
    at = fields.AwareDateTime()
    by = fields.String(metadata={"description": "The user's name; empty for the connector itself."})
    address = fields.String()
    action = fields.String()
    subject = fields.String()
    detail = fields.String()


class DecisionIn(Schema):
    """A decision about a version."""

    verdict = fields.String(required=True, validate=validate.OneOf(["approved", "rejected"]))
    reasons = fields.List(
        fields.String(validate=validate.Length(1, 80)), load_default=list, validate=validate.Length(max=9)
    )
    note = fields.String(load_default="", validate=validate.Length(max=2000))
    go_live_at = MomentField(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "When an approved version goes live, as a date or a time; at once when absent."
        },
    )
    stage = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=40),
        metadata={"description": "The stage that decides; 409 when another one is asked now."},
    )

    @validates_schema
    def _check_reasons(self, data: dict[str, Any], **_: Any) -> None:
        if data["verdict"] == "rejected" and not any(r.strip() for r in data["reasons"]):
            raise ValidationError("a rejection needs at least one reason; the note is optional", "reasons")


class WithdrawIn(Schema):
    """Why a version is withdrawn."""

    reason = fields.String(load_default="", validate=validate.Length(max=2000))


class RegenerateIn(Schema):
    """How an asset is made again."""

    note = fields.String(load_default="", validate=validate.Length(max=2000))
    generator = fields.String(
        load_default="",
        validate=validate.Length(max=40),
        metadata={
            "description": "The generator, `local` or a provider connection; the rules decide when absent."
        },
    )


class WaiverIn(Schema):
    """A waiver of an issue code."""

    code = fields.String(required=True, validate=validate.Length(1, 80))
    reason = fields.String(required=True, validate=validate.Length(3, 500))
    until = TimestampField(
        load_default=None,
        allow_none=True,
        metadata={"description": "When the waiver ends; never when absent."},
    )


class TakenOut(Schema):
    sku = fields.String()
    outcome = fields.String()
    planned = fields.Integer()


class RulesOut(Schema):
    """The rules in force."""

    fingerprint = fields.String()
    problem = fields.List(
        fields.String(),
        metadata={"description": "Why the current file is refused; empty when it is in force."},
    )
    text = fields.Dict(metadata={"description": "The plugin.json in force."})


class ErrorOut(Schema):
    """The format of every error."""

    code = fields.Integer()
    name = fields.String()
    message = fields.String()
    problems = fields.List(fields.String())


def page_of(schema: type[Schema]) -> type[Schema]:
    """Return the schema of a page of items of another schema."""
    members: dict[str, Any] = {
        "items": fields.List(fields.Nested(schema)),
        "next": fields.String(allow_none=True),
    }
    page: type[Schema] = type(f"{schema.__name__}Page", (Schema,), members)
    return page
