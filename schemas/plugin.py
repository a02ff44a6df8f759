"""plugin.json on the wire: loads the admin's rules, with the place of every mistake, and generates the JSON Schema."""

import difflib
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from dam_connector.domain import naming
from dam_connector.domain.issue_codes import CODES
from dam_connector.domain.picture_profiles import PICTURE_PROFILES, profile_conflicts
from dam_connector.domain.product import View
from dam_connector.domain.rules import (
    PHOTO,
    CheckRules,
    Connection,
    NamingRules,
    ProductRules,
    ReconcileRules,
    ReviewRules,
    Rules,
    ViewerRules,
)
from dam_connector.domain.run import RunKind
from dam_connector.errors import ConfigError
from schemas.common import COLOR, SLUG, json_pointer, lists_to_tuples, problem_lines, schema_name, text_field
from schemas.deliverable import DeliverableSchema, build_deliverable
from schemas.profile import ProfileSchema, build_profile

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
_ADAPTER_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FIELD = validate.Regexp(
    rf"^({'|'.join(PRODUCT_FIELDS)}|images\.({'|'.join(v.value for v in View)}|any)|dimensions\.(width|height|depth)|attributes\..+)$",
    error=f"not a product field; known: {', '.join(PRODUCT_FIELDS)}, images.VIEW, dimensions.AXIS, attributes.NAME",
)


class ConnectionSchema(Schema):
    """One connection: the adapter's name, and the options that this adapter takes; secrets as `env/NAME`."""

    class Meta:
        include = {
            "adapter": fields.String(
                required=True, validate=validate.Regexp(_ADAPTER_NAME, error="not an adapter's name")
            )
        }
        unknown = "include"

    @validates_schema
    def secrets_are_references(self, data: dict[str, Any], **_: object) -> None:
        for key, value in data.items():
            for each in value if isinstance(value, list) else [value]:
                if _SECRET_KEY.search(key) and not str(each).startswith("env/"):
                    raise ValidationError(
                        "a secret is never written here: put it into the environment and refer to it as env/NAME",
                        key,
                    )


def _connections(meaning: str) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(validate=SLUG),
        values=fields.Nested(ConnectionSchema),
        metadata={"description": meaning},
    )


class ConnectionsSchema(Schema):
    """The outside systems, by kind and by the name that the rest of the file calls them."""

    pim = _connections("Where product records come from; each is reached at /webhooks/NAME.")
    dam = _connections("Where assets are put and reviewed.")
    provider = _connections("Who generates remotely.")
    channel = _connections("Where approved versions go live.")


class CategorySchema(Schema):
    """What one category needs beyond the rest."""

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
        keys=fields.String(),
        values=fields.Nested(CategorySchema),
        metadata={"description": "More, by category."},
    )


class NamingSchema(Schema):
    """File names and folders."""

    default = text_field("Pattern for every deliverable that has none of its own.")
    patterns = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata={"description": "Patterns by deliverable."}
    )
    folder = text_field("Pattern of the folder that an asset's files lie in.")

    @validates_schema
    def patterns_are_patterns(self, data: dict[str, Any], **_: object) -> None:
        found: dict[tuple[str, ...], str | None] = {
            ("default",): data.get("default"),
            **{("patterns", k): v for k, v in data.get("patterns", {}).items()},
        }
        for path, pattern in found.items():
            if pattern is not None:
                _check_pattern(pattern, path)
        for part in filter(None, data.get("folder", "").split("/")):
            _check_fields(part, ("folder",))


def _check_fields(pattern: str, path: tuple[str, ...]) -> list[str]:
    try:
        return [field for _, field, _ in naming.pattern_parts(pattern)]
    except ValueError as error:
        raise ValidationError(_nest(path, str(error))) from error


def _check_pattern(pattern: str, path: tuple[str, ...]) -> None:
    missing = {"sku", "version"} - set(_check_fields(pattern, path))
    if not missing and not naming.is_reversible(pattern):
        raise ValidationError(
            _nest(
                path,
                "names made by it cannot be read back; put `_` between fields, and {name:pascal} for {name}",
            )
        )
    if missing:
        raise ValidationError(
            _nest(path, f"lacks {{{'}, {'.join(sorted(missing))}}}: names must be unique per version")
        )


def _nest(path: tuple[str, ...], message: str) -> dict[str, Any]:
    return {path[0]: _nest(path[1:], message) if len(path) > 1 else [message]}


class DimensionsRuleSchema(Schema):
    """How far a model's bounding box may be from the product's size."""

    tolerance_pct = fields.Float(
        validate=validate.Range(0.1, 50), metadata={"description": "Per axis, in percent."}
    )


