"""The format of plugin.json: marshmallow schemas, and the JSON Schema made from them."""

import difflib
import json
import re
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from dam_connector.domain.issue_codes import CODES
from dam_connector.domain.product import View
from dam_connector.domain.rules import KEEP, MAX_CAP_USD, WITHDRAW, Apply
from schemas.adapter_options import OPTIONS, definition_name, key_choices, options_schema
from schemas.adoption import AdoptSchema
from schemas.common import (
    CATEGORY,
    COLOR,
    SLUG,
    StrictBoolean,
    StrictFloat,
    nest_message,
    schema_name,
    text_field,
)
from schemas.deliverable import DeliverableSchema
from schemas.naming import NamingSchema
from schemas.notify import NotifySchema
from schemas.profile import ProfileSchema
from schemas.sign_on import SignOnSchema

PRODUCT_FIELDS = (
    "sku",
    "name",
    "category",
    "brand",
    "color",
    "material",
    "description",
    "style_tags",
    "dimensions",
    "images",
)
_SECRET_KEY = re.compile(r"(secret|token|password|api_key|private_key)s?$")
_NAMED = validate.Regexp(r"^(?=.*\S)", error="must not be empty")
_ADAPTER_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FIELD = validate.Regexp(
    rf"^({'|'.join(PRODUCT_FIELDS)}|images\.({'|'.join(v.value for v in View)}|any)"
    r"|dimensions\.(width|height|depth)|attributes\..+)$",
    error=f"not a product field; known: {', '.join(PRODUCT_FIELDS)}, "
    "images.VIEW, dimensions.AXIS, attributes.NAME",
)


class ConnectionSchema(Schema):
    """One connection: the adapter's name and its options. Secrets are references, `env/NAME`."""

    class Meta:
        include = {
            "adapter": fields.String(
                required=True,
                validate=validate.Regexp(_ADAPTER_NAME, error="not the name of an adapter"),
                metadata={
                    "description": "Name of the adapter, e.g. `shopify`. Its further options are on its page "
                    "in docs/connections/."
                },
            )
        }
        unknown = "include"

    @validates_schema
    def secrets_are_references(self, data: dict[str, Any], **_: object) -> None:
        for key, value in data.items():
            for each in value if isinstance(value, list) else [value]:
                if _SECRET_KEY.search(key) and not str(each).startswith("env/"):
                    raise ValidationError(
                        "do not write a secret here: put it into the environment and refer to it as env/NAME",
                        key,
                    )


def _cap(period: str) -> StrictFloat:
    return StrictFloat(
        validate=validate.Range(0, MAX_CAP_USD),
        metadata={"description": f"The most that may be spent in a {period}, in USD; no cap when absent."},
    )


class ProviderConnectionSchema(ConnectionSchema):
    """The connection of a provider, with the caps on its spending."""

    max_usd_per_day = _cap("day (UTC)")
    max_usd_per_month = _cap("month (UTC)")
    max_usd_per_batch = _cap("batch")


def _connections(meaning: str, schema: type[Schema] = ConnectionSchema) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(validate=SLUG),
        values=fields.Nested(schema),
        metadata={"description": meaning},
    )


class ConnectionsSchema(Schema):
    """The outside systems, by kind and by the name that the rest of the file uses."""

    pim = _connections("PIMs that product records come from. Each sends webhooks to /webhooks/NAME.")
    dam = _connections("DAMs that assets are pushed to and reviewed in.")
    provider = _connections("Providers that generate remotely.", ProviderConnectionSchema)
    channel = _connections("Channels in which approved versions go live.")


class CategorySchema(Schema):
    """What products of one category need in addition."""

    required = fields.List(
        fields.String(validate=_FIELD),
        metadata={"description": "Fields that products of this category must have."},
    )


class ProductsSchema(Schema):
    """Which fields a product must have before anything is made."""

    required = fields.List(
        fields.String(validate=_FIELD), metadata={"description": "Fields that every product must have."}
    )
    categories = fields.Dict(
        keys=fields.String(validate=CATEGORY),
        values=fields.Nested(CategorySchema),
        metadata={"description": "Further fields, by category."},
    )
    on_delete = text_field(
        "What happens to the live assets of a product that is deleted in its PIM: `withdraw` takes them "
        "offline until the product comes back, `keep` leaves them live. `withdraw` when absent.",
        validate=validate.OneOf([WITHDRAW, KEEP]),
    )


class DimensionsRuleSchema(Schema):
    """How far a model's bounding box may differ from the product's size."""

    tolerance_pct = StrictFloat(
        validate=validate.Range(0.1, 50),
        metadata={"description": "Largest difference from the product's size on each axis, in percent."},
    )


