"""Setup of a Saleor shop for the connector: its app, and the app's webhook.

`dam-connector connect pim saleor` lists both before it creates any. The token is the one of the app, which
may set up its own webhook, or `email:password` of a staff user with *Manage apps* and *Manage products*, who
may create the app too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.common.graphql import nodes
from dam_connector.adapters.common.preparation import Preparation
from dam_connector.adapters.saleor.client import PERMISSION, SaleorClient, api_url_option
from dam_connector.adapters.saleor.webhooks import (
    APP_FIELDS,
    EVENTS,
    OWN_APP_QUERY,
    SUBSCRIPTION,
    missing_events,
)
from dam_connector.errors import Refused

APP_NAME = "dam-connector"
BY_HAND = (
    f"Dashboard, Extensions, the app `{APP_NAME}`: create a token and put it into SALEOR_TOKEN.",
    "Let Saleor's Celery worker run: it delivers the webhooks.",
)
_APPS_QUERY = f"""query Apps($name: String!) {{
  apps(first: 100, filter: {{search: $name}}) {{ edges {{ node {{ {APP_FIELDS} }} }} }} }}"""
_LOGIN = """mutation Login($email: String!, $password: String!) {
  tokenCreate(email: $email, password: $password) { token errors { field message } } }"""
_ADD_APP = """mutation AddApp($input: AppInput!) {
  appCreate(input: $input) { app { id } errors { field message } } }"""
_ADD_WEBHOOK = """mutation AddWebhook($input: WebhookCreateInput!) {
  webhookCreate(input: $input) { errors { field message } } }"""
_CHANGE_WEBHOOK = """mutation ChangeWebhook($id: ID!, $input: WebhookUpdateInput!) {
  webhookUpdate(id: $id, input: $input) { errors { field message } } }"""


@dataclass(frozen=True, slots=True)
class _Shop:
    """The shop, asked by our app or by a staff user."""

    client: SaleorClient
    is_staff: bool

    def app(self) -> Mapping[str, Any] | None:
        """Return our app with its webhooks, or None."""
        if not self.is_staff:
            return self.client.own_app(OWN_APP_QUERY, "setup")
        found = self.client.query(_APPS_QUERY, {"name": APP_NAME}, "setup").get("apps")
        return next((app for app in nodes(found) if app.get("name") == APP_NAME), None)

    def create_app(self) -> None:
        """Create our app with the one permission that it needs."""
        self._write(_ADD_APP, {"input": {"name": APP_NAME, "permissions": [PERMISSION]}}, "appCreate")

    def write_webhook(self, webhook_url: str, known_id: str) -> None:
        """Create the webhook, or bring the one that exists in line."""
        values = {"asyncEvents": list(EVENTS), "query": SUBSCRIPTION, "isActive": True}
        if known_id:
            self._write(_CHANGE_WEBHOOK, {"id": known_id, "input": values}, "webhookUpdate")
            return
        app = self.app()
        if app is None:
            raise Refused("saleor", "setup", f"the app {APP_NAME} is gone")
        new = {**values, "name": APP_NAME, "targetUrl": webhook_url, "app": app["id"]}
        self._write(_ADD_WEBHOOK, {"input": new}, "webhookCreate")

    def _write(self, mutation: str, variables: Mapping[str, Any], name: str) -> None:
        self.client.mutation_result(self.client.query(mutation, variables, "setup"), name, "setup")


def prepare(options: Mapping[str, Any], context: AdapterContext, webhook_url: str) -> Iterator[Preparation]:
    """Yield the app and its webhook, and whether they exist.

    Args:
        options: the options of the connection in plugin.json; `token` as this module says.
        webhook_url: the address to which the webhook delivers.

    Raises:
        AdapterError: the shop cannot be reached, or the token may not do this.
    """
    shop = _open(options, context)
    app = shop.app()
    yield Preparation(description=f"app `{APP_NAME}`", exists=app is not None, create=shop.create_app)
    webhooks = (app or {}).get("webhooks") or ()
    found = next((each for each in webhooks if each.get("targetUrl") == webhook_url), None)
    state = _difference(found) if found else ""
    yield Preparation(
        description=f"webhook for {len(EVENTS)} events to {webhook_url}{state and f', {state}'}",
        exists=found is not None and not state,
        create=partial(shop.write_webhook, webhook_url, str(found["id"]) if found else ""),
    )


def _difference(webhook: Mapping[str, Any]) -> str:
    """Return in words how a webhook differs from the one that is needed; empty if it does not."""
    if not webhook.get("isActive"):
        return "which is switched off"
    if missing_events(webhook):
        return "which misses events"
    is_same = str(webhook.get("subscriptionQuery") or "").split() == SUBSCRIPTION.split()
    return "" if is_same else "whose subscription is another one"


def _open(options: Mapping[str, Any], context: AdapterContext) -> _Shop:
    api_url = _api_url(options)
    secret = context.secret(str(options.get("token", "env/SALEOR_TOKEN")))
    email, colon, password = secret.partition(":")
    if not colon:
        return _Shop(SaleorClient(context.http, api_url, secret), is_staff=False)
    stranger = SaleorClient(context.http, api_url, "")
    data = stranger.query(_LOGIN, {"email": email, "password": password}, "login")
    token = stranger.mutation_result(data, "tokenCreate", "login").get("token")
    return _Shop(SaleorClient(context.http, api_url, str(token)), is_staff=True)


def _api_url(options: Mapping[str, Any]) -> str:
    """Return the address of the GraphQL API; the command has the shop's address as `base_url`."""
    given = str(options.get("base_url") or options.get("api_url") or "").rstrip("/")
    url = f"{given}/" if given.endswith("/graphql") else f"{given}/graphql/"
    return api_url_option({"api_url": url})


def entry(options: Mapping[str, Any], context: AdapterContext) -> dict[str, Any]:
    """Return the connection as plugin.json has it, with our app's id."""
    app = _open(options, context).app()
    return {"adapter": "saleor", "api_url": _api_url(options), "app_id": str((app or {}).get("id", ""))}
