"""The format of product records, which the `standard` source sends and `dam-connector product add` reads."""

import difflib
import itertools
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, pre_load, validate

from dam_connector.domain.ids import Sku
from dam_connector.domain.product import TRANSLATED_FIELDS, Dimensions, Product, SourceImage, View
from schemas.common import LOCALE, MAX_KEY_CHARACTERS, MAX_PROBLEMS, MomentField
from schemas.numbers_and_units import METRES_PER_UNIT, unit_name

TEXT_FIELDS = ("name", "category", "brand", "color", "material", "description", "style_tags")
NEAR_KEY = 0.8  # similarity of names from which on a key looks mistyped
AXES_BY_FIELD = {"width": "width_m", "height": "height_m", "depth": "depth_m"}  # names in `Dimensions`
_LOOSE_TEXTS = ("sku", "style_tags", "parent")  # may be numbers and lists, as attributes may
_TEXT: dict[str, Any] = {"load_default": "", "allow_none": True, "validate": validate.Length(max=2000)}


class DimensionsSchema(Schema):
    """A size with its unit: `{"width": 46, "height": 80, "depth": 50, "unit": "cm"}`."""

    class Meta:
        unknown = EXCLUDE

    width = fields.Float(
        allow_none=True, load_default=None, validate=validate.Range(min=0, min_inclusive=False)
    )
    height = fields.Float(
        allow_none=True, load_default=None, validate=validate.Range(min=0, min_inclusive=False)
    )
    depth = fields.Float(
        allow_none=True, load_default=None, validate=validate.Range(min=0, min_inclusive=False)
    )
    unit = fields.String(load_default="m", validate=validate.OneOf(list(METRES_PER_UNIT)))

    @pre_load
    def read_unit(self, data: Any, **_: object) -> Any:
        """Accept other names of units, e.g. `CM` and `inch`."""
        if not isinstance(data, Mapping):
            return data
        mistyped = {key: near for key, near in _near_keys(data, list(self.fields)).items() if near}
        if mistyped:  # a size without it would be wrong, or missing
            raise ValidationError({key: [f'did you mean "{near}"?'] for key, near in mistyped.items()})
        if not isinstance(data.get("unit"), str):
            return data
        return {**data, "unit": unit_name(data["unit"]) or data["unit"]}

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> Dimensions:
        scale = METRES_PER_UNIT[data["unit"]]
        sizes = {
            f"{axis}_m": None if data[axis] is None else round(data[axis] * scale, 6)
            for axis in ("width", "height", "depth")
        }
        return Dimensions(**sizes)


def _capture(description: str) -> fields.List:
    """Return a field with the addresses of a spin or a walk."""
    return fields.List(
        fields.String(validate=validate.Length(min=1, max=4000)),
        load_default=list,
        allow_none=True,
        validate=validate.Length(max=500),
        metadata={"description": description},
    )