def _section(schema: type[Schema], meaning: str, *, required: bool = False) -> fields.Nested:
    return fields.Nested(schema, required=required, metadata={"description": meaning})


def _limit(meaning: str, low: int = 1) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=low), metadata={"description": meaning})


class ChecksSchema(Schema):
    """Limits of the checks, and severities of issue codes."""

    dimensions = _section(DimensionsRuleSchema, "Size of a model.")
    max_triangles = _limit("Triangles in a model.")
    max_texture_px = _limit("Longer side of a texture, in pixels.", 64)
    max_materials = _limit("Materials in a model.")
    max_model_bytes = _limit("Bytes of a GLB.", 1024)
    max_image_bytes = _limit("Bytes of a rendition.", 1024)
    max_components = _limit("Loose parts of a model.")
    severities = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.OneOf(["error", "warning", "info", "off"])),
        metadata={"description": "Severity by issue code; it replaces the default of the code."},
    )

    @validates_schema(skip_on_field_errors=True)
    def codes_are_known(self, data: dict[str, Any], **_: object) -> None:
        for code in data.get("severities", {}):
            if code not in CODES:
                near = difflib.get_close_matches(code, CODES, n=1)
                hint = f', did you mean "{near[0]}"?' if near else "; docs/issues.md lists them"
                raise ValidationError({"severities": {code: [f"no such issue code{hint}"]}})


class ImagingSchema(Schema):
    """How products are cut out of their photos."""

    net = text_field(
        "File of the net that takes part in the cut-out, or `none`. Its name begins with its kind: u2net, "
        "isnet or birefnet. It lies in `nets` of the data directory; u2netp.onnx is shipped.",
        validate=validate.Regexp(
            r"^(none|(u2net|isnet|birefnet)[A-Za-z0-9._-]{0,80}\.onnx)$",
            error='must be "none" or a file such as "u2netp.onnx", "isnet.onnx", "birefnet.onnx"',
        ),
    )
    min_probability = StrictFloat(
        validate=validate.Range(0, 1),
        metadata={
            "description": "Versions are blocked when their cut-out is usable with a lower probability. "
            "Where no net takes part (`none`, or its file is missing), this is not used: the limit is 0.72 "
            "then, of a confidence on another scale."
        },
    )


class StageSchema(Schema):
    """One stage of a review."""

    name = fields.String(
        required=True,
        validate=validate.Regexp(r"^[^/\x00-\x1f]{1,40}$", error="up to 40 characters, without /"),
        metadata={"description": "What pages call it, e.g. `3D artist`."},
    )
    roles = fields.List(
        fields.String(validate=validate.OneOf(["reviewer", "admin"])),
        metadata={"description": "Users with these roles decide, or with higher ones."},
    )
    people = fields.List(
        fields.String(validate=validate.Length(1, 80)),
        metadata={"description": "Names of reviewers who decide. With no roles either: all reviewers."},
    )
    dam = StrictBoolean(
        metadata={"description": "A decision in the DAM counts as this stage; when absent, as the last one."}
    )


class ReviewSchema(Schema):
    """Who reviews where, and the reasons to reject."""

    dam = text_field("The DAM connection in which versions are reviewed.")
    owners = fields.Dict(
        keys=fields.String(validate=CATEGORY),
        values=fields.String(validate=_NAMED),
        metadata={"description": "Who reviews, by category."},
    )
    stages = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 150)),
        values=fields.List(fields.Nested(StageSchema), validate=validate.Length(1, 9)),
        metadata={
            "description": "The stages of a review, by category; `*` for all other categories. A version "
            "stays in review until the last stage has approved it; the first refusal ends its review."
        },
    )
    reasons = fields.List(
        fields.String(validate=validate.Length(1, 80)),
        validate=validate.Length(1, 9),
        metadata={"description": "Reasons to reject, at most nine: the keys 1 to 9 choose them."},
    )
    checklist = fields.List(fields.String(), metadata={"description": "The checklist that reviewers see."})

    @validates_schema(skip_on_field_errors=True)
    def stages_differ(self, data: dict[str, Any], **_: object) -> None:
        for category, stages in data.get("stages", {}).items():
            names = [stage["name"] for stage in stages]
            if len(set(names)) < len(names):
                raise ValidationError(nest_message(("stages", category), "two stages have the same name"))
            if sum(stage.get("dam", False) for stage in stages) > 1:
                raise ValidationError(
                    nest_message(("stages", category), "only one stage is decided in the DAM")
                )


