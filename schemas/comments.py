"""Comments as the API and the pages take and answer them, with their pins."""

import math
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from dam_connector.domain.comment import MAX_COMMENT_CHARS, Anchor, ModelAnchor, PictureAnchor
from schemas.common import StrictFloat

MAX_COORDINATE_M = 1000.0


def _share() -> StrictFloat:
    return StrictFloat(validate=validate.Range(0, 1))


def _vector(limit: float, meaning: str) -> fields.List:
    return fields.List(
        StrictFloat(validate=validate.Range(-limit, limit)),
        validate=validate.Length(equal=3),
        metadata={"description": meaning},
    )


class AnchorSchema(Schema):
    """Where a comment is pinned: `x`, `y` in a picture, or `point`, `normal` and the camera on a model."""

    x = _share()
    y = _share()
    width = _share()
    height = _share()
    frame = fields.Integer(strict=True, validate=validate.Range(0, 360))
    point = _vector(MAX_COORDINATE_M, "On the model, in metres; y is up.")
    normal = _vector(1.001, "Of the surface there.")
    orbit = _vector(100_000, "Of the camera: degrees round, degrees from the top, metres away.")
    target = _vector(MAX_COORDINATE_M, "What the camera looks at, in metres.")
    fov_deg = StrictFloat(validate=validate.Range(1, 180))

    @validates_schema(skip_on_field_errors=True)
    def _is_one_kind(self, data: dict[str, Any], **_: Any) -> None:
        on_model = {"point", "normal", "orbit", "target"}
        if "point" in data:
            if missing := sorted(on_model - set(data)):
                raise ValidationError("a pin on a model needs this field", missing[0])
            if set(data) - on_model - {"fov_deg"}:
                raise ValidationError("a pin is in a picture or on a model, not both")
            if math.hypot(*data["normal"]) < 0.5:
                raise ValidationError("a normal has length 1", "normal")
        elif not {"x", "y"} <= set(data):
            raise ValidationError("a pin needs x and y, or point, normal, orbit and target")
        elif data["x"] + data.get("width", 0) > 1.001 or data["y"] + data.get("height", 0) > 1.001:
            raise ValidationError("the rectangle leaves the picture", "width")

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Anchor:
        if "point" in data:
            vectors: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
            return ModelAnchor(**vectors)
        return PictureAnchor(**data)


class AnchorOut(Schema):
    """A pin as it was stored; `text` is the place in words."""

    x = fields.Float()
    y = fields.Float()
    width = fields.Float()
    height = fields.Float()
    frame = fields.Integer()
    point = fields.List(fields.Float())
    normal = fields.List(fields.Float())
    orbit = fields.List(fields.Float())
    target = fields.List(fields.Float())
    fov_deg = fields.Float()
    text = fields.String()


class CommentTextIn(Schema):
    """The text of a comment."""

    text = fields.String(
        required=True, validate=validate.And(validate.Length(1, MAX_COMMENT_CHARS), validate.Regexp(r".*\S"))
    )


class CommentIn(CommentTextIn):
    """A comment to be written."""

    anchor = fields.Nested(AnchorSchema, load_default=None, allow_none=True)
    parent_id = fields.String(
        load_default="",
        validate=validate.Length(max=40),
        metadata={"description": "The comment that it replies to; it begins a thread when absent."},
    )


class CommentOut(Schema):
    """One comment."""

    id = fields.String()
    version_id = fields.String()
    version_number = fields.Integer()
    parent_id = fields.String(allow_none=True)
    by = fields.String()
    text = fields.String()
    at = fields.AwareDateTime()
    anchor = fields.Nested(AnchorOut, allow_none=True)
    mentions = fields.List(fields.String())
    resolved_at = fields.AwareDateTime(allow_none=True)
    resolved_by = fields.String()
    resolved_number = fields.Integer(
        allow_none=True, metadata={"description": "The number of the version that resolved it."}
    )


class CommentsOut(Schema):
    """The comments that a version shows: its own and those on earlier versions, the oldest first."""

    items = fields.List(fields.Nested(CommentOut))
