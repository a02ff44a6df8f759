"""The section `adopt` of plugin.json: where finished files are that become first versions."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from dam_connector.domain.adoption import ADOPTABLE_VIEWS, AdoptRule
from dam_connector.domain.photo_sources import read_photo_sources
from schemas.common import text_field
from schemas.photo_sources import PhotoSourcesSchema

_OF_FILES = ("sku_from", "sku_field", "view_field", "names", "folder", "views", "order")
_APART = ("names", "folder", "approved_field")  # what tells finished files from others


class AdoptSchema(PhotoSourcesSchema):
    """Where the finished files of one deliverable are."""

    dam = text_field("The DAM connection in which they are.")
    channel = text_field("Instead of `dam`: the channel connection of the shop that shows them.")
    position = fields.Integer(
        validate=validate.Range(1, 100),
        metadata={
            "description": "With `channel`: which of the shop's own pictures of a product; 1 if absent."
        },
    )
    view = text_field(
        "Instead of `dam`: the picture of the product's record that is live in the shop already, or `model`.",
        validate=validate.OneOf(ADOPTABLE_VIEWS),
    )
    approved_field = text_field("The DAM's field that says whether a file is approved.")
    approved_values = fields.List(
        fields.String(), metadata={"description": "Values of that field that mean approved."}
    )

    @validates_schema
    def check_place(self, data: dict[str, Any], **more: Any) -> None:
        """Check that the files are in one place, and can be told from others there."""
        if sum(bool(data.get(name)) for name in ("dam", "channel", "view")) != 1:
            raise ValidationError("name one of dam, channel and view", "dam")
        if data.get("position") and not data.get("channel"):
            raise ValidationError("it goes with channel", "position")
        if data.get("dam") and not any(data.get(name) for name in _APART):
            raise ValidationError(f"say which files are finished: one of {', '.join(_APART)}", "names")
        if bool(data.get("approved_field")) != bool(data.get("approved_values")):
            raise ValidationError("approved_field and approved_values need each other", "approved_field")

    @staticmethod
    def own_keys(data: dict[str, Any]) -> dict[str, Any]:
        """Return the keys that say how the SKU of a file is found."""
        return {name: value for name, value in data.items() if name in _OF_FILES}


def build_adoption(data: dict[str, Any]) -> dict[str, AdoptRule]:
    """Build the rules of adoption by deliverable, from data that `AdoptSchema` loaded."""
    return {
        deliverable: AdoptRule(
            dam=rule.get("dam", ""),
            channel=rule.get("channel", ""),
            position=rule.get("position", 1),
            view=rule.get("view", ""),
            files=read_photo_sources({"sources": AdoptSchema.own_keys(rule)}) or AdoptRule().files,
            approved_field=rule.get("approved_field", ""),
            approved_values=tuple(rule.get("approved_values", ())),
        )
        for deliverable, rule in data.items()
    }