def _limit(meaning: str, low: int = 1) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=low), metadata={"description": meaning})


class ChecksSchema(Schema):
    """Limits and severities."""

    dimensions = fields.Nested(DimensionsRuleSchema)
    max_triangles = _limit("Triangles in a model.")
    max_texture_px = _limit("Longer side of a texture, in pixels.", 64)
    max_materials = _limit("Materials in a model.")
    max_model_bytes = _limit("Bytes of a GLB.", 1024)
    max_image_bytes = _limit("Bytes of a rendition.", 1024)
    max_components = _limit("Loose parts of a model.")
    severities = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.OneOf(["error", "warning", "info", "off"])),
        metadata={"description": "Severity by issue code, over the code's own."},
    )

    @validates_schema(skip_on_field_errors=True)
    def codes_are_known(self, data: dict[str, Any], **_: object) -> None:
        for code in data.get("severities", {}):
            if code not in CODES:
                near = difflib.get_close_matches(code, CODES, n=1)
                hint = f', did you mean "{near[0]}"?' if near else "; docs/issues.md lists them"
                raise ValidationError({"severities": {code: [f"no such issue code{hint}"]}})


class ReviewSchema(Schema):
    """Who reviews where, and how they say no."""

    dam = text_field("The DAM connection that versions are reviewed in.")
    owners = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata={"description": "Who reviews, by category."}
    )
    reasons = fields.List(
        fields.String(validate=validate.Length(1, 80)),
        validate=validate.Length(1, 9),
        metadata={"description": "Reasons to reject, at most nine: keys 1 to 9 choose them."},
    )
    checklist = fields.List(fields.String(), metadata={"description": "What a reviewer goes through."})


class ViewerSchema(Schema):
    """The brand's look on the AR page."""

    accent = text_field("Colour of buttons, #rrggbb.", validate=COLOR)
    background = text_field("Colour behind the product, #rrggbb.", validate=COLOR)
    brand = text_field(
        "Name above the product; the product's brand when absent.", validate=validate.Length(max=80)
    )


class ReconcileSchema(Schema):
    """When PIMs, DAMs and channels are compared with what is known here."""

    every_hours = fields.Float(
        validate=validate.Range(1, 24 * 31),
        metadata={"description": "How often; only when asked, when absent."},
    )
    files = fields.Boolean(
        metadata={
            "description": "Whether the files in DAMs are read and compared too: each of them, each time."
        }
    )
    mend = fields.Boolean(
        metadata={"description": "Whether what drifted apart is mended at once; else it is shown."}
    )


class PluginSchema(Schema):
    """The plugin's manifest and the admin's rules."""

    schema_ = fields.String(data_key="$schema", metadata={"description": "Lets editors complete this file."})
    name = text_field("The plugin's name.", required=True)
    version = text_field("The plugin's version.", required=True)
    connections = fields.Nested(ConnectionsSchema, required=True)
    products = fields.Nested(ProductsSchema)
    deliverables = fields.List(
        fields.Nested(DeliverableSchema),
        required=True,
        validate=validate.Length(min=1, error="name at least one deliverable"),
    )
    naming = fields.Nested(NamingSchema)
    profiles = fields.Dict(
        keys=fields.String(validate=SLUG),
        values=fields.Nested(ProfileSchema),
        metadata={
            "description": "Profiles of models, by name, beside the built-in ones of docs/configuration.md."
        },
    )
    checks = fields.Nested(ChecksSchema)
    review = fields.Nested(ReviewSchema)
    viewer = fields.Nested(ViewerSchema)
    reconcile = fields.Nested(ReconcileSchema)


