"""Guest links as the API takes and answers them."""

from marshmallow import Schema, fields, validate

from dam_connector.domain.guest_link import DEFAULT_DAYS, MAX_DAYS, GuestScope
from schemas.common import StrictBoolean


class GuestLinkIn(Schema):
    """A guest link to be created."""

    name = fields.String(
        required=True, validate=validate.Length(1, 80), metadata={"description": "The guest's name."}
    )
    scope = fields.String(required=True, validate=validate.OneOf([s.value for s in GuestScope]))
    value = fields.String(
        required=True,
        validate=validate.Length(1, 500),
        metadata={"description": "The id or name of the batch, the category or the SKU."},
    )
    may_decide = StrictBoolean(load_default=False)
    days = fields.Integer(strict=True, load_default=DEFAULT_DAYS, validate=validate.Range(1, MAX_DAYS))
    stage = fields.String(
        load_default="",
        validate=validate.Length(max=40),
        metadata={
            "description": "The stage in which the guest decides; `may_decide` needs one where stages decide."
        },
    )


class GuestLinkOut(Schema):
    """A guest link, without its secret."""

    id = fields.String()
    name = fields.String()
    scope = fields.String()
    value = fields.String()
    may_decide = fields.Boolean()
    stage = fields.String()
    created_by = fields.String()
    created_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime()
    revoked_at = fields.AwareDateTime(allow_none=True)


class GuestLinksOut(Schema):
    """All guest links."""

    items = fields.List(fields.Nested(GuestLinkOut))


class NewGuestLinkOut(Schema):
    """A created guest link."""

    id = fields.String()
    url = fields.String(metadata={"description": "The address for the guest; it cannot be shown again."})
