"""What the API takes and answers about uploads and batches."""

from typing import Any

from marshmallow import Schema, fields, validate

from schemas.api import ForecastOut, PageArgs

BATCH_STATES = ("running", "paused", "cancelled", "done")  # of `BatchState`
ROW_STATES = ("waiting", "taken", "unchanged", "makes_nothing", "failed", "cancelled")  # of `RowState`
SHA256 = validate.Regexp(r"^[0-9a-f]{64}$", error="must be the sha256 of an upload")


class UploadOut(Schema):
    """A stored file. A file that nothing names is deleted after some days."""

    sha256 = fields.String()
    bytes = fields.Integer()
    mime = fields.String(metadata={"description": "By its first bytes; empty when it is no picture or ZIP."})
    address = fields.String(
        metadata={"description": "The address of a photo in a product record, e.g. under `images`."}
    )


class SheetIn(Schema):
    """A sheet, CSV or XLSX, and how to read it."""

    sheet = fields.String(
        required=True, validate=SHA256, metadata={"description": "The sha256 of the uploaded sheet."}
    )
    pictures = fields.String(
        load_default=str,
        validate=SHA256,
        metadata={"description": "The sha256 of an uploaded ZIP with the pictures that the sheet names."},
    )
    columns = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 200)),
        values=fields.String(validate=validate.Length(1, 500)),
        load_default=dict,
        metadata={"description": "The sheet's columns by ours, where they are not recognised."},
    )


class BatchIn(SheetIn):
    """A batch to be begun."""

    name = fields.String(
        required=True, validate=validate.And(validate.Length(1, 200), validate.Regexp(r".*\S"))
    )
    check = fields.String(
        load_default=str,
        validate=SHA256,
        metadata={
            "description": "`check` of the answer to the check: nothing begins if pictures have changed."
        },
    )


class BatchRowOut(Schema):
    """A row of a sheet."""

    row = fields.Integer(attribute="line")
    sku = fields.String()
    state = fields.String(
        validate=validate.OneOf(ROW_STATES),
        metadata={"description": "`failed` too where nothing usable was made of a row that was taken."},
    )
    error = fields.String()


class CheckedRowOut(BatchRowOut):
    """A row of a sheet that was checked."""

    codes = fields.List(fields.String(), metadata={"description": "Issue codes of the reasons."})
    pictures_gone = fields.List(
        fields.String(),
        attribute="gone",
        metadata={
            "description": "Pictures of the product that the row removes, and uploads that it replaces."
        },
    )
    forecast = fields.Nested(
        ForecastOut,
        allow_none=True,
        metadata={"description": "Of a good row of which our own code may make a model; else null."},
    )


class PreviewOut(Schema):
    """What a sheet would do. Nothing is made yet."""

    columns = fields.Dict(keys=fields.String(), values=fields.String(), attribute="mapping")
    header = fields.List(fields.String())
    notes = fields.List(
        fields.String(), metadata={"description": "What was ignored or guessed in the sheet."}
    )
    rows_with_pictures_gone = fields.Integer(
        attribute="losing_rows",
        metadata={"description": "Rows that remove pictures of their products or replace uploaded ones."},
    )
    makes_skus = fields.Boolean()
    check = fields.String(
        metadata={"description": "The id of what was seen of the pictures, to begin a batch with."}
    )
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "Rows by state; `waiting` are good."},
    )
    rows = fields.List(fields.Nested(CheckedRowOut), metadata={"description": "The first 200 of each state."})
    makes = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        attribute="version_counts",
        metadata={"description": "Versions to be made, by deliverable."},
    )
    billed = fields.Dict(keys=fields.String(), values=fields.Integer(), attribute="billed_counts")
    cost_usd = fields.Float()
    not_made = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        attribute="not_made_counts",
        metadata={"description": "Versions that no generator makes by the rules, by deliverable."},
    )
    forecasts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        attribute="forecast_counts",
        metadata={
            "description": "Good rows of which our own code may make a model, by the forecast's words."
        },
    )
    unchecked_rows = fields.Integer(metadata={"description": "Good rows whose pictures were not checked."})
    generation_s = fields.Float(metadata={"description": "Estimated seconds until all is generated."})


class ProgressOut(Schema):
    """How many rows are in which status; each row counts once."""

    waiting = fields.Integer()
    generating = fields.Integer()
    in_review = fields.Integer()
    live = fields.Integer()
    failed = fields.Integer()
    cancelled = fields.Integer()
    makes_nothing = fields.Integer(metadata={"description": "No rule makes anything of their product."})
    total = fields.Integer()


class BatchOut(Schema):
    """A bulk upload with its progress."""

    id = fields.String()
    name = fields.String()
    owner = fields.String()
    state = fields.String(validate=validate.OneOf(BATCH_STATES))
    created_at = fields.AwareDateTime()
    columns = fields.List(fields.String())
    progress = fields.Nested(ProgressOut)
    is_over = fields.Boolean(metadata={"description": "Nothing of it is in progress now."})


class ControlOut(BatchOut):
    """A bulk upload after an action on it."""

    outcome = fields.String()


class BatchRowArgs(PageArgs):
    """Which rows to list."""

    state = fields.String(load_default=str, validate=validate.OneOf(ROW_STATES))


class TemplateArgs(Schema):
    """The format of the empty sheet."""

    format = fields.String(load_default="csv", validate=validate.OneOf(["csv", "xlsx"]))


class ExportArgs(Schema):
    """The format of the results of a batch."""

    format = fields.String(
        load_default="jsonl",
        validate=validate.OneOf(["jsonl", "csv", "failed", "zip"]),
        metadata={
            "description": "`jsonl`: a manifest; `csv`: the sheet with the status of each row; `failed`: its "
            "failed rows, to be corrected and uploaded again; `zip`: the files."
        },
    )


def binary(content_type: str) -> dict[str, Any]:
    """Return the schema of a file in OpenAPI."""
    return {"type": "string", "format": "binary", "contentMediaType": content_type}