def load_rules(text: str) -> Rules:
    """The rules that the text of a plugin.json states.

    Raises: ConfigError with every problem, each with its JSON pointer and a suggestion.
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        where = "the file is empty" if not text.strip() else str(error)
        raise ConfigError(
            f"/: not JSON: {where}; start from the plugin.json that ships with the package"
        ) from error
    schema = PluginSchema()
    try:
        data = schema.load(raw)
    except ValidationError as error:
        raise ConfigError(*problem_lines(error.messages, schema)) from error
    rules = _build(data, text)
    wrong = list(_dangling(rules))
    if wrong:
        raise ConfigError(*wrong)
    return rules


def _build(data: dict[str, Any], text: str) -> Rules:
    products = data.get("products", {})
    checks = dict(data.get("checks", {}))
    dimensions = checks.pop("dimensions", {})
    if "tolerance_pct" in dimensions:
        checks["dimensions_tolerance_pct"] = dimensions["tolerance_pct"]
    named = data["connections"]
    required = {"required": tuple(products["required"])} if "required" in products else {}
    by_category = {name: tuple(c.get("required", ())) for name, c in products.get("categories", {}).items()}
    return Rules(
        name=data["name"],
        version=data["version"],
        fingerprint=hashlib.sha256(text.encode()).hexdigest()[:16],
        **{
            kind: {name: _connection(c) for name, c in named.get(kind, {}).items()}
            for kind in ("pim", "dam", "provider", "channel")
        },
        products=ProductRules(**required, required_by_category=by_category),
        deliverables=tuple(build_deliverable(d) for d in data["deliverables"]),
        naming=NamingRules(**data.get("naming", {})),
        checks=CheckRules(**checks),
        review=ReviewRules(**lists_to_tuples(data.get("review", {}))),
        viewer=ViewerRules(**data.get("viewer", {})),
        reconcile=ReconcileRules(**data.get("reconcile", {})),
        profiles={name: build_profile(p) for name, p in data.get("profiles", {}).items()},
    )


def _connection(data: dict[str, Any]) -> Connection:
    return Connection(adapter=data["adapter"], options={k: v for k, v in data.items() if k != "adapter"})


def _dangling(rules: Rules) -> list[str]:
    """References to connections that are not there, and names given twice."""
    wrong = []
    models = {d.name for d in rules.deliverables if d.kind is RunKind.MODEL}
    for number, d in enumerate(rules.deliverables):
        here = ("deliverables", number)
        if d.name in [e.name for e in rules.deliverables[:number]]:
            wrong.append(f"{json_pointer((*here, 'name'))}: {d.name!r} is given twice")
        wrong += [
            f"{json_pointer((*here, 'channels'))}: there is no channel {c!r} under /connections/channel"
            for c in d.channels
            if c not in rules.channel
        ]
        if d.made_from != PHOTO and d.made_from not in models:
            wrong.append(
                f"{json_pointer((*here, 'made_from'))}: there is no model deliverable {d.made_from!r}; known: {', '.join(sorted(models)) or 'none'}, {PHOTO}"
            )
        known = rules.model_profiles if d.kind is RunKind.MODEL else PICTURE_PROFILES
        wrong += [
            f"{json_pointer((*here, 'profiles', n))}: there is no profile {p!r} of {'models' if d.kind is RunKind.MODEL else 'pictures'}; known: {', '.join(known)}"
            for n, p in enumerate(d.profiles)
            if p not in known
        ]
        wrong += [
            f"{json_pointer((*here, field))}: {why}"
            for p in d.profiles
            if p in PICTURE_PROFILES and d.kind is RunKind.IMAGE
            for field, why in profile_conflicts(d, p)
        ]
        wrong += [
            f"{json_pointer((*here, 'generator'))}: there is no provider {g!r} under /connections/provider"
            for g in d.generator
            if g != "local" and g not in rules.provider
        ]
    if rules.review.dam not in rules.dam:
        wrong.append(f"/review/dam: there is no DAM {rules.review.dam!r} under /connections/dam")
    wrong += [
        f"/connections/{port}/{name}: the same name stands under /connections/{other}; webhooks need one name each"
        for port, other in (("dam", "pim"), ("provider", "pim"), ("provider", "dam"))
        for name in getattr(rules, port)
        if name in getattr(rules, other)
    ]
    return wrong or list(_name_clashes(rules))


def _name_clashes(rules: Rules) -> Iterator[str]:
    """Two files of one product must never get one name."""
    taken: dict[str, str] = {}
    for number, d in enumerate(rules.deliverables):
        for slot in range(1, d.count + 1):
            for made in d.formats:
                values: dict[str, str | int] = {
                    "sku": "s",
                    "name": "n",
                    "version": 1,
                    "format": made,
                    "deliverable": d.name,
                    "slot": slot,
                    "category": "c",
                    "color": "k",
                }
                name = naming.build_name(rules.naming.pattern_for(d.name), values) + made
                if name in taken:
                    yield (
                        f"/deliverables/{number}: its {made} would be called like that of {taken[name]}; put {{deliverable}} or {{slot}} "
                        f"into a pattern under /naming/patterns/{d.name}"
                    )
                    return
                taken[name] = f"{d.name} slot {slot}"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of plugin.json, generated from the classes above."""
    spec = APISpec(
        title="plugin.json",
        version="1",
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin(schema_name_resolver=schema_name)],
    )
    spec.components.schema("Plugin", schema=PluginSchema)
    components = spec.to_dict()["components"]["schemas"]
    for name, definition in components.items():
        definition["additionalProperties"] = name == "Connection"
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
