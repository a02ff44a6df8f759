"""Touch-ups of cut-outs as the API and the pages take and answer them."""

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from dam_connector.domain.touch_up import MAX_POINTS, MAX_RADIUS, MAX_STROKES, MIN_CHANGED_SHARE, Stroke
from schemas.common import StrictBoolean, StrictFloat


def _share() -> StrictFloat:
    return StrictFloat(validate=validate.Range(0, 1))


class StrokeSchema(Schema):
    """One stroke of a brush over the photo."""

    keep = StrictBoolean(
        required=True, metadata={"description": "True: this is product. False: this is background."}
    )
    radius = StrictFloat(
        required=True,
        validate=validate.Range(0, MAX_RADIUS, min_inclusive=False),
        metadata={"description": "Of the brush, as a share of the photo's longer side."},
    )
    points = fields.List(
        fields.List(_share(), validate=validate.Length(equal=2)),
        required=True,
        validate=validate.Length(1, MAX_POINTS),
        metadata={"description": "x, y in shares of width and height, from the top left corner."},
    )
    stops_at_edges = StrictBoolean(
        load_default=True,
        metadata={
            "description": "Change only what is connected to the stroke and has one of its colours. "
            "False: change everything under the brush."
        },
    )

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Stroke:
        points = tuple((x, y) for x, y in data.pop("points"))
        return Stroke(**data, points=points)


class TouchUpIn(Schema):
    """Strokes that correct the mask of a version."""

    strokes = fields.List(
        fields.Nested(StrokeSchema), required=True, validate=validate.Length(max=MAX_STROKES)
    )
    replaces = StrictBoolean(
        load_default=False,
        metadata={"description": "The earlier touch-ups of the photo no longer count."},
    )
    mask_seen = StrictBoolean(
        load_default=False,
        metadata={
            "description": "The person looked at the whole mask. Without it, strokes that change less than "
            f"{MIN_CHANGED_SHARE * 100:g} % of the product lift no doubt about its cut-out."
        },
    )


class StrokeOut(Schema):
    """A stroke as it was stored."""

    keep = fields.Boolean()
    radius = fields.Float()
    points = fields.List(fields.List(fields.Float()))
    stops_at_edges = fields.Boolean()


class TouchUpOut(Schema):
    """Strokes that somebody painted on a mask of the photo."""

    id = fields.String()
    photo_sha256 = fields.String()
    version_id = fields.String(metadata={"description": "The version whose mask was shown."})
    by = fields.String()
    at = fields.AwareDateTime()
    strokes = fields.List(fields.Nested(StrokeOut))
    replaces = fields.Boolean()
    mask_seen = fields.Boolean(metadata={"description": "The person looked at the whole mask."})


class TouchUpsOut(Schema):
    """The touch-ups of the photo that a version is made from, the oldest first."""

    items = fields.List(fields.Nested(TouchUpOut))
