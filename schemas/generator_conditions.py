"""The format of the conditions under which a generator may make a deliverable."""

from collections.abc import Iterator
from typing import Any

from marshmallow import Schema, fields, validate

from dam_connector.domain.rules import LOCAL
from schemas.common import CATEGORY, NOT_EMPTY, StrictFloat


class WhenSchema(Schema):
    """When a generator may make a deliverable."""

    categories = fields.List(
        fields.String(validate=CATEGORY),
        validate=NOT_EMPTY,
        metadata={"description": "Only for these categories, whatever their case; all when absent."},
    )
    min_views = fields.Integer(
        strict=True,
        validate=validate.Range(1, 7),
        metadata={"description": "Only if the product has usable photos of at least so many views."},
    )
    max_usd = StrictFloat(
        validate=validate.Range(0, 1000),
        metadata={"description": "Only if a task costs at most so many USD by the price list."},
    )
    min_forecast = StrictFloat(
        validate=validate.Range(0, 1),
        metadata={
            "description": "Only if our own model of the product will be good with at least this "
            "probability; for `local` in models. docs/providers.md says how the forecast is made."
        },
    )


def misplaced_forecasts(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the generators whose condition must not ask for a forecast, each with the reason."""
    for name, when in data.get("when", {}).items():
        if "min_forecast" in when and data["kind"] != "model":
            yield name, "this is for models; leave it out, a rendition has no forecast"
        elif "min_forecast" in when and name != LOCAL:
            yield name, "the forecast is of our own models; put it under `local`"
