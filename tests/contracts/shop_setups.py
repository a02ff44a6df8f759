"""Fakes of Saleor and Vendure before and after a setup: apps and webhooks, roles and users."""

import re
from typing import Any

from tests.contracts.pim_servers import FakePimReply
from tests.contracts.shop_pims import SALEOR_DENIED

STAFF, STAFF_TOKEN = {"email": "admin@example.com", "password": "word"}, "staff-token"
ADMIN = {"name": "superadmin", "password": "word"}


class FakeSaleorApps:
    """The apps of a fake Saleor. The first one has a token."""

    def __init__(self, *names: str) -> None:
        self.apps = [self._app(number, name) for number, name in enumerate(names, 1)]

    def _app(self, number: int, name: str) -> dict[str, Any]:
        return {"id": f"app-{number}", "name": name, "webhooks": []}

    def __call__(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
    ) -> FakePimReply:
        found = re.match(r"\s*(?:query|mutation)\s+(\w+)", body["query"])
        assert found
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if found[1] == "OwnApp" and (token != "app-token" or not self.apps):
            return 200, SALEOR_DENIED, {}
        return 200, {"data": getattr(self, f"_{found[1].lower()}")(token, **body["variables"])}, {}

    def _login(self, token: str, **given: str) -> Any:
        assert token == ""
        wrong = {"field": None, "message": "Please, enter valid credentials"}
        good = given == STAFF
        return {"tokenCreate": {"token": STAFF_TOKEN if good else None, "errors": [] if good else [wrong]}}

    def _ownapp(self, token: str) -> Any:
        return {"app": self.apps[0]}

    def _apps(self, token: str, name: str) -> Any:
        assert token == STAFF_TOKEN
        return {"apps": {"edges": [{"node": app} for app in self.apps if name in app["name"]]}}

    def _addapp(self, token: str, input: dict[str, Any]) -> Any:
        assert token == STAFF_TOKEN and input["permissions"] == ["MANAGE_PRODUCTS"]
        self.apps.append(self._app(len(self.apps) + 1, input["name"]))
        return {"appCreate": {"app": {"id": self.apps[-1]["id"]}, "errors": []}}

    def _addwebhook(self, token: str, input: dict[str, Any]) -> Any:
        (app,) = [each for each in self.apps if each["id"] == input["app"]]
        new = {"id": f"hook-{len(app['webhooks'])}", "name": input["name"], "targetUrl": input["targetUrl"]}
        app["webhooks"].append({**new, **self._values(input)})
        return {"webhookCreate": {"errors": []}}

    def _changewebhook(self, token: str, id: str, input: dict[str, Any]) -> Any:
        (hook,) = [each for app in self.apps for each in app["webhooks"] if each["id"] == id]
        hook |= self._values(input)
        return {"webhookUpdate": {"errors": []}}

    def _values(self, input: dict[str, Any]) -> dict[str, Any]:
        return {
            "isActive": input["isActive"],
            "subscriptionQuery": input["query"],
            "asyncEvents": [{"eventType": each} for each in input["asyncEvents"]],
        }


class FakeVendureRoles:
    """The roles and administrators of a fake Vendure."""

    def __init__(self) -> None:
        self.roles: list[dict[str, Any]] = []
        self.users: list[dict[str, Any]] = []

    def __call__(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
    ) -> FakePimReply:
        found = re.match(r"\s*(?:query|mutation)\s+(\w+)", body["query"])
        assert found
        if found[1] == "Login":
            good = body["variables"] == ADMIN
            kind = "CurrentUser" if good else "InvalidCredentialsError"
            token = {"vendure-auth-token": "session"} if good else {}
            return 200, {"data": {"login": {"__typename": kind}}}, token
        assert headers["authorization"] == "Bearer session"
        return 200, {"data": getattr(self, f"_{found[1].lower()}")(**body["variables"])}, {}

    def _roles(self, code: str) -> Any:
        found = [each for each in self.roles if each["code"] == code]
        return {"roles": {"items": [{"id": e["id"], "permissions": e["permissions"]} for e in found]}}

    def _addrole(self, input: dict[str, Any]) -> Any:
        permissions = ["Authenticated", *input["permissions"]]
        self.roles.append({"id": "2", "code": input["code"], "permissions": permissions})
        return {"createRole": {"id": "2"}}

    def _changerole(self, input: dict[str, Any]) -> Any:
        (role,) = [each for each in self.roles if each["id"] == input["id"]]
        role["permissions"] = input["permissions"]
        return {"updateRole": {"id": input["id"]}}

    def _users(self, name: str) -> Any:
        found = [each for each in self.users if each["user"]["identifier"] == name]
        return {"administrators": {"items": found}}

    def _adduser(self, input: dict[str, Any]) -> Any:
        assert input["password"] == "own-word" and input["roleIds"] == ["2"]
        user = {"identifier": input["emailAddress"], "roles": [{"code": "dam-connector"}]}
        self.users.append({"id": "3", "user": user})
        return {"createAdministrator": {"id": "3"}}
