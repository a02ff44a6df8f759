"""Setup of a Vendure shop for the connector: a role with the permissions that it needs, and its user.

`dam-connector connect pim vendure` lists both before it creates any. The token is `name:password` of an
administrator who may create administrators; the new user gets the password of the connection. Webhooks and
file types are code there: `BY_HAND` names them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.common.preparation import Preparation
from dam_connector.adapters.vendure.client import PERMISSIONS, VendureClient
from dam_connector.errors import ConfigError, Refused

ROLE, USER = "dam-connector", "dam-connector@example.com"
SECRET = "env/VENDURE_WEBHOOK_SECRET"
BY_HAND = (
    "Add the plugin of docs/connections/vendure.md to the shop; start it with DAM_WEBHOOK_URL (the address "
    "of our webhook) and DAM_WEBHOOK_SECRET (the secret of VENDURE_WEBHOOK_SECRET).",
    "In its configuration: `tokenMethod` with `bearer`, and `.glb` in `assetOptions.permittedFileTypes`.",
)
_ROLES_QUERY = """query Roles($code: String!) {
  roles(options: {filter: {code: {eq: $code}}}) { items { id permissions } } }"""
_USERS_QUERY = """query Users($name: String!) {
  administrators(options: {filter: {emailAddress: {eq: $name}}}) {
    items { id user { identifier roles { code } } } } }"""
_ADD_ROLE = "mutation AddRole($input: CreateRoleInput!) { createRole(input: $input) { id } }"
_CHANGE_ROLE = "mutation ChangeRole($input: UpdateRoleInput!) { updateRole(input: $input) { id } }"
_ADD_USER = """mutation AddUser($input: CreateAdministratorInput!) {
  createAdministrator(input: $input) { id } }"""


@dataclass(frozen=True, slots=True)
class _Shop:
    client: VendureClient
    user: str
    password: str

    def role(self) -> Mapping[str, Any] | None:
        """Return our role, or None."""
        return self._first(_ROLES_QUERY, {"code": ROLE}, "roles")

    def write_role(self) -> None:
        """Create our role, or give it the permissions that it lacks."""
        known, wanted = self.role(), list(PERMISSIONS)
        if known:
            permissions = sorted({*wanted, *known.get("permissions", ())})
            values = {"id": known["id"], "permissions": permissions}
            self.client.query(_CHANGE_ROLE, {"input": values}, "setup")
            return
        values = {"code": ROLE, "description": "DAM connector", "permissions": wanted}
        self.client.query(_ADD_ROLE, {"input": values}, "setup")

    def find_user(self) -> Mapping[str, Any] | None:
        """Return our user, or None."""
        return self._first(_USERS_QUERY, {"name": self.user}, "administrators")

    def create_user(self) -> None:
        """Create our user, with our role and the password of the connection."""
        role = self.role()
        if role is None:
            raise Refused("vendure", "setup", f"the role {ROLE} is gone")
        values: dict[str, Any] = {"firstName": "DAM", "lastName": "connector", "emailAddress": self.user}
        values |= {"password": self.password, "roleIds": [role["id"]]}
        self.client.query(_ADD_USER, {"input": values}, "setup")

    def _first(self, query: str, variables: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
        items = (self.client.query(query, variables, "setup").get(name) or {}).get("items") or ()
        return next(iter(items), None)


def prepare(options: Mapping[str, Any], context: AdapterContext, webhook_url: str) -> Iterator[Preparation]:
    """Yield the role and the user, and whether they exist.

    Args:
        options: the options of the connection in plugin.json; `token` as this module says.
        webhook_url: not used: the shop's own code has the address.

    Raises:
        ConfigError: the token is no name with a password.
        AdapterError: the shop cannot be reached, or its user may not create users.
    """
    name, colon, password = context.secret(str(options.get("token", "env/VENDURE_ADMIN"))).partition(":")
    if not colon:
        raise ConfigError("--token: its secret must be name:password of an administrator of the shop")
    client = VendureClient(context.http, str(options["base_url"]), name, password)
    own = context.secret(str(options.get("password", "env/VENDURE_PASSWORD")))
    shop = _Shop(client, _user(options), own)
    role = shop.role()
    lacks = [each for each in PERMISSIONS if role and each not in role.get("permissions", ())]
    difference = f", which lacks {', '.join(lacks)}" if lacks else ""
    yield Preparation(
        description=f"role `{ROLE}` with {len(PERMISSIONS)} permissions{difference}",
        exists=role is not None and not lacks,
        create=shop.write_role,
    )
    yield Preparation(
        description=f"user `{shop.user}` with this role",
        exists=shop.find_user() is not None,
        create=shop.create_user,
    )


def _user(options: Mapping[str, Any]) -> str:
    return str(options.get("user") or USER)


def entry(options: Mapping[str, Any], context: AdapterContext) -> dict[str, Any]:
    """Return the connection as plugin.json has it."""
    return {
        "adapter": "vendure",
        "base_url": options["base_url"],
        "user": _user(options),
        "secrets": options.get("secrets") or [SECRET],
    }