class ProductSchema(Schema):
    """A product record. Unknown keys are ignored: a PIM's record has many."""

    class Meta:
        unknown = EXCLUDE

    sku = fields.String(required=True, validate=validate.Length(min=1, max=500))
    name = fields.String(**_TEXT)
    category = fields.String(**_TEXT)
    brand = fields.String(**_TEXT)
    color = fields.String(**_TEXT)
    material = fields.String(**_TEXT)
    description = fields.String(load_default="", allow_none=True, validate=validate.Length(max=20_000))
    style_tags = fields.String(**_TEXT)
    dimensions = fields.Nested(DimensionsSchema, load_default=Dimensions, allow_none=True)
    images = fields.Dict(
        keys=fields.String(validate=validate.OneOf([v.value for v in View])),
        values=fields.String(validate=validate.Length(min=1, max=4000)),
        load_default=dict,
        allow_none=True,
        metadata={"description": "Picture URLs by view: front, back, left, right, top, hero, detail."},
    )
    spin_images = _capture(
        "URLs of the frames of a spin, in order: 8 to 72 pictures of a full turn on a "
        "turntable, in equal steps, the first from the front. Models are made from them."
    )
    walk_images = _capture(
        "URLs of the photos of a walk, in order: 12 to 72 that somebody took while "
        "walking around the product, the first from the front. Models are made from them where there "
        "is no spin."
    )
    inspiration_image = fields.String(
        load_default="",
        allow_none=True,
        validate=validate.Length(max=4000),
        metadata={"description": "URL of a picture whose colours lifestyle renditions take on."},
    )
    model_url = fields.String(
        load_default="",
        allow_none=True,
        validate=validate.Length(max=4000),
        metadata={
            "description": "URL of a model that was made elsewhere: GLB, glTF, USDZ, OBJ, STEP, or a "
            "ZIP with its files. Models are made from it."
        },
    )
    parent = fields.String(
        load_default="",
        allow_none=True,
        validate=validate.Length(max=500),
        metadata={
            "description": "What products share that differ in colour alone, e.g. the code of their model. "
            "With `colours` in plugin.json they share one shape."
        },
    )
    swatch = fields.String(
        load_default="",
        allow_none=True,
        validate=validate.Length(max=4000),
        metadata={
            "description": "Its colour, for a model that is recoloured: `#rrggbb`, or the URL of a picture "
            "of the cloth or paint alone."
        },
    )
    live_from = MomentField(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "An embargo, a date or a time in ISO 8601: no asset of it goes live before."
        },
    )
    live_until = MomentField(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "The expiry, a date or a time in ISO 8601: all its assets go offline then, "
            "e.g. when the licence of its photos ends."
        },
    )
    translations = fields.Dict(
        keys=fields.String(validate=LOCALE),
        values=fields.Dict(
            keys=fields.String(validate=validate.OneOf(TRANSLATED_FIELDS)),
            values=fields.String(allow_none=True, validate=validate.Length(max=20_000)),
        ),
        load_default=dict,
        allow_none=True,
        metadata={
            "description": "Texts in other languages, by locale, e.g. "
            '`{"de": {"name": "Stuhl Falun"}}`; name, description, color and material.'
        },
    )
    attributes = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict, allow_none=True)

    @pre_load
    def refuse_unclean_text(self, data: Any, **_: object) -> Any:
        """Refuse a NUL and half a surrogate pair: no name has them, and PostgreSQL cannot store them."""
        text = json.dumps(data, ensure_ascii=False)
        if "\\u0000" in text or any("\ud800" <= c <= "\udfff" for c in text):
            raise ValidationError("text holds a NUL or half a surrogate pair; send clean UTF-8")
        return data

    @pre_load
    def read_loosely(self, data: Any, **_: object) -> Any:
        """Leave out values that are null or empty, and accept numbers where texts are expected."""
        if not isinstance(data, Mapping):
            return data
        loose = {name: to_text(value) if name in _LOOSE_TEXTS else value for name, value in data.items()}
        for name in ("images", "dimensions", "attributes"):
            if isinstance(values := loose.get(name), Mapping):
                loose[name] = {key: value for key, value in values.items() if not _is_absent(value)}
        for name in ("spin_images", "walk_images"):
            if isinstance(named := loose.get(name), str):
                loose[name] = split_addresses(named)
        if isinstance(attributes := loose.get("attributes"), Mapping):
            loose["attributes"] = {key: to_text(value) for key, value in attributes.items()}
        return loose

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> Product:
        images = tuple(SourceImage(view=View(v), url=u) for v, u in (data["images"] or {}).items())
        texts: dict[str, Any] = {name: (data[name] or "").strip() for name in TEXT_FIELDS}
        return Product(
            sku=Sku(data["sku"].strip()),
            **texts,
            images=images,
            spin_images=tuple(url.strip() for url in data["spin_images"] or ()),
            walk_images=tuple(url.strip() for url in data["walk_images"] or ()),
            inspiration_image=(data["inspiration_image"] or "").strip(),
            model_url=(data["model_url"] or "").strip(),
            parent=(data["parent"] or "").strip(),
            swatch=(data["swatch"] or "").strip(),
            dimensions=data["dimensions"] or Dimensions(),
            live_from=data["live_from"],
            live_until=data["live_until"],
            translations=_translations(data["translations"] or {}),
            attributes=data["attributes"] or {},
        )


