"""Templates of metadata, by which an admin fills the fields of a DAM, e.g. `{brand}, {attributes.season}`."""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from dam_connector.domain.asset_texts import alt_text, report_summary, version_title
from dam_connector.domain.file_names import product_values
from dam_connector.domain.name_pattern_syntax import ATTRIBUTE
from dam_connector.domain.product import Product
from dam_connector.domain.version import Version

MetadataValue = str | int | float | bool | list[str]
KINDS = ("text", "integer", "number", "boolean", "date", "list")
PRODUCT_FIELDS = (
    "sku",
    "name",
    "category",
    "color",
    "brand",
    "gtin",
    "material",
    "description",
    "style_tags",
)
SIZE_FIELDS = ("width_cm", "height_cm", "depth_cm")
VERSION_FIELDS = ("deliverable", "slot", "version", "title", "alt_text", "report", "generator", "review_url")
FIELDS = (*PRODUCT_FIELDS, *SIZE_FIELDS, *VERSION_FIELDS)
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


class WrongValue(ValueError):
    """A value that is not of the kind that its template names."""


@dataclass(frozen=True, slots=True)
class MetadataTemplate:
    """One template, and the kind of value that it gives."""

    text: str
    kind: str  # one of `KINDS`

    def render(self, values: Mapping[str, str]) -> MetadataValue | None:
        """Return the value for a product and version; None if none of its fields has one.

        Raises:
            WrongValue: the value is not of the template's kind.
        """
        parts = list(string.Formatter().parse(self.text))
        if not any(values.get(field) for _, field, _, _ in parts if field):
            return None
        text = "".join(before + values.get(field or "", "") for before, field, _, _ in parts).strip()
        return _convert(text, self.kind)


def parse_template(text: str) -> MetadataTemplate:
    """Return the template of a text.

    Raises:
        ValueError: it has no field, an unknown one, or a kind beside other text.
    """
    parts = list(string.Formatter().parse(text))
    fields = [(field, spec or "", conversion) for _, field, spec, conversion in parts if field is not None]
    for field, spec, conversion in fields:
        is_attribute = field.startswith(ATTRIBUTE) and field != ATTRIBUTE
        if conversion or (field not in FIELDS and not is_attribute):
            raise ValueError(f"unknown field {{{field}}}; known: {', '.join(FIELDS)}, attributes.NAME")
        if spec and spec not in KINDS:
            raise ValueError(f"unknown kind {spec!r}; known: {', '.join(KINDS)}")
        if spec and (len(parts) > 1 or parts[0][0]):
            raise ValueError(f"{{{field}:{spec}}} must stand alone: text beside it makes it a text")
    if not fields:
        raise ValueError("it has no field in braces, e.g. {attributes.season}")
    return MetadataTemplate(text, (fields[0][1] if len(fields) == 1 else "") or "text")


def metadata_values(product: Product, version: Version | None = None, review_url: str = "") -> dict[str, str]:
    """Return the value of each field of templates.

    Args:
        product: the product.
        version: the version that is pushed; None: only the product's fields have values.
        review_url: our page of the version.
    """
    size = product.dimensions
    metres = (size.width_m, size.height_m, size.depth_m)
    found = {
        **{name: str(value) for name, value in product_values(product).items()},
        **{name: getattr(product, name) for name in ("material", "description", "style_tags")},
        **{n: f"{m * 100:.6g}" for n, m in zip(SIZE_FIELDS, metres, strict=True) if m is not None},
    }
    if version is None:
        return found
    return found | {
        "deliverable": version.asset.deliverable,
        "slot": str(version.asset.slot),
        "version": str(version.number),
        "title": version_title(version, product),
        "alt_text": alt_text(product),
        "report": report_summary(version),
        "generator": str(version.provenance.get("generator", "")),
        "review_url": review_url,
    }


def _convert(text: str, kind: str) -> MetadataValue:
    if kind == "integer" and re.fullmatch(r"[+-]?[0-9]{1,15}", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?", text):
        return float(text)
    if kind == "boolean" and text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    if kind == "list":
        return [part for each in text.split(",") if (part := each.strip())]
    if kind == "date":
        try:
            return date.fromisoformat(text[:10]).isoformat()
        except ValueError as error:
            raise WrongValue(f"{text[:40]!r} is no date such as 2026-12-01") from error
    if kind == "text":
        return text
    raise WrongValue(f"{text[:40]!r} is no {kind}")
