"""Visits of people who log in by single sign-on, and what comes of them."""

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dam_connector.wiring import Services
from tests.openid_server import OpenIdServer, callback

ROLES = {"admin": {"groups": ["dam-admins"]}, "reviewer": {"groups": ["dam-reviewers"]}}


def begin(client: FlaskClient, target: str = "") -> str:
    """Press the button; return the provider's address."""
    reply = client.get("/login/sign-on", query_string={"next": target})
    assert reply.status_code == 302, reply.text
    return str(reply.headers["Location"])


def log_in(app: Flask, server: OpenIdServer, person: str = "ann") -> tuple[FlaskClient, TestResponse]:
    client = app.test_client()
    return client, client.get(callback(server.approve(begin(client), person)))


def is_logged_in(client: FlaskClient) -> bool:
    return client.get("/review").status_code == 200


def roles(services: Services) -> dict[str, str]:
    return {user.name: user.role.value for user in services.users.all()}


def actions(services: Services) -> list[tuple[str, str, str, str]]:
    return [(e.action, e.by, e.subject, e.detail) for e in services.audit.page() if "rules" not in e.action]
