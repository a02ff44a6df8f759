"""The option `metadata` of DAM connections: values for the DAM's own fields, and the check of their types."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dam_connector.domain.metadata_templates import (
    MetadataValue,
    WrongValue,
    metadata_values,
    parse_template,
)
from dam_connector.domain.product import Product
from dam_connector.errors import ConfigError, Refused
from dam_connector.ports import PushRequest

# The kinds of templates that a kind of field takes.
ACCEPTED = {
    "text": ("text", "integer", "number", "boolean", "date", "list"),
    "integer": ("integer",),
    "number": ("integer", "number"),
    "boolean": ("boolean",),
    "date": ("date",),
    "list": ("list", "text"),
    "choice": ("text", "list"),
}
MAX_SHOWN = 5  # mistakes that a test names


@dataclass(frozen=True, slots=True)
class DamField:
    """A field of a DAM."""

    # One of `ACCEPTED`.
    kind: str
    # The values that a choice has; empty: any.
    choices: tuple[str, ...] = ()


class MetadataOption:
    """The templates of a connection, by the name of the DAM's field."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Read the option.

        Raises:
            ConfigError: it is no object of texts, or a template is wrong.
        """
        written = options.get("metadata", {})
        if not isinstance(written, Mapping):
            raise ConfigError('metadata: write an object, e.g. {"Season": "{attributes.season}"}')
        self.templates = {}
        for field, text in written.items():
            try:
                self.templates[str(field)] = parse_template(str(text))
            except ValueError as error:
                raise ConfigError(f"metadata/{field}: {error}") from error

    def values(self, request: PushRequest) -> dict[str, MetadataValue]:
        """Return the value of each field for a version; those without one or of a wrong kind are left out."""
        known = metadata_values(request.product, request.version, request.review_url)
        found = {}
        for field, template in self.templates.items():
            try:
                value = template.render(known)
            except WrongValue:
                continue  # one product's mistake; `check` names it
            if value not in (None, "", []):
                found[field] = value
        return {field: value for field, value in found.items() if value is not None}

    def texts(self, request: PushRequest) -> dict[str, str]:
        """Return the value of each field as text, as `values` has them."""
        return {field: as_text(value) for field, value in self.values(request).items()}

    def check(
        self, vendor: str, fields: Mapping[str, DamField] | None, products: Sequence[Product]
    ) -> Iterator[str]:
        """Compare the templates with the DAM's fields and with real products; yield lines for people.

        Args:
            vendor: the name in errors.
            fields: the fields that the DAM has, by name; None: they cannot be read.
            products: some products of ours.

        Raises:
            Refused: a field does not exist or has another type, or a product has a value that does not fit.
        """
        if not self.templates:
            return
        wrong = [*self._wrong_fields(fields), *self._wrong_values(fields or {}, products)]
        if wrong:
            more = f"; and {len(wrong) - MAX_SHOWN} more" if len(wrong) > MAX_SHOWN else ""
            raise Refused(vendor, "metadata", "; ".join(wrong[:MAX_SHOWN]) + more)
        known = "their types fit" if fields is not None else "the DAM does not tell their types"
        yield f"metadata: {len(self.templates)} fields, {known}; the values of {len(products)} products fit"

    def _wrong_fields(self, fields: Mapping[str, DamField] | None) -> Iterator[str]:
        for name, template in self.templates.items():
            if fields is None:
                continue
            if name not in fields:
                yield f"metadata/{name}: there is no such field; create it, or correct the name"
            elif template.kind not in ACCEPTED[fields[name].kind]:
                kind = fields[name].kind
                yield f"metadata/{name}: the field is of type {kind}; write {{...:{ACCEPTED[kind][0]}}}"

    def _wrong_values(self, fields: Mapping[str, DamField], products: Sequence[Product]) -> Iterator[str]:
        for product in products:
            for name, template in self.templates.items():
                try:
                    value = template.render(metadata_values(product))
                except WrongValue as error:
                    yield f"metadata/{name}: {product.sku}: {error}"
                    continue
                choices = fields[name].choices if name in fields else ()
                given = value if isinstance(value, list) else [str(value)]
                if value is not None and choices and (unknown := [v for v in given if v not in choices]):
                    shown = ", ".join(choices[:8])
                    yield f"metadata/{name}: {product.sku}: {unknown[0]!r} is none of its options: {shown}"


def as_text(value: MetadataValue) -> str:
    """Return a value as text: a list with commas, a switch as `true` or `false`."""
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
