"""The section `sign_on` of plugin.json: single sign-on by OpenID Connect."""

from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from dam_connector.domain.roles import UserRole
from dam_connector.domain.sign_on import SignOnRules
from schemas.common import StrictBoolean, text_field

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MANY_TENANTS = ("common", "organizations", "consumers")  # of Entra ID, whose tokens name one tenant each
_CLAIM = validate.Length(1, 200)


def _check_issuer(issuer: str) -> None:
    """Raise a ValidationError unless an address is https (or of this machine) and has no query."""
    try:
        parts = urlsplit(issuer)
        host = parts.hostname or ""
    except ValueError as error:
        raise ValidationError("not an address") from error
    if not host or parts.query or parts.fragment or parts.username or len(issuer) > 300:
        raise ValidationError("write the address of the provider, such as https://id.example.com/realms/shop")
    if host == "login.microsoftonline.com" and parts.path.strip("/").partition("/")[0] in _MANY_TENANTS:
        raise ValidationError("name the tenant by its id: each token is of one tenant")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise ValidationError("must begin with https://")


class SignOnSchema(Schema):
    """Single sign-on through an OpenID provider; docs/sign-on.md says how to set it up."""

    issuer = text_field(
        "The provider's address, exactly as its discovery names it, e.g. "
        "`https://login.microsoftonline.com/TENANT/v2.0`.",
        required=True,
        validate=_check_issuer,
    )
    client_id = text_field(
        "The client's id at the provider.", required=True, validate=validate.Length(1, 300)
    )
    client_secret = text_field(
        "The client's secret, as `env/NAME`; a public client has none.",
        validate=validate.Regexp(
            r"^env/\w+$",
            error="do not write a secret here: put it into the environment and refer to it as env/NAME",
        ),
    )
    label = text_field("Text of the button on the login page.", validate=validate.Length(1, 60))
    scopes = fields.List(
        fields.String(validate=validate.Regexp(r"^[!#-\[\]-~]{1,200}$", error="not a scope")),
        metadata={"description": "Scopes to ask for; openid, profile and email when absent."},
    )
    name_claim = text_field(
        "Claim with the user's name, e.g. `email`; preferred_username when absent.", validate=_CLAIM
    )
    roles = fields.Dict(
        keys=fields.String(validate=validate.OneOf([role.value for role in UserRole])),
        values=fields.Dict(
            keys=fields.String(validate=_CLAIM),
            values=fields.List(
                fields.String(validate=validate.Length(1, 300)),
                validate=validate.Length(min=1, error="name at least one value"),
            ),
            validate=validate.Length(min=1, error="name at least one claim"),
        ),
        required=True,
        validate=validate.Length(min=1, error="name at least one role, or nobody can log in"),
        metadata={
            "description": "By role, the claims that grant it, each with the values that do, e.g. "
            '`{"admin": {"groups": ["dam-admins"]}}`. A path is written with dots: `realm_access.roles`. '
            "The highest role counts; without one, nobody gets in."
        },
    )
    passwords = StrictBoolean(
        metadata={"description": "Whether users may still log in by password; yes when absent."}
    )

    @validates_schema(skip_on_field_errors=True)
    def a_way_in_remains(self, data: dict[str, Any], **_: object) -> None:
        if data.get("passwords") is False and "admin" not in data["roles"]:
            raise ValidationError("no claim grants the role admin, so passwords must remain", "passwords")
        if "openid" not in data.get("scopes", ["openid"]):
            raise ValidationError("must have openid", "scopes")


def build_sign_on(data: dict[str, Any]) -> SignOnRules:
    """Return the rules of single sign-on from loaded data."""
    roles = {
        role: {claim: tuple(values) for claim, values in claims.items()}
        for role, claims in data["roles"].items()
    }
    scopes = {"scopes": tuple(data["scopes"])} if "scopes" in data else {}
    return SignOnRules(**{**data, **scopes, "roles": roles})
