"""The application on test services, and clients for it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.app import create_app
from dam_connector.domain.run import RunState
from dam_connector.store import users
from dam_connector.store.users import UserRole
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.openid_server import CLIENT, SECRET, OpenIdServer
from tests.support import PhotoServer, TestClock, picture, product
from tests.web.sign_on_visits import ROLES


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A stranger."""
    return app.test_client()


@pytest.fixture
def api(app: Flask, services: Services) -> Callable[[str], FlaskClient]:
    """A client with the bearer token of a role."""

    def of(role: str) -> FlaskClient:
        token = services.users.add_token(services.users.add(role, UserRole(role)), "test")
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    return of


@pytest.fixture
def browser_like(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], FlaskClient]:
    """A client that is logged in by session, without CSRF checks on its forms.

    Its password is hashed like any other, but with less work.
    """
    quick = partial(users.generate_password_hash, method="scrypt:1024:8:1")
    monkeypatch.setattr(users, "generate_password_hash", quick)
    app.config["WTF_CSRF_ENABLED"] = False

    def of(role: str) -> FlaskClient:
        user = services.users.add(role, UserRole(role), "a long enough password")
        client = app.test_client()
        assert (
            client.post("/login", data={"name": user.name, "password": "a long enough password"}).status_code
            == 302
        )
        return client

    return of


@pytest.fixture
def failed(services: Services, photos: PhotoServer) -> list[str]:
    """Three failed runs of two causes."""
    photos.files["front.jpg"] = picture()
    images = {"front": photos.url("front.jpg")}
    for number, cause in enumerate(["no photo", "no photo", "<b>no credit</b>"]):
        intake.add_product(services, product(f"F{number}", images=images), by="test")
        for run in services.runs.page(sku=f"F{number}"):
            leased = services.runs.lease(run.id, "test", 60)
            assert leased
            services.runs.finish(leased, RunState.FAILED, error=cause)
    return [run.id for run in services.runs.page(state="failed")]


@pytest.fixture
def server(clock: TestClock) -> Iterator[OpenIdServer]:
    made = OpenIdServer(clock)
    yield made
    made.stop()


@pytest.fixture
def trust(services: Services, write_rules: Callable[..., None], server: OpenIdServer) -> Callable[..., None]:
    """Write plugin.json with the provider in it."""
    services.settings.environ["OPENID_SECRET"] = SECRET  # type: ignore[index]

    def write(**changes: Any) -> None:
        section = {"issuer": server.url, "client_id": CLIENT, "client_secret": "env/OPENID_SECRET"}
        write_rules(sign_on={**section, "roles": ROLES, **changes})

    write()
    return write
