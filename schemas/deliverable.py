"""The format of a deliverable in plugin.json: what to make for each product."""

from collections.abc import Iterator
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from dam_connector.domain import prompts
from dam_connector.domain.file_names import LODS, VIDEO
from dam_connector.domain.product import View
from dam_connector.domain.rules import (
    CAMERAS,
    DRACO,
    FRAME_COUNTS,
    MESHOPT,
    PHOTO,
    PLAIN,
    WEBP,
    ColourRules,
    Deliverable,
    GeneratorCondition,
    Motion,
    WebBudget,
)
from dam_connector.domain.run import RunKind
from schemas.common import CATEGORY, NOT_EMPTY, SLUG, StrictBoolean, StrictFloat, lists_to_tuples, text_field
from schemas.generator_conditions import WhenSchema, misplaced_forecasts
from schemas.motion_rules import motion_contradictions

KINDS = {"rendition": RunKind.IMAGE, "model": RunKind.MODEL}
IMAGE_FORMATS = ("jpeg", "webp", "avif", "png")
RENDITION_FORMATS = (*IMAGE_FORMATS, VIDEO)
MODEL_FORMATS = ("glb", "usdz", "web", *LODS)
_HEX = "#[0-9a-fA-F]{6}"
_GROUND = validate.Regexp(
    rf"^({_HEX}|{_HEX} to {_HEX}|transparent)$",
    error='use "#rrggbb", "#rrggbb to #rrggbb" (top to bottom) or "transparent"',
)
_CAMERA = validate.Regexp(
    rf"^({'|'.join(CAMERAS)}|-?\d{{1,3}},-?\d{{1,2}})$",
    error=f'use one of {", ".join(CAMERAS)}, or degrees as "35,18"',
)


class WebBudgetSchema(Schema):
    """What the web GLB of a model may have at most.

    It is reached by steps in a fixed order, each only as far as needed: packing, `texture_px`,
    `max_triangles`; for `max_bytes` then half the texture's side, half the triangles, and so on.
    """

    max_bytes = fields.Integer(
        strict=True,
        validate=validate.Range(10_000, 100_000_000),
        metadata={"description": "Bytes of the file."},
    )
    max_triangles = fields.Integer(
        strict=True, validate=validate.Range(500, 1_000_000), metadata={"description": "Triangles."}
    )
    texture_px = fields.Integer(
        strict=True,
        validate=validate.OneOf([256, 512, 1024, 2048, 4096]),
        metadata={"description": "Longer side of each texture, in pixels."},
    )
    min_ssim = fields.Float(
        validate=validate.Range(0.5, 1),
        metadata={
            "description": "Least likeness (SSIM) to the plain GLB in renders from five sides. "
            "A step that would go below it is not taken: `web.over_budget`."
        },
    )

    geometry = text_field(
        "Compression of the mesh: `draco`, or `plain` for viewers that read no compressed meshes.",
        validate=validate.OneOf([DRACO, PLAIN]),
    )
    textures = text_field(
        "Textures: `webp` where that is smaller, or `plain` as JPEG or PNG.",
        validate=validate.OneOf([WEBP, PLAIN]),
    )

    @validates_schema(skip_on_field_errors=True)
    def has_a_limit(self, data: dict[str, Any], **_: object) -> None:
        if not set(data) - {"min_ssim"}:
            raise ValidationError(
                "name at least one of max_bytes, max_triangles, texture_px, geometry, textures"
            )


class ChannelBudgetSchema(WebBudgetSchema):
    """What the GLB of a channel may have at most: the keys of `web_budget`, and one more compression."""

    geometry = text_field(
        "Compression of the mesh: `draco`; `meshopt`, also of skins, morph targets and vertex colours, for "
        "viewers with its decoder; or `plain` for viewers that read no compressed meshes.",
        validate=validate.OneOf([DRACO, MESHOPT, PLAIN]),
    )


class ColoursSchema(Schema):
    """Products of several colours share the shape of this model.

    The first product of each `by` makes the shape. When it is approved, the others are recoloured from it.
    """

    by = text_field(
        "What products of one shape share: `parent`, or `attributes.NAME`.",
        validate=validate.Regexp(
            r"^(parent|attributes\..{1,100})$", error='use "parent" or "attributes.NAME"'
        ),
    )
    made_from = fields.List(
        fields.String(validate=validate.OneOf(["swatch", "photo"])),
        validate=validate.Length(min=1, max=2),
        metadata={
            "description": "Where the colour of a product comes from, the preferred first; swatch, then "
            "photo, when absent."
        },
    )
    max_de2000 = StrictFloat(
        validate=validate.Range(1, 30),
        metadata={"description": "Greatest CIEDE2000 between both; more is `variant.colour`."},
    )


