"""An OpenID provider: its discovery, the address that people log in at, and the claims about them.

OpenID Connect Core 1.0 with the authorization code and PKCE (RFC 7636). All requests go through the one
outgoing client. Authlib checks the claims of an ID token, and joserfc its signature.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.sign_on import MAX_SUBJECT, SignOnRules
from dam_connector.errors import BadOutput, Busy, ConnectorError, LoginRefused, SubmitUnknown, Unavailable

VENDOR = "single sign-on"
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
DISCOVERY_PATH = "/.well-known/openid-configuration"
TIMEOUT_S = 5.0  # for each request
MAX_LOGINS = 4  # that wait for the provider at once; each holds a thread of the web server
CACHE_S = 600.0  # for the discovery and the keys
PAUSE_S = 10.0  # after a failure, and between two readings of the keys
LEEWAY_S = 60  # by which clocks may differ
MAX_BYTES = 262_144  # of each answer
MAX_TOKEN = 65_536  # characters of an ID token


class _Cached:
    """An answer of the provider that is read again after a while, and not soon after a failure."""

    def __init__(self, read: Callable[[], dict[str, Any]]) -> None:
        self._read, self._lock = read, threading.Lock()
        self._found: dict[str, Any] | None = None
        self._at = float("-inf")
        self._error: ConnectorError | None = None

    def get(self, max_age_s: float = CACHE_S) -> dict[str, Any]:
        with self._lock:
            age_s = time.monotonic() - self._at
            if self._error is not None and age_s < PAUSE_S:
                raise self._error
            if self._found is None or age_s >= max_age_s:
                self._at = time.monotonic()
                try:
                    self._found, self._error = self._read(), None
                except ConnectorError as error:
                    self._error = error
                    raise
            return self._found


class OpenIdProvider:
    """The OpenID provider that plugin.json names under `sign_on`."""

    def __init__(self, rules: SignOnRules, context: AdapterContext) -> None:
        """Create a client of the provider; nothing is sent yet.

        Raises:
            ConfigError: the client's secret is not in the environment.
        """
        self._rules, self._http, self._clock = rules, context.http, context.clock
        self._secret = context.secret(rules.client_secret) if rules.client_secret else ""
        self._metadata, self._keys = _Cached(self._discover), _Cached(self._read_keys)
        self._slots = threading.BoundedSemaphore(MAX_LOGINS)
        context.http.allow_port(rules.issuer)

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return the address at which a person logs in.

        Args:
            redirect_uri: our address that the provider sends the person back to.
            state: comes back with the person.
            nonce: comes back in the ID token.
            verifier: the secret that only the exchange of the code will show.

        Raises:
            Unavailable: the provider does not answer.
            Busy: too many logins run at once.
            BadOutput: its discovery is wrong.
        """
        with self._slot():
            metadata = self._metadata.get()
        parameters = {
            "response_type": "code",
            "client_id": self._rules.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._rules.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        return str(add_params_to_uri(metadata["authorization_endpoint"], list(parameters.items())))

    def check_issuer(self, issuer: str | None) -> None:
        """Check the parameter `iss` that a person came back with (RFC 9207).

        Raises:
            LoginRefused: it names another provider, or lacks although this provider always sends it.
        """
        with self._slot():
            promised = self._metadata.get().get("authorization_response_iss_parameter_supported") is True
        if issuer != self._rules.issuer and (issuer is not None or promised):
            raise LoginRefused("the answer came from another provider")

    def claims(self, *, code: str, redirect_uri: str, nonce: str, verifier: str) -> dict[str, Any]:
        """Exchange a code for the claims about the person; those of the ID token come first.

        Args:
            code: the authorization code.
            redirect_uri: the same address as before.
            nonce: the nonce of this login.
            verifier: the secret of this login.

        Raises:
            LoginRefused: the code or the ID token is not accepted.
            Unavailable: the provider does not answer.
            Busy: too many logins run at once.
            BadOutput: the provider's answer is broken.
        """
        with self._slot():
            answer = self._exchange(code, redirect_uri, verifier)
            token, access_token = answer.get("id_token"), answer.get("access_token")
            if not isinstance(token, str) or len(token) > MAX_TOKEN:
                raise LoginRefused("the provider gave no ID token")
            claims = self._verified(token, nonce, access_token)
            if self._needs_user_info(claims) and isinstance(access_token, str):
                claims = {**self._user_info(access_token, claims["sub"]), **claims}
        return claims

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(blocking=False):
            raise Busy(VENDOR, "login", "too many logins wait for the provider", retry_after_s=PAUSE_S)
        try:
            yield
        finally:
            self._slots.release()

    def _get(self, operation: str, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        response = self._http.request(
            "GET",
            url,
            vendor=VENDOR,
            operation=operation,
            headers={"Accept": "application/json", **(headers or {})},
            max_bytes=MAX_BYTES,
            timeout_s=TIMEOUT_S,
        )
        if response.status != 200:
            raise Unavailable(VENDOR, operation, f"HTTP {response.status}")
        return response.json(VENDOR, operation)

    def _discover(self) -> dict[str, Any]:
        found = self._get("discovery", self._rules.issuer.rstrip("/") + DISCOVERY_PATH)
        if found.get("issuer") != self._rules.issuer:
            raise BadOutput(
                VENDOR,
                "discovery",
                f"the provider's issuer is {str(found.get('issuer'))[:200]!r}; write that",
            )
        is_secure = self._rules.issuer.startswith("https:")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not _is_address(found.get(name), is_secure):
                raise BadOutput(VENDOR, "discovery", f"{name} is missing or no https address")
        if not _is_address(found.get("userinfo_endpoint"), is_secure):
            found.pop("userinfo_endpoint", None)
        return found

    def _read_keys(self) -> dict[str, Any]:
        return self._get("keys", self._metadata.get()["jwks_uri"])

    def _exchange(self, code: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        metadata = self._metadata.get()
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        url, headers, body = self._client_auth(metadata).prepare(
            "POST",
            metadata["token_endpoint"],
            {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"},
            urlencode(fields),
        )
        try:
            response = self._http.request(
                "POST",
                url,
                vendor=VENDOR,
                operation="token",
                headers=headers,
                content=body.encode(),
                max_bytes=MAX_BYTES,
                timeout_s=TIMEOUT_S,
            )
        except (SubmitUnknown, Unavailable) as error:
            raise Unavailable(VENDOR, "token", "no complete answer; log in again") from error
        if response.status >= 500:
            raise Unavailable(VENDOR, "token", f"HTTP {response.status}")
        if response.status != 200:
            raise LoginRefused(f"the provider refused the login ({_error_text(response.body)})")
        return response.json(VENDOR, "token")

    def _client_auth(self, metadata: Mapping[str, Any]) -> ClientAuth:
        """Return how the client proves itself: by HTTP Basic unless the provider takes only a form field."""
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if not self._secret:
            return ClientAuth(self._rules.client_id, None, "none")
        if "client_secret_basic" not in methods and "client_secret_post" in methods:
            return ClientAuth(self._rules.client_id, self._secret, "client_secret_post")
        return ClientAuth(quote_plus(self._rules.client_id), quote_plus(self._secret), "client_secret_basic")

    def _verified(self, token: str, nonce: str, access_token: Any) -> dict[str, Any]:
        """Return the claims of an ID token of this login."""
        try:
            decoded = self._decoded(token)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options={
                    "iss": {"essential": True, "value": self._rules.issuer},
                    "aud": {"essential": True, "value": self._rules.client_id},
                },
                params={
                    "nonce": nonce,
                    "client_id": self._rules.client_id,
                    "access_token": access_token if isinstance(access_token, str) else "",
                },
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise LoginRefused(f"the provider's ID token is not accepted ({_reason(error)})") from error
        if not 0 < len(str(claims["sub"])) <= MAX_SUBJECT:
            raise LoginRefused("the provider's ID token names nobody")
        return dict(claims)

    def _decoded(self, token: str) -> jwt.Token:
        header = jws.extract_compact(token.encode()).headers()
        keys = self._fitting_keys(header, CACHE_S)
        if not keys:  # the provider has a new key
            keys = self._fitting_keys(header, PAUSE_S)
        for key in keys:
            try:
                return jwt.decode(token, key, algorithms=list(ALGORITHMS))
            except JoseError:
                if key is keys[-1]:
                    raise
        raise ValueError("it is signed with no key of the provider")

    def _fitting_keys(self, header: Mapping[str, Any], max_age_s: float) -> list[Any]:
        """Return the provider's public keys for signatures that a token's header may mean."""
        found, kid = [], header.get("kid")
        listed = self._keys.get(max_age_s).get("keys")
        for data in listed if isinstance(listed, list) else []:
            if not isinstance(data, dict) or data.get("kty") == "oct" or data.get("use", "sig") != "sig":
                continue
            if kid is not None and data.get("kid") != kid:
                continue
            try:
                found.append(jwk.import_key(data))
            except (JoseError, ValueError, TypeError, KeyError):
                continue  # of a kind that we do not know
        return found

    def _needs_user_info(self, claims: Mapping[str, Any]) -> bool:
        needed = {name.split(".")[0] for name in self._rules.claims()} | self._rules.claims()
        return any(name not in claims for name in needed) and "userinfo_endpoint" in self._metadata.get()

    def _user_info(self, access_token: str, subject: str) -> dict[str, Any]:
        """Return the claims that the provider gives only at a further request."""
        url = self._metadata.get()["userinfo_endpoint"]
        if not access_token.isascii() or not access_token.isprintable():
            raise BadOutput(VENDOR, "userinfo", "the access token cannot be sent")
        found = self._get("userinfo", url, {"Authorization": f"Bearer {access_token}"})
        if found.get("sub") != subject:
            raise LoginRefused("the provider's answers are about two persons")
        return found


def _is_address(value: Any, is_secure: bool) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in (("https",) if is_secure else ("http", "https")) and bool(parts.hostname)


def _error_text(body: bytes) -> str:
    """Return the error code of a token endpoint, e.g. `invalid_grant`."""
    text = body[:500].decode("ascii", "replace")
    for code in (
        "invalid_grant",
        "invalid_client",
        "unauthorized_client",
        "invalid_request",
        "invalid_scope",
    ):
        if code in text:
            return code
    return "no known reason"


def _reason(error: Exception) -> str:
    return str(getattr(error, "description", "") or error or type(error).__name__)[:200]
