"""The options `mapping` and `signature` of the adapter `standard`."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from dam_connector.domain.event import EventKind
from dam_connector.domain.product import TRANSLATED_FIELDS
from schemas.common import text_field
from schemas.image_views import VIEWS
from schemas.json_paths import PathField
from schemas.numbers_and_units import METRES_PER_UNIT
from schemas.product import TEXT_FIELDS

FIELDS = ("sku", *TEXT_FIELDS, "width", "height", "depth", *VIEWS, "spin_images", "walk_images")
MORE_FIELDS = ("inspiration_image", "model_url", "parent", "swatch", "live_from", "live_until", "attributes")
FIELD_NAMES = (*FIELDS, *MORE_FIELDS)


def _path(meaning: str) -> PathField:
    return PathField(metadata={"description": f"{meaning} A JSONPath, or a list of them."})


class UnitField(PathField):
    """A unit, or the JSONPath at which each product names its own."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> Any:
        if isinstance(value, str) and value in METRES_PER_UNIT:
            return value
        if isinstance(value, list) or str(value).startswith("$"):
            return super()._deserialize(value, attr, data, **more)
        raise ValidationError(
            f"Must be one of: {', '.join(METRES_PER_UNIT)}; or the JSONPath of the unit in a product, "
            'e.g. "$.unit"'
        )


class MappedImagesSchema(Schema):
    """Where a record lists its images, and how their views are told."""

    each = _path("The images of a product.")
    url = _path("The address of an image, in the image; not needed if it is the image.")
    text = _path("Words about an image, e.g. its alt text, in which a view may be named.")
    view = _path("The name of the view, in the image.")
    views = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.OneOf(VIEWS)),
        metadata={"description": "Our view for each of their names."},
    )
    order = fields.List(
        fields.String(validate=validate.OneOf(VIEWS)),
        metadata={"description": "The views of images that name none."},
    )


class MappingSchema(Schema):
    """Where the parts of a product are in the messages of a system."""

    products = _path("The products of a webhook; the whole message if absent.")
    product = _path("The product in the reply of product_url; the whole reply if absent.")
    list = _path("The products in a page of list_url; the whole page if absent.")
    type = text_field("Where the type of an event is: a JSONPath, or header:NAME.")
    types = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.OneOf([kind.value for kind in EventKind])),
        metadata={"description": "What their types mean; an event of another type is ignored."},
    )
    deleted = _path("What only a deleted product has.")
    time = _path("When a product changed, in the product or in the message.")
    fields_ = fields.Dict(
        data_key="fields",
        keys=fields.String(
            validate=validate.Regexp(
                rf"^(?:{'|'.join(FIELD_NAMES)}|attributes\..{{1,100}}"
                rf"|(?:{'|'.join(TRANSLATED_FIELDS)})@[A-Za-z]{{2,3}}(?:[-_][A-Za-z0-9]{{2,8}})?)$",
                error=f"is none of {', '.join(FIELD_NAMES)}, attributes.NAME, or name@de",
            )
        ),
        values=PathField(),
        required=True,
        metadata={"description": "Where each of our fields is in a product."},
    )
    images = fields.Nested(MappedImagesSchema)
    image_base = text_field("The address that relative addresses of images start from.")
    unit = UnitField(
        metadata={
            "description": "Unit of lengths that are plain numbers, or the JSONPath of it in a product."
        }
    )


class SignatureSchema(Schema):
    """How a sender signs that follows no standard."""

    header = text_field("The header with the signature.", required=True)
    prefix = text_field("What stands before each signature, e.g. sha256=.")
    algorithm = text_field("The hash of the HMAC.", validate=validate.OneOf(("sha256", "sha512", "sha1")))
    encoding = text_field("How the signature is written.", validate=validate.OneOf(("hex", "base64")))
    content = text_field("What is signed: {body}, {timestamp}, {id}, {url}, {header:NAME}.")
    timestamp_header = text_field("The header with the time.")
    timestamp_prefix = text_field("What stands before the time, e.g. t=.")
    id_header = text_field("The header with the id of the delivery.")
    certificate_header = text_field("The header with the address of the sender's certificate.")
    certificate_base = text_field("The beginning of the certificates' addresses.")
