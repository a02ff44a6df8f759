"""The format of events that the `standard` source sends, bare or as the data of a CloudEvent."""

from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from schemas.common import TimestampField
from schemas.product import ProductSchema

TYPES = ("product.created", "product.updated", "product.deleted")


class EventSchema(Schema):
    """An event in the envelope of Standard Webhooks.

    An example: `{"type": "product.created", "timestamp": "2026-01-31T12:00:00Z", "data": {product}}`.
    """

    class Meta:
        unknown = EXCLUDE

    type = fields.String(required=True, validate=validate.OneOf(TYPES))
    timestamp = TimestampField(required=True, format="iso")
    data = fields.Dict(required=True)

    @validates_schema(skip_on_field_errors=True)
    def data_names_a_product(self, data: dict[str, Any], **_: object) -> None:
        deleted = data["type"] == "product.deleted"
        errors = ProductSchema(only=("sku",) if deleted else None).validate(data["data"])
        if errors:
            raise ValidationError({"data": errors})
