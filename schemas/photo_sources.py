"""The option `sources` of DAM connections: whose photos become source images."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from dam_connector.domain.photo_sources import SKU_ORIGINS, read_photo_sources
from schemas.common import text_field
from schemas.image_views import VIEWS


class PhotoSourcesSchema(Schema):
    """Where the SKU and the view of a photo in a DAM are."""

    sku_from = text_field(
        "Where the SKU of a photo is: in a field, the name of its folder, or its file name.",
        validate=validate.OneOf(SKU_ORIGINS),
    )
    sku_field = text_field("The DAM's field that holds the SKU.")
    view_field = text_field("The DAM's field that holds the view.")
    names = fields.List(
        fields.String(),
        validate=validate.Length(min=1),
        metadata={"description": "Patterns of file names, of {sku}, {view} and {any}; the first counts."},
    )
    folder = text_field("Only photos in this folder, or in those below it.")
    views = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.OneOf(VIEWS)),
        metadata={"description": "Our view for each of their words."},
    )
    order = fields.List(
        fields.String(validate=validate.OneOf(VIEWS)),
        metadata={"description": "The views of photos that name none, in the order of their names."},
    )

    @staticmethod
    def own_keys(data: dict[str, Any]) -> dict[str, Any]:
        """Return the keys that say how the SKU of a file is found."""
        return data

    @validates_schema
    def check_together(self, data: dict[str, Any], **more: Any) -> None:
        """Check what depends on several keys, as the adapters do."""
        try:
            read_photo_sources({"sources": self.own_keys(data)})
        except ValueError as error:
            place, _, message = str(error).partition(": ")
            key = place.partition("/")[2]
            raise ValidationError(message, key or "_schema") from error
