"""What the API takes and answers about versions and assets."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from dam_connector.domain.event import Verdict
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Role, VersionState
from schemas.api import ChangesArgs, page_of
from schemas.comments import CommentOut, CommentTextIn
from schemas.common import MomentField, TimestampField
from schemas.report import ReportOut

STATES = [state.value for state in VersionState]
VERDICTS = [verdict.value for verdict in Verdict]
KINDS = [RunKind.IMAGE.value, RunKind.MODEL.value]
MAX_SELECTED = 500  # versions that one request changes


class FilterSchema(Schema):
    """Which versions to find; an absent field does not filter."""

    state = fields.String(load_default=str, validate=validate.OneOf(STATES))
    sku = fields.String(load_default="", validate=validate.Length(max=500))
    deliverable = fields.String(load_default="", validate=validate.Length(max=40))
    batch = fields.String(
        load_default="",
        validate=validate.Length(max=40),
        metadata={"description": "Id of a batch."},
    )
    category = fields.String(load_default="", validate=validate.Length(max=200))
    code = fields.String(
        load_default="",
        validate=validate.Length(max=80),
        metadata={"description": "An issue code of the report."},
    )
    channel = fields.String(
        load_default="",
        validate=validate.Length(max=40),
        metadata={"description": "A channel in which the version is live."},
    )
    q = fields.String(
        load_default="",
        validate=validate.Length(max=200),
        metadata={"description": "Words of SKU and name; the last one may be incomplete."},
    )
    mine = fields.Boolean(
        load_default=False,
        metadata={"description": "Only versions in review that wait for the user of the token."},
    )


class VersionArgs(FilterSchema, ChangesArgs):
    """Which versions to list."""

    order = fields.String(
        load_default="newest",
        validate=validate.OneOf(["newest", "oldest"]),
        metadata={"description": "By creation. With `updated_since`, by the last change."},
    )


class FileOut(Schema):
    """One file of a version."""

    name = fields.String()
    format = fields.String()
    role = fields.String(validate=validate.OneOf([role.value for role in Role]))
    view = fields.String()
    mime = fields.String()
    sha256 = fields.String()
    bytes = fields.Integer()
    url = fields.Function(lambda f: f"/files/{f.sha256}/{f.name}", metadata={"type": "string"})


class DecisionOut(Schema):
    """A decision about a version."""

    verdict = fields.String(attribute="decision.verdict", validate=validate.OneOf(VERDICTS))
    by = fields.String(attribute="decision.by")
    reasons = fields.List(fields.String(), attribute="decision.reasons")
    note = fields.String(attribute="decision.note")
    source = fields.String(metadata={"description": "`page`, `api`, or the DAM in which it was made."})
    at = fields.AwareDateTime()
    undone = fields.Boolean()
    stage = fields.String(metadata={"description": "The stage of the review that decided."})
    is_final = fields.Boolean(metadata={"description": "False: other stages follow."})


class LiveOut(Schema):
    """A channel in which a version is live."""

    channel = fields.String()
    url = fields.String()
    at = fields.AwareDateTime()


class VersionOut(Schema):
    """A version with its report, decisions, comments, and where it is live."""

    id = fields.String()
    sku = fields.String(attribute="asset.sku")
    deliverable = fields.String(attribute="asset.deliverable")
    slot = fields.Integer(attribute="asset.slot")
    kind = fields.String(attribute="asset.kind", validate=validate.OneOf(KINDS))
    number = fields.Integer()
    state = fields.String(validate=validate.OneOf(STATES))
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
    updated_at = fields.AwareDateTime()
    decision = fields.Nested(
        DecisionOut, allow_none=True, metadata={"description": "The newest one that was not undone."}
    )
    decisions = fields.List(fields.Nested(DecisionOut), metadata={"description": "All, newest first."})
    comments = fields.List(fields.Nested(CommentOut), metadata={"description": "Oldest first."})
    live = fields.List(fields.Nested(LiveOut))


class VersionBriefOut(Schema):
    """A version in the list of an asset."""

    id = fields.String()
    number = fields.Integer()
    state = fields.String(validate=validate.OneOf(STATES))
    created_at = fields.AwareDateTime()


class AssetOut(Schema):
    """An asset with its versions."""

    sku = fields.String()
    deliverable = fields.String()
    slot = fields.Integer()
    kind = fields.String(validate=validate.OneOf(KINDS))
    latest = fields.Integer()
    published = fields.Integer(allow_none=True)
    versions = fields.List(fields.Nested(VersionBriefOut))


class AssetArgs(Schema):
    """Of which product to list the assets."""

    sku = fields.String(required=True, validate=validate.Length(1, 500))


class DecisionFactsIn(Schema):
    """A decision."""

    verdict = fields.String(required=True, validate=validate.OneOf(VERDICTS))
    reasons = fields.List(
        fields.String(validate=validate.Length(1, 80)), load_default=list, validate=validate.Length(max=9)
    )
    note = fields.String(load_default="", validate=validate.Length(max=2000))

    @validates_schema
    def _check_reasons(self, data: dict[str, Any], **_: Any) -> None:
        if data["verdict"] == "rejected" and not any(r.strip() for r in data["reasons"]):
            raise ValidationError("a rejection needs at least one reason; the note is optional", "reasons")


class DecisionIn(DecisionFactsIn):
    """A decision about a version."""

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


class ReportArgs(Schema):
    """The format of a report."""

    format = fields.String(load_default="json", validate=validate.OneOf(["json", "md", "xml"]))


class SelectionIn(Schema):
    """Some versions: by their ids, or the newest ones that a filter finds."""

    ids = fields.List(
        fields.String(validate=validate.Length(1, 40)), validate=validate.Length(1, MAX_SELECTED)
    )
    filter = fields.Nested(FilterSchema)

    @validates_schema
    def _check_selection(self, data: dict[str, Any], **_: Any) -> None:
        if ("ids" in data) == ("filter" in data):
            raise ValidationError("name either ids or a filter")


class BulkDecisionIn(SelectionIn, DecisionFactsIn):
    """A decision about some versions."""


class BulkCommentIn(SelectionIn, CommentTextIn):
    """A comment on some versions."""


class BulkNoteIn(Schema):
    """A note for the generators."""

    note = fields.String(load_default="", validate=validate.Length(max=2000))


class BulkRegenerateIn(SelectionIn, BulkNoteIn):
    """How some assets are made again."""


class BulkOut(Schema):
    """The result of an action on some versions."""

    done = fields.List(fields.String(), metadata={"description": "Ids of the versions it was done on."})
    refused = fields.Integer(
        metadata={"description": "How many versions refused it, e.g. because they are not in review."}
    )
    more = fields.Boolean(
        metadata={"description": f"The filter finds more than {MAX_SELECTED}: repeat the request."}
    )


VersionPage = page_of(VersionOut)
