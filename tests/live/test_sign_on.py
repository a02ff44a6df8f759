"""Single sign-on against a real OpenID provider (npm's oidc-provider), on our real service."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
import requests

from tests.live.openid_login import Browser
from tests.live.servers import INSTALLED, Connector, Server, free_port
from tests.openid_server import CLIENT, PEOPLE, RECORDED, SECRET

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (INSTALLED / "openid").exists(), reason="make live installs the provider"),
]


class OpenId(Server):
    """npm's oidc-provider, with people whose claims a test changes."""

    def __init__(self, folder: Path, redirect_uri: str, id_token_claims: bool) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        environ = {
            "PORT": str(port),
            "CLIENT_ID": CLIENT,
            "CLIENT_SECRET": SECRET,
            "REDIRECT_URI": redirect_uri,
            "ID_TOKEN_CLAIMS": "yes" if id_token_claims else "",
        }
        home = INSTALLED / "openid"
        health = f"{self.url}/.well-known/openid-configuration"
        super().__init__(["node", "server.js"], environ, home, folder / "log", health)

    def know(self, **people: dict[str, object]) -> None:
        assert requests.put(f"{self.url}/people", data=json.dumps(people), timeout=30).text == "ok"


class Site:
    """Our service and the provider that it trusts."""

    def __init__(self, folder: Path, id_token_claims: bool) -> None:
        port = free_port()
        redirect_uri = f"http://127.0.0.1:{port}/login/sign-on/callback"
        folder.mkdir()
        self.openid = OpenId(folder, redirect_uri, id_token_claims)
        self.openid.start()
        rules = {
            "name": "live",
            "version": "1.0.0",
            "connections": {"dam": {"library": {"adapter": "library"}}},
            "deliverables": [{"name": "packshot", "kind": "rendition", "formats": ["jpeg"]}],
            "sign_on": {
                "issuer": self.openid.url,
                "client_id": CLIENT,
                "client_secret": "env/OPENID_SECRET",
                "roles": {"admin": {"groups": ["dam-admins"]}, "reviewer": {"groups": ["dam-reviewers"]}},
                "passwords": False,
            },
        }
        secrets = {"OPENID_SECRET": SECRET, "DAM_CONNECTOR_LOGINS_PER_MINUTE": "1000"}
        self.connector = Connector(folder / "connector", port, rules, secrets)
        try:
            self.connector.start()
        except BaseException:
            self.openid.end()
            raise
        self.url = self.connector.url

    def end(self) -> None:
        self.connector.end()
        self.openid.end()


@pytest.fixture(scope="module", params=[False, True], ids=["claims by userinfo", "claims in the ID token"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("sign-on") / "site", request.param)
    yield made
    made.end()


def is_logged_in(site: Site, browser: Browser) -> bool:
    return browser.open(f"{site.url}/review").status_code == 200


def test_people_log_in_with_the_role_of_their_claims_until_it_is_taken(site: Site) -> None:
    site.openid.know(**PEOPLE)
    ann, rita, eve = Browser(), Browser(), Browser()
    page = ann.log_in(site.url, "ann")
    assert (page.status_code, page.url) == (200, f"{site.url}/products"), page.text
    assert rita.log_in(site.url, "rita").status_code == 200
    refused = eve.log_in(site.url, "eve")
    assert refused.status_code == 401 and "no role" in refused.text and not is_logged_in(site, eve)
    assert ann.open(f"{site.url}/audit").status_code == 200
    assert rita.open(f"{site.url}/audit").status_code == 403
    listed = site.connector.run("user", "list")
    assert (
        "ann@example.com\tadmin" in listed and "rita@example.com\treviewer" in listed and "eve" not in listed
    )

    site.openid.know(**{**PEOPLE, "ann": {**PEOPLE["ann"], "groups": ["dam-reviewers"]}, "rita": {}})
    assert Browser().log_in(site.url, "ann").status_code == 200
    assert ann.open(f"{site.url}/audit").status_code == 403  # the older session, too
    assert Browser().log_in(site.url, "rita").status_code == 401
    assert not is_logged_in(site, rita)
    log = site.connector.run("audit", "--format", "csv")
    assert "role admin to reviewer" in log and "user_removed,rita@example.com" in log


def test_logout_ends_our_session_and_passwords_are_off(site: Site) -> None:
    site.openid.know(**PEOPLE)
    browser = Browser()
    assert browser.log_in(site.url, "ann").status_code == 200
    token = browser.open(f"{site.url}/account").text.split('name="csrf_token" value="')[1].split('"')[0]
    reply = browser.session.post(
        f"{site.url}/logout", data={"csrf_token": token}, headers={"Referer": site.url}, timeout=30
    )
    assert "Log in with single sign-on" in reply.text and 'name="password"' not in reply.text
    assert not is_logged_in(site, browser)


def test_an_answer_counts_once_and_in_its_own_browser(site: Site) -> None:
    site.openid.know(**PEOPLE)
    browser = Browser()
    assert browser.log_in(site.url, "ann").status_code == 200
    callback = next(r.url for r in browser.visited if "/login/sign-on/callback" in r.url)
    assert set(parse_qs(urlsplit(callback).query)) >= {"code", "state", "iss"}
    for thief in (browser, Browser()):
        assert thief.open(callback).status_code == 401
    other = Browser()
    location = other.open(f"{site.url}/login/sign-on").headers["location"]
    state = parse_qs(urlsplit(location).query)["state"][0]
    code = parse_qs(urlsplit(callback).query)["code"][0]
    forged = f"{site.url}/login/sign-on/callback?code={code}&state={state}&iss={site.openid.url}"
    reply = other.open(forged)
    assert reply.status_code == 401 and "invalid_grant" in reply.text


def test_the_recording_is_what_the_provider_answers(site: Site) -> None:
    """`tests/openid_server.py` answers by the recording; see which of its answers no longer hold."""
    site.openid.know(**PEOPLE)
    browser = Browser()
    assert browser.log_in(site.url, "ann").status_code == 200
    discovery = requests.get(f"{site.openid.url}/.well-known/openid-configuration", timeout=30).json()
    assert discovery == json.loads(json.dumps(RECORDED["discovery"]).replace("BASE", site.openid.url))
    (key,) = requests.get(discovery["jwks_uri"], timeout=30).json()["keys"]
    assert {**key, "n": "MODULUS"} == RECORDED["key"]
    callback = next(r.url for r in browser.visited if "/login/sign-on/callback" in r.url)
    asked = parse_qs(urlsplit(callback).query)
    assert list(asked) == RECORDED["callback_parameters"]
    form = {
        "grant_type": "authorization_code",
        "code": asked["code"][0],
        "redirect_uri": f"{site.url}/login/sign-on/callback",
        "code_verifier": "v" * 50,
    }
    for secret, answer in ((SECRET, "used_code"), ("wrong", "wrong_secret")):
        reply = requests.post(
            discovery["token_endpoint"],
            data=form,
            auth=(quote_plus(CLIENT), quote_plus(secret)),
            timeout=30,
        )
        assert {"status": reply.status_code, "body": reply.json()} == RECORDED[answer]
