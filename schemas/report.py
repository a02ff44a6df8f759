"""The format of reports: of the API, of `dam-worker check --json`, and its JSON Schema."""

import json
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields, validate

from dam_connector.domain.checklist import checklist_answers
from dam_connector.domain.issue import CheckOutcome, Report, Severity
from schemas.common import schema_name


class IssueOut(Schema):
    """One finding."""

    code = fields.String()
    severity = fields.String(validate=validate.OneOf(list(Severity)))
    message = fields.String()
    pointer = fields.String()
    measured = fields.String()
    limit = fields.String()
    remedy = fields.String()


class RowOut(Schema):
    """The outcome of one check, or of one limit of a profile."""

    check = fields.String(
        metadata={"description": "Name of a check, or title of the measure that a profile limits."}
    )
    outcome = fields.String(validate=validate.OneOf(list(CheckOutcome)))
    detail = fields.String()
    profile = fields.String(metadata={"description": "The profile whose limit this is; empty for a check."})
    measured = fields.String()
    limit = fields.String()
    source = fields.String(metadata={"description": "Where the limit comes from."})


class AnswerOut(Schema):
    """One question of the review checklist with its answer."""

    question = fields.String()
    outcome = fields.String(validate=validate.OneOf(list(CheckOutcome)))
    evidence = fields.String()


class WaiverOut(Schema):
    """A waiver of an issue code."""

    code = fields.String()
    by = fields.String()
    reason = fields.String()
    until = fields.AwareDateTime(allow_none=True)


class ReportOut(Schema):
    """A report."""

    blocked = fields.Boolean()
    issues = fields.List(fields.Nested(IssueOut))
    rows = fields.List(fields.Nested(RowOut))
    held_to = fields.List(
        fields.String(),
        metadata={"description": "The profiles that must be satisfied; the others are for information."},
    )
    answers = fields.List(
        fields.Nested(AnswerOut),
        metadata={"description": "The review checklist, answered from the report."},
    )
    facts = fields.Dict(allow_none=True)
    waivers = fields.List(fields.Nested(WaiverOut))

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Return a value of the report; the answers are made from it."""
        return checklist_answers(obj) if attr == "answers" else super().get_attribute(obj, attr, default)


def report_json(report: Report, title: str) -> str:
    """Return a report as JSON text, with a title."""
    return json.dumps({"file": title, **ReportOut().dump(report)}, indent=2, default=str) + "\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a report."""
    spec = APISpec(
        title="report",
        version="1",
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin(schema_name_resolver=schema_name)],
    )
    spec.components.schema("Report", schema=ReportOut)
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
