"""Drafts of spins and walks as the API and the pages take and answer them."""

from marshmallow import Schema, fields, validate

from dam_connector.domain.capture_draft import MAX_PLACES
from dam_connector.domain.product import Capture

PLACE = validate.Range(0, MAX_PLACES - 1)


class CaptureIn(Schema):
    """What is to be taken."""

    kind = fields.String(
        required=True,
        validate=validate.OneOf([kind.value for kind in Capture]),
        metadata={"description": "`walk`: around a product that stands still. `spin`: on a turntable."},
    )
    frames = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(*Capture.SPIN.counts),
        metadata={"description": "Of a spin: frames of a full turn. 24, or as many as it has, when absent."},
    )


class CapturePhotoArgs(Schema):
    """Where a photo belongs."""

    place = fields.Integer(
        load_default=None,
        validate=PLACE,
        metadata={"description": "From 0 on. The first free one if absent."},
    )
    replaces = fields.String(
        load_default="",
        validate=validate.Length(max=64),
        metadata={"description": "The SHA-256 of the photo at this place that it replaces."},
    )


class CapturePhotoOut(Schema):
    """A photo of a draft."""

    place = fields.Integer()
    sha256 = fields.String()
    bytes = fields.Integer()


class CaptureOut(Schema):
    """The photos of a spin or a walk that the user has taken so far."""

    id = fields.String()
    sku = fields.String()
    kind = fields.String()
    planned = fields.Integer(metadata={"description": "Photos of both rounds, or frames of a full turn."})
    photos = fields.List(fields.Nested(CapturePhotoOut))
    next_place = fields.Integer(allow_none=True)
    next_text = fields.String(metadata={"description": "What to do next, for people."})
    problem = fields.String(metadata={"description": "Why no model can be made yet; empty if one can."})
    begun_at = fields.AwareDateTime()
    changed_at = fields.AwareDateTime()
