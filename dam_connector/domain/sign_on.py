"""Single sign-on: the provider in plugin.json, and what its claims about a person mean here."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dam_connector.domain.roles import UserRole

DEFAULT_SCOPES = ("openid", "profile", "email")
MAX_NAME = 80  # characters of a user's name
MAX_SUBJECT = 255  # characters of `sub`, OpenID Connect Core 2
# Names that the audit log uses for somebody else.
RESERVED_NAMES = ("command line",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOnRules:
    """How people log in through an OpenID provider."""

    issuer: str  # its address, as it is in its tokens
    client_id: str
    client_secret: str = ""  # `env/NAME`; empty: a public client
    label: str = "Log in with single sign-on"  # text of the button
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    name_claim: str = "preferred_username"
    # By role, the claims that grant it, each with the values that do.
    roles: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    passwords: bool = True  # whether users may still log in by password

    def claims(self) -> set[str]:
        """Return the names of the claims that a login needs."""
        return {self.name_claim}.union(*(set(needed) for needed in self.roles.values()))


def claim_value(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name or, e.g. for `realm_access.roles`, by its path; None if there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for key in name.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def granted_role(rules: SignOnRules, claims: Mapping[str, Any]) -> UserRole | None:
    """Return the highest role that somebody's claims grant, or None.

    An e-mail address counts only if the provider says that it was verified.
    """
    for role in reversed(UserRole):
        for name, values in rules.roles.get(role, {}).items():
            if name == "email" and claims.get("email_verified") is not True:
                continue
            found = claim_value(claims, name)
            texts = found if isinstance(found, list) else [found]
            if any(isinstance(text, str) and text in values for text in texts):
                return role
    return None


def user_name(rules: SignOnRules, claims: Mapping[str, Any]) -> str:
    """Return the name of a user by the claims.

    Raises:
        ValueError: the claim gives no usable name; the message says why.
    """
    found = claim_value(claims, rules.name_claim)
    name = unicodedata.normalize("NFKC", found).strip() if isinstance(found, str) else ""
    if not name:
        raise ValueError(f"the claim {rules.name_claim} with the name is missing")
    if rules.name_claim == "email" and claims.get("email_verified") is False:
        raise ValueError("the e-mail address is not verified")
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"the name is longer than {MAX_NAME} characters or has unusual ones")
    if name.casefold().startswith(RESERVED_NAMES):
        raise ValueError("the name is reserved")
    return name
