"""A report on the wire: what the API answers, what `dam-worker check --json` prints, and its JSON Schema."""

import json
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields, validate

from dam_connector.domain.checklist import checklist_answers
from dam_connector.domain.issue import CheckOutcome, Report, Severity
from schemas.common import schema_name


class IssueOut(Schema):
    code = fields.String()
    severity = fields.String(validate=validate.OneOf(list(Severity)))
    message = fields.String()
    pointer = fields.String()
    measured = fields.String()
    limit = fields.String()
    remedy = fields.String()


class RowOut(Schema):
    check = fields.String(metadata={"description": "What was looked at: a check, or a limit of a profile."})
    outcome = fields.String(validate=validate.OneOf(list(CheckOutcome)))
    detail = fields.String()
    profile = fields.String(metadata={"description": "The profile whose limit this is; empty for a check."})
    measured = fields.String()
    limit = fields.String()
    source = fields.String(metadata={"description": "Where the limit comes from."})


class AnswerOut(Schema):
    question = fields.String()
    outcome = fields.String(validate=validate.OneOf(list(CheckOutcome)))
    evidence = fields.String()


class WaiverOut(Schema):
    code = fields.String()
    by = fields.String()
    reason = fields.String()
    until = fields.AwareDateTime(allow_none=True)


class ReportOut(Schema):
    blocked = fields.Boolean()
    issues = fields.List(fields.Nested(IssueOut))
    rows = fields.List(fields.Nested(RowOut))
    held_to = fields.List(
        fields.String(), metadata={"description": "The profiles that must be satisfied; the others are told."}
    )
    answers = fields.Method(
        "_answers",
        metadata={
            "type": "array",
            "items": {"$ref": "#/$defs/Answer"},
            "description": "The review checklist, answered by the evidence.",
        },
    )

    def _answers(self, report: Report) -> list[dict[str, Any]]:
        return [dict(AnswerOut().dump(a)) for a in checklist_answers(report)]

    facts = fields.Dict(allow_none=True)
    waivers = fields.List(fields.Nested(WaiverOut))


def report_json(report: Report, title: str) -> str:
    """The report as JSON, named."""
    return json.dumps({"file": title, **ReportOut().dump(report)}, indent=2, default=str) + "\n"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a report."""
    spec = APISpec(
        title="report",
        version="1",
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin(schema_name_resolver=schema_name)],
    )
    spec.components.schema("Report", schema=ReportOut)
    spec.components.schema("Answer", schema=AnswerOut)
    components = spec.to_dict()["components"]["schemas"]
    text = json.dumps(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Report of dam-connector",
            **components.pop("Report"),
            "$defs": components,
        }
    )
    result: dict[str, Any] = json.loads(text.replace("#/components/schemas/", "#/$defs/"))
    result["properties"]["file"] = {"type": "string", "description": "What was checked."}
    return result
