"""Logging in through an OpenID provider: the way there, and what its answer means here."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dam_connector.domain.sign_on import granted_role, user_name
from dam_connector.errors import LoginRefused
from dam_connector.wiring import Services

CALLBACK_PATH = "/login/sign-on/callback"
MAX_AGE_S = 600  # from the click on the button to the return from the provider
_PROVIDER_ERRORS = (
    "access_denied",
    "login_required",
    "interaction_required",
    "server_error",
    "invalid_scope",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignOn:
    """A login that has begun; the person's browser keeps it until the return from the provider."""

    state: str
    nonce: str
    verifier: str
    at: int  # Unix time of the beginning
    target: str  # path to open afterwards

    def to_dict(self) -> dict[str, Any]:
        """Return it for the browser's session."""
        return asdict(self)


def begin_sign_on(services: Services, target: str) -> tuple[str, PendingSignOn]:
    """Begin a login; return the address to send the person to, and the values that the browser keeps.

    Args:
        services: the services.
        target: the path to open afterwards.
    """
    pending = PendingSignOn(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        at=int(services.clock.now().timestamp()),
        target=target,
    )
    url = services.sign_on().authorization_url(
        redirect_uri=services.settings.base_url + CALLBACK_PATH,
        state=pending.state,
        nonce=pending.nonce,
        verifier=pending.verifier,
    )
    return url, pending


def finish_sign_on(services: Services, begun: object, answer: Mapping[str, str]) -> str:
    """Log in a person who came back from the provider; return the session's secret.

    Args:
        services: the services.
        begun: what the browser has had since `begin_sign_on`.
        answer: the parameters of the address that the person came back to.

    Raises:
        LoginRefused: the answer is not one to this browser's login, or the person has no role here.
        AdapterError: the provider failed.
    """
    pending = _checked_state(services, begun, answer.get("state", ""))
    provider = services.sign_on()
    provider.check_issuer(answer.get("iss"))
    if "error" in answer or not answer.get("code"):
        reason = answer.get("error", "")
        raise LoginRefused(
            "the provider did not log you in" + (f" ({reason})" if reason in _PROVIDER_ERRORS else "")
        )
    claims = provider.claims(
        code=answer["code"],
        redirect_uri=services.settings.base_url + CALLBACK_PATH,
        nonce=pending.nonce,
        verifier=pending.verifier,
    )
    return _log_in(services, claims)


def _checked_state(services: Services, begun: object, state: str) -> PendingSignOn:
    try:
        pending = PendingSignOn(**begun)  # type: ignore[arg-type]
    except TypeError as error:
        raise LoginRefused("no login was begun in this browser, or it was finished already") from error
    if not hmac.compare_digest(pending.state.encode(), state.encode()):
        raise LoginRefused("the answer belongs to another login")
    if not 0 <= services.clock.now().timestamp() - pending.at <= MAX_AGE_S:
        raise LoginRefused("the login took too long")
    return pending


def _log_in(services: Services, claims: Mapping[str, Any]) -> str:
    rules = services.rules.current().sign_on
    if rules is None:
        raise LoginRefused("single sign-on was switched off meanwhile")
    subject, role = f"{rules.issuer} {claims['sub']}", granted_role(rules, claims)
    if role is None:
        services.users.end_sign_on(subject)
        raise LoginRefused("your account has no role here; ask an admin for one")
    try:
        name = user_name(rules, claims)
    except ValueError as error:
        raise LoginRefused(str(error)) from error
    return services.users.sign_on(subject, name, role)