class ViewerSchema(Schema):
    """The brand's design of the AR page."""

    accent = text_field("Colour of buttons, #rrggbb.", validate=COLOR)
    background = text_field("Colour behind the product, #rrggbb.", validate=COLOR)
    brand = text_field(
        "Name above the product; the product's brand when absent.", validate=validate.Length(max=80)
    )
    count = fields.Boolean(
        metadata={
            "description": "Whether views and AR starts are counted; not when absent. Sums for each version "
            "are stored, nothing about shoppers, and no cookie is set."
        }
    )


class ChangesSchema(Schema):
    """How changes of plugin.json take effect; docs/operations.md explains it."""

    apply = fields.String(
        validate=validate.OneOf([each.value for each in Apply]),
        metadata={
            "description": "When a change takes effect on what exists: `later`, by `rules apply`; "
            "`confirm`, the same, and nothing is made by it before; `automatic`, at once."
        },
    )


class ReconcileSchema(Schema):
    """When PIMs, DAMs and channels are compared with our records."""

    every_hours = StrictFloat(
        validate=validate.Range(1, 24 * 31),
        metadata={"description": "Hours between two comparisons; only on request when absent."},
    )
    files = StrictBoolean(metadata={"description": "Whether each comparison also reads all files in DAMs."})
    mend = StrictBoolean(
        metadata={"description": "Whether differences are corrected at once; otherwise they are only shown."}
    )


class PluginSchema(Schema):
    """The plugin's manifest and the admin's rules."""

    schema_ = fields.String(data_key="$schema", metadata={"description": "Lets editors complete this file."})
    name = text_field("The plugin's name.", required=True, validate=_NAMED)
    version = text_field("The plugin's version.", required=True, validate=_NAMED)
    connections = _section(ConnectionsSchema, "Outside systems, by port.", required=True)
    products = _section(ProductsSchema, "Requirements of product records.")
    deliverables = fields.List(
        fields.Nested(DeliverableSchema),
        required=True,
        validate=validate.Length(min=1, error="name at least one deliverable"),
        metadata={"description": "Renditions and models to make for each product."},
    )
    naming = _section(NamingSchema, "Names of files and folders.")
    profiles = fields.Dict(
        keys=fields.String(validate=SLUG),
        values=fields.Nested(ProfileSchema),
        metadata={
            "description": "Profiles of models, by name. docs/configuration.md lists the built-in ones."
        },
    )
    checks = _section(ChecksSchema, "Limits of the checks, and severities of issues.")
    imaging = _section(ImagingSchema, "How products are cut out of their photos.")
    review = _section(ReviewSchema, "Who reviews, in which DAM, and reasons to reject.")
    notify = _section(NotifySchema, "Who is told of what, by webhook, chat or e-mail.")
    viewer = _section(ViewerSchema, "Design of the AR page.")
    changes = _section(ChangesSchema, "How changes of this file take effect.")
    reconcile = _section(ReconcileSchema, "Comparison of PIMs, DAMs and channels with the records here.")
    adopt = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(AdoptSchema),
        metadata={"description": "By deliverable: where finished files are that become first versions."},
    )
    sign_on = _section(SignOnSchema, "Single sign-on by OpenID Connect; nobody uses it when absent.")


def _options_of(port: str, adapter: str) -> dict[str, Any]:
    """Return the JSON Schema that holds a connection of an adapter to that adapter's options."""
    return {
        "if": {"properties": {"adapter": {"const": adapter}}, "required": ["adapter"]},
        "then": {"$ref": f"#/components/schemas/{definition_name(port, adapter)}"},
    }


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of plugin.json."""
    spec = APISpec(
        title="plugin.json",
        version="1",
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin(schema_name_resolver=schema_name)],
    )
    spec.components.schema("Plugin", schema=PluginSchema)
    for port, adapters in OPTIONS.items():
        for adapter in adapters:
            spec.components.schema(definition_name(port, adapter), schema=options_schema(port, adapter))
    components = spec.to_dict()["components"]["schemas"]
    for name, definition in components.items():
        definition["additionalProperties"] = name in ("Connection", "ProviderConnection")
    for port, adapters in OPTIONS.items():
        connections = components["Connections"]["properties"][port]
        connections["additionalProperties"] = {
            "allOf": [connections["additionalProperties"], *(_options_of(port, name) for name in adapters)]
        }
        for adapter, options in adapters.items():
            shown = components[definition_name(port, adapter)]["properties"]
            for name, keys in key_choices(options):
                shown[name]["propertyNames"] = {"enum": keys}
    text = json.dumps(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "plugin.json of dam-connector",
            **components.pop("Plugin"),
            "$defs": components,
        }
    )
    result: dict[str, Any] = json.loads(text.replace("#/components/schemas/", "#/$defs/"))
    return result