def unknown_keys(record: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the keys of a record that look like a mistyped key of ours, and those that are none of ours.

    A mistyped key comes with the right one. It counts only where the record lacks the right one: a PIM's
    record may well have `images` and `image`.
    """
    found = _near_keys(record, list(_schema().fields))
    mistyped = [f'/{key}: did you mean "{near}"?' for key, near in found.items() if near]
    other = [f"/{key}" for key, near in found.items() if not near]
    if isinstance(sizes := record.get("dimensions"), Mapping):
        other += [f"/dimensions/{key}" for key in _near_keys(sizes, list(DimensionsSchema().fields))]
    return mistyped, other


def _near_keys(record: Mapping[str, Any], known: list[str]) -> dict[str, str]:
    """Return the keys of a record that are none of ours, each with the key that is meant, or with none.

    Only the first `MAX_PROBLEMS` are looked at, so that a hostile record takes no time.
    """
    missing = [key for key in known if key not in record]
    found = {}
    for key in itertools.islice((str(key) for key in record if key not in known), MAX_PROBLEMS):
        short = key[:MAX_KEY_CHARACTERS]
        near = difflib.get_close_matches(short.lower(), missing, 1, NEAR_KEY)
        found[short] = near[0] if near else ""
    return found


def split_addresses(text: str) -> list[str]:
    """Return the addresses in a text, between blanks, commas, semicolons or bars; or the text as one name."""
    text = text.strip()
    if "://" not in text and not text.startswith(("held:", "dam:", "pim:")):
        return [text] if text else []
    return [part for part in re.split(r"[\s;|]+|,\s*(?=[a-z]+:)", text) if part]


def _translations(data: Mapping[str, Mapping[str, str | None]]) -> dict[str, dict[str, str]]:
    """Return the texts that are there, by locale as `de` or `de-AT`."""
    found = {
        normal_locale(locale): {name: text.strip() for name, text in texts.items() if text and text.strip()}
        for locale, texts in data.items()
    }
    return {locale: texts for locale, texts in found.items() if texts}


def normal_locale(locale: str) -> str:
    """Return a locale as `de` or `de-AT`, e.g. of `de_AT`."""
    language, _, region = locale.replace("_", "-").partition("-")
    return f"{language.lower()}-{region.upper()}" if region else language.lower()


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def to_text(value: Any) -> Any:
    """Return a number, a switch or a list of such as text; anything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    if isinstance(value, list) and all(isinstance(each, (str, int, float)) for each in value):
        return ", ".join(str(to_text(each)) for each in value)
    return value


def dump_product(product: Product) -> dict[str, Any]:
    """Return a product as JSON values; loading them gives the same product."""
    d = product.dimensions
    return {
        "sku": product.sku,
        **{name: getattr(product, name) for name in TEXT_FIELDS},
        "dimensions": {"width": d.width_m, "height": d.height_m, "depth": d.depth_m, "unit": "m"},
        "images": {i.view.value: i.url for i in product.images},
        "spin_images": list(product.spin_images),
        "walk_images": list(product.walk_images),
        "inspiration_image": product.inspiration_image,
        "model_url": product.model_url,
        "parent": product.parent,
        "swatch": product.swatch,
        "live_from": product.live_from.isoformat() if product.live_from else None,
        "live_until": product.live_until.isoformat() if product.live_until else None,
        "translations": {locale: dict(texts) for locale, texts in product.translations.items()},
        "attributes": dict(product.attributes),
    }


def load_product(data: Mapping[str, Any]) -> Product:
    """Load a product from JSON values.

    Raises:
        marshmallow.ValidationError: The record is invalid.
    """
    return _schema().load(data)


@cache
def _schema() -> ProductSchema:
    """Cache the schema: to create it takes longer than to load a record."""
    return ProductSchema()