class DeliverableSchema(Schema):
    """One thing to make for each product."""

    name = text_field("Its name, which is part of asset names and URLs.", required=True, validate=SLUG)
    kind = text_field(
        "Whether it is a rendition or a model.", required=True, validate=validate.OneOf(list(KINDS))
    )
    count = fields.Integer(
        strict=True, validate=validate.Range(1, 4), metadata={"description": "How many slots are made."}
    )
    categories = fields.List(
        fields.String(validate=CATEGORY),
        validate=NOT_EMPTY,
        metadata={"description": "Only for these categories, whatever their case; all when absent."},
    )
    made_from = text_field(
        f"What a rendition is made from: `{PHOTO}`, or the model deliverable of this name. For a model: the "
        "model deliverable with `colours` whose approved colours it joins in one GLB."
    )
    views = fields.List(
        fields.String(validate=validate.OneOf([v.value for v in View])),
        metadata={
            "description": "Views whose photo a rendition is made from, the most preferred first; "
            "when absent: front, hero, right, left, back, top. A version from another view than front, hero "
            "and the first that is named has the warning source.no_front."
        },
    )
    camera = text_field(
        f"Camera of a rendered model: {', '.join(CAMERAS)}; "
        "or azimuth and elevation in degrees, e.g. `35,18`.",
        validate=_CAMERA,
    )
    motion = text_field(
        "Motion of a rendered model: `still`; `spin`, one picture for each angle of a full rotation; "
        "`clip`, the rotation as an animated WebP.",
        validate=validate.OneOf(list(Motion)),
    )
    frames = fields.Integer(
        strict=True,
        validate=validate.OneOf(FRAME_COUNTS),
        metadata={"description": "Pictures of a full rotation."},
    )
    generator = fields.List(
        fields.String(),
        validate=validate.Length(min=1),
        metadata={"description": "Generators in order of preference: `local`, or provider connections."},
    )
    when = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(WhenSchema),
        metadata={"description": "Conditions by generator, as named under `generator`; none when absent."},
    )
    prompt = text_field(
        "Template of the prompt for providers, with `{name}`, `{brand}`, `{color}`, `{material}`, "
        "`{category}`, `{style_tags}`, `{description}`, `{background}`, "
        "`{prompt}` (the product's own request) or `{attributes.NAME}`. "
        "A sentence whose facts are all missing is left out. "
        "When absent: a template that fits the style.",
        validate=validate.Length(max=2000),
    )
    avoid = text_field(
        "What pictures must not show; it is added to the prompt.", validate=validate.Length(max=500)
    )
    formats = fields.List(
        fields.String(validate=validate.OneOf(RENDITION_FORMATS + MODEL_FORMATS)),
        validate=validate.Length(min=1),
        metadata={
            "description": "File formats. For renditions: jpeg, webp, avif, png, and mp4 for a clip, beside "
            "its webp (needs the extra `video`). For models: glb, usdz, "
            "web (a GLB compressed with Draco and WebP), "
            "lod1 and lod2 (GLBs with a quarter and a sixteenth of the triangles, "
            "their textures half and a quarter as wide)."
        },
    )
    channels = fields.List(
        fields.String(), metadata={"description": "Channels in which approved versions go live."}
    )
    profiles = fields.List(
        fields.String(),
        metadata={"description": "Profiles that it must satisfy; docs/configuration.md lists them."},
    )
    style = text_field(
        "Style of a rendition: `studio`, on a plain background; "
        "`lifestyle`, in a room, a different one for each slot.",
        validate=validate.OneOf(["studio", "lifestyle"]),
    )
    background = text_field(
        "Background: `#rrggbb`, a gradient from top to bottom as `#rrggbb to #rrggbb`, or `transparent`.",
        validate=_GROUND,
    )
    fill = StrictFloat(
        validate=validate.Range(0.3, 1.0),
        metadata={"description": "Share of the tighter side that the product fills."},
    )
    aspect = text_field(
        "Aspect ratio, width to height.",
        validate=validate.Regexp(r"^[1-9]\d?:[1-9]\d?$", error='use "w:h", e.g. "4:5"'),
    )
    size_px = fields.Integer(
        strict=True,
        validate=validate.Range(64, 8000),
        metadata={"description": "The longer side, in pixels."},
    )
    sizes = fields.List(
        fields.Integer(strict=True, validate=validate.Range(16, 8000)),
        validate=validate.Length(max=8),
        metadata={
            "description": "Longer sides of further, smaller files of each format, e.g. `[400, 800]`; only "
            "for still pictures."
        },
    )
    shadow = StrictBoolean(metadata={"description": "A soft contact shadow under the product."})
    reflection = StrictBoolean(metadata={"description": "A fading reflection of the product in the ground."})
    max_triangles = fields.Integer(
        strict=True,
        validate=validate.Range(500, 1_000_000),
        metadata={"description": "How many triangles the model may have."},
    )
    texture_px = fields.Integer(
        strict=True,
        validate=validate.OneOf([512, 1024, 2048, 4096]),
        metadata={"description": "Side of the model's texture, in pixels."},
    )
    web_budget = fields.Nested(
        WebBudgetSchema,
        metadata={"description": "Budget of the format `web`, for channels on the web."},
    )
    colours = fields.Nested(
        ColoursSchema,
        metadata={"description": "Products of several colours share its shape."},
    )
    budgets = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(ChannelBudgetSchema),
        metadata={
            "description": "Budgets of channels, by their names: each gets a GLB of its own as its format "
            "`web`."
        },
    )
    min_confidence = StrictFloat(
        validate=validate.Range(0, 1),
        metadata={
            "description": "A local model with less confidence goes to the next generator; "
            "if there is none, it is flagged. docs/providers.md#forecast has the rules for our own code only "
            "where a model will probably be approved."
        },
    )

    @validates_schema(skip_on_field_errors=True)
    def formats_fit_kind(self, data: dict[str, Any], **_: object) -> None:
        known = RENDITION_FORMATS if data["kind"] == "rendition" else MODEL_FORMATS
        for number, name in enumerate(data.get("formats", ())):
            if name not in known:
                raise ValidationError(
                    {
                        "formats": {
                            number: [f"a {data['kind']} cannot be made as {name}; known: {', '.join(known)}"]
                        }
                    }
                )

    @validates_schema(skip_on_field_errors=True)
    def prompts_can_be_filled(self, data: dict[str, Any], **_: object) -> None:
        for name in ("prompt", "avoid"):
            if wrong := prompts.unknown_field(data.get(name, "")):
                raise ValidationError(
                    f"there is no fact {{{wrong}}}; "
                    f"known: {', '.join(prompts.PROMPT_FIELDS)}, attributes.NAME",
                    name,
                )
        for name in data.get("when", {}):
            if name not in data.get("generator", ("local",)):
                raise ValidationError({"when": {name: ["it is not one of this deliverable's generators"]}})

    @validates_schema(skip_on_field_errors=True)
    def forecasts_are_of_our_own_models(self, data: dict[str, Any], **_: object) -> None:
        for name, problem in misplaced_forecasts(data):
            raise ValidationError({"when": {name: {"min_forecast": [problem]}}})

    @validates_schema(skip_on_field_errors=True)
    def keys_fit_each_other(self, data: dict[str, Any], **_: object) -> None:
        wrong: dict[str, list[str]] = {}
        for field, reason in _contradictions(data):
            wrong.setdefault(field, []).append(reason)
        if wrong:
            raise ValidationError(wrong)


