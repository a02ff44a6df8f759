"""What the API takes and answers: records and domain objects go in, JSON comes out."""

from copy import deepcopy
from typing import Any

from marshmallow import INCLUDE, Schema, fields, missing, pre_dump, validate

from dam_connector.domain.model_forecast import FORECASTS, forecast_model
from dam_connector.domain.product import Product
from dam_connector.domain.run import RunKind, RunState
from schemas.common import MomentField
from schemas.product import ProductSchema, dump_product
from schemas.report import IssueOut

RUN_STATES = [state.value for state in RunState]
DELIVERY_STATES = ["received", "handled", "ignored", "failed"]


class PageArgs(Schema):
    """Pages by cursor: pass `next` of a page as `cursor` of the following one."""

    cursor = fields.String(load_default="", validate=validate.Length(max=80))
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class ChangesArgs(PageArgs):
    """Pages of what changed since a time."""

    updated_since = MomentField(
        load_default=None,
        metadata={
            "description": "Only records that changed since this time, in the order of their last change."
        },
    )


class ProductArgs(ChangesArgs):
    """Which products to list."""

    sku = fields.String(load_default="", validate=validate.Length(max=500))

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


class RunArgs(PageArgs):
    """Which runs to list."""

    state = fields.String(
        load_default=str,
        validate=validate.OneOf(RUN_STATES),
    )
    sku = fields.String(load_default="", validate=validate.Length(max=500))
    deliverable = fields.String(load_default="", validate=validate.Length(max=40))


class DeliveryArgs(PageArgs):
    """Which deliveries to list."""

    state = fields.String(load_default=str, validate=validate.OneOf(DELIVERY_STATES))
    connection = fields.String(load_default=str, metadata={"description": "Only those of this connection."})


def _optional(field: fields.Field) -> fields.Field:
    changed = deepcopy(field)
    changed.required, changed.load_default = False, missing
    return changed


class _IncludingSchema(Schema):
    class Meta:
        unknown = INCLUDE


ProductPatch = _IncludingSchema.from_dict(
    {name: _optional(field) for name, field in ProductSchema._declared_fields.items()}, name="ProductPatch"
)


class SizeOut(Schema):
    """The size of a product."""

    width = fields.Float(allow_none=True)
    height = fields.Float(allow_none=True)
    depth = fields.Float(allow_none=True)
    unit = fields.String(validate=validate.OneOf(["m"]))


class ProductRecordOut(Schema):
    """A product record; sending it again changes nothing."""

    sku = fields.String()
    name = fields.String()
    category = fields.String()
    brand = fields.String()
    color = fields.String()
    material = fields.String()
    description = fields.String()
    style_tags = fields.String()
    dimensions = fields.Nested(SizeOut)
    images = fields.Dict(keys=fields.String(), values=fields.String())
    inspiration_image = fields.String()
    model_url = fields.String()
    parent = fields.String()
    swatch = fields.String()
    live_from = fields.String(allow_none=True)
    live_until = fields.String(allow_none=True)
    translations = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.String()),
        metadata={"description": "Texts in other languages, by locale."},
    )
    attributes = fields.Dict(keys=fields.String(), values=fields.String())

    @pre_dump
    def write(self, product: Product, **_: object) -> dict[str, Any]:
        """Return the product as JSON values."""
        return dump_product(product)


class ForecastOut(Schema):
    """The forecast of a model by our own code, before it is made."""

    probability = fields.Float(
        metadata={"description": "That it will be good; near .2 where little is known."}
    )
    verdict = fields.String(validate=validate.OneOf(FORECASTS))
    reason = fields.String()
    remedy = fields.String(metadata={"description": "What would help; empty from .5 on."})


class ProductOut(Schema):
    """A product as stored."""

    id = fields.String()
    product = fields.Nested(ProductRecordOut)
    connection = fields.String()
    source_time = fields.AwareDateTime()
    updated_at = fields.AwareDateTime()
    sources = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "SHA-256 of the fetched photos by view."},
    )
    photos = fields.Function(
        lambda r: {view: f"/sources/{r.id}/{view}" for view in r.sources},
        metadata={
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Addresses of the fetched photos by view.",
        },
    )
    forecast = fields.Function(
        lambda r: ForecastOut().dump(forecast_model(r.product, r.sources)),
        metadata={"type": "object", "description": "The forecast of a model by our own code."},
    )
    issues = fields.List(fields.Nested(IssueOut))
    flagged = fields.Boolean()
    deleted = fields.Boolean()