def _contradictions(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields that contradict other fields, each with the reason."""
    rendered = data.get("made_from", PHOTO) != PHOTO
    if data["kind"] != "model":
        yield from (
            (f, "this is for models")
            for f in ("min_confidence", "web_budget", "budgets", "colours")
            if f in data
        )
    elif "web_budget" in data and "web" not in data.get("formats", ()):
        yield "web_budget", "this is for the format web; name it under `formats`"
    for channel in data.get("budgets", {}):
        if data["kind"] == "model" and channel not in data.get("channels", ()):
            yield "budgets", f"{channel} is not one of this deliverable's channels"
    if data["kind"] != "rendition":
        yield from (
            (f, "this is for renditions") for f in ("camera", "motion", "frames", "reflection") if f in data
        )
        if "made_from" in data and not rendered:
            yield "made_from", "this is for renditions, and for a model that joins colours"
        if rendered:
            yield from (
                (f, "a model of all colours has it from the model that it is made from")
                for f in ("colours", "generator", "when", "prompt", "avoid", "min_confidence", "count")
                if f in data
            )
        elif "colours" in data and data.get("count", 1) > 1:
            yield "count", "products of several colours share one shape"
        return
    if data.get("background") == "transparent" and "jpeg" in data.get("formats", ()):
        yield "formats", "jpeg cannot be transparent; use webp, avif or png"
    if data.get("style") == "lifestyle":
        yield from (
            (f, f"a lifestyle picture has a room, no {f}") for f in ("background", "reflection") if f in data
        )
    if not rendered:
        yield from (
            (f, "this is for renditions of a model; name the model under `made_from`")
            for f in ("camera", "motion", "frames")
            if f in data
        )
    elif set(data.get("generator", ["local"])) != {"local"}:
        yield "generator", "a rendition of a model is always made by the generator local"
    elif "views" in data:
        yield "views", "a rendition of a model has no photo; set `camera`"
    yield from motion_contradictions(data)


def build_deliverable(data: dict[str, Any]) -> Deliverable:
    """Build a deliverable from loaded data."""
    kind = KINDS[data["kind"]]
    if kind is RunKind.IMAGE:
        usual = ["webp"] if data.get("motion") == Motion.CLIP else ["jpeg", "webp"]
    else:  # a USDZ has one colour
        usual = ["glb", "web"] if data.get("made_from", PHOTO) != PHOTO else ["glb", "usdz"]
    when = {
        name: GeneratorCondition(**lists_to_tuples(found)) for name, found in data.get("when", {}).items()
    }
    budget, colours = data.get("web_budget"), data.get("colours")
    fields_of = {
        **data,
        "kind": kind,
        "formats": data.get("formats") or usual,
        "when": when,
        "web_budget": None if budget is None else WebBudget(**budget),
        "budgets": {name: WebBudget(**found) for name, found in data.get("budgets", {}).items()},
        "colours": None if colours is None else ColourRules(**lists_to_tuples(colours)),
    }
    return Deliverable(**lists_to_tuples(fields_of))