class RunOut(Schema):
    """A run."""

    id = fields.String()
    kind = fields.String(validate=validate.OneOf([kind.value for kind in RunKind]))
    sku = fields.String()
    deliverable = fields.String()
    slot = fields.Integer()
    version_id = fields.String(allow_none=True)
    state = fields.String(validate=validate.OneOf(RUN_STATES))
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
    state = fields.String(validate=validate.OneOf(DELIVERY_STATES))
    attempts = fields.Integer()
    summary = fields.String()
    error = fields.String()
    received_at = fields.AwareDateTime(attribute="inbound.received_at")
    bytes = fields.Function(lambda d: len(d.inbound.body), metadata={"type": "integer"})


class DeliveryBodyOut(DeliveryOut):
    """A webhook delivery with all that was sent."""

    headers = fields.Dict(keys=fields.String(), values=fields.String(), attribute="inbound.headers")
    body = fields.Function(lambda d: d.inbound.body.decode("utf-8", "replace"), metadata={"type": "string"})


class CausesOut(Schema):
    """Why runs failed, the most frequent cause first."""

    cause = fields.String()
    runs = fields.Integer()


class CauseIn(Schema):
    """A cause of failed runs."""

    cause = fields.String(required=True, validate=validate.Length(max=10_000))


class CountOut(Schema):
    """How many records an action changed."""

    count = fields.Integer()


class TakenOut(Schema):
    """What a request began."""

    sku = fields.String()
    outcome = fields.String()
    planned = fields.Integer(metadata={"description": "Runs that were not planned before."})
    ignored = fields.List(
        fields.String(), metadata={"description": "Keys of the record that are none of ours."}
    )


class RulesOut(Schema):
    """The rules in force."""

    fingerprint = fields.String()
    problem = fields.List(
        fields.String(),
        metadata={"description": "Why the current file is refused; empty when it is in force."},
    )
    text = fields.Dict(metadata={"description": "The plugin.json in force."})


class RulesEffectOut(Schema):
    """What applying plugin.json does to what exists."""

    fingerprint = fields.String()
    is_pending = fields.Boolean(metadata={"description": "Whether nothing is made by it yet."})
    changed = fields.List(
        fields.String(), metadata={"description": "JSON pointers of what differs from the rules in force."}
    )
    products = fields.Integer()
    all_products = fields.Integer()
    new = fields.Dict(metadata={"description": "Versions made for the first time, by deliverable."})
    anew = fields.Dict(metadata={"description": "Versions made anew, by deliverable."})
    not_made = fields.Dict(
        metadata={"description": "Versions for which the rules leave no generator, by deliverable."}
    )
    published = fields.Dict(metadata={"description": "Live assets that a channel gets, by channel."})
    withdrawn = fields.Dict(metadata={"description": "Live assets that a channel loses, by channel."})
    usd = fields.Float()
    unpriced = fields.List(fields.String(), metadata={"description": "Providers without a known price."})
    seconds = fields.Integer()


class ApplyRules(Schema):
    """Which plugin.json to apply."""

    fingerprint = fields.String(
        required=True, metadata={"description": "Of the plan; another plugin.json is refused with 409."}
    )


class RulesAppliedOut(Schema):
    """The rules that are being applied."""

    fingerprint = fields.String()


class AnyJson(Schema):
    """A plugin.json; its own schema is `dam-connector init`'s plugin.schema.json."""

    class Meta:
        unknown = INCLUDE


class RulesCheckOut(Schema):
    """What is wrong with a plugin.json, and what may be meant otherwise."""

    good = fields.Boolean()
    problems = fields.List(fields.String())
    notes = fields.List(fields.String())


class ErrorFactsOut(Schema):
    """What went wrong."""

    code = fields.Integer(metadata={"description": "The HTTP status."})
    name = fields.String(metadata={"description": "e.g. `invalid`, `conflict`, `idempotency_key_reused`."})
    message = fields.String()
    problems = fields.List(
        fields.String(),
        metadata={"description": "One line for each: a JSON pointer, then what it should be."},
    )


class ErrorOut(Schema):
    """The format of every error."""

    error = fields.Nested(ErrorFactsOut)


def page_of(schema: type[Schema]) -> type[Schema]:
    """Return the schema of a page of items of another schema."""
    members: dict[str, Any] = {
        "items": fields.List(fields.Nested(schema)),
        "next": fields.String(allow_none=True),
    }
    page: type[Schema] = type(f"{schema.__name__}Page", (Schema,), members)
    return page
