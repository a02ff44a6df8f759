"""Setup of a Directus for the connector: collections, a folder view, roles for reviewers and for us, a flow.

`dam-connector connect dam directus` lists the missing records before it creates any. Every id is derived
from a name, so that a second run finds the records of the first one.
"""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from dam_connector.adapters.common.api_client import ApiClient
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.common.preparation import Preparation
from dam_connector.errors import NotFound, Refused

ID_NAMESPACE = uuid.UUID("0f3f1a52-7d52-5c0e-8f8a-3d0b6b1f9a44")  # our own, for ids derived from names
REVIEW_STATES = {"in_review": "In review", "approved": "Approved", "rejected": "Rejected"}
LATER_STATES = {  # the connector sets them; reviewers may set `withdrawn` too
    "published": "Published",
    "superseded": "Superseded",
    "withdrawn": "Withdrawn",
}
TEXT_FIELDS = (
    "sku",
    "name",
    "category",
    "deliverable",
    "slot",
    "version",
    "title",
    "generator",
    "made_with",
    "prompt",
    "report",
    "decided_by",
)
SECRET_IN_FLOW = "{{$env.CONNECTOR_SECRET}}"
VERSIONS_FLOW, PHOTOS_FLOW = "Notify dam-connector", "Notify dam-connector of photos"
BODIES = {  # of the requests that flows send; an upload has one key, a change or a deletion has several
    VERSIONS_FLOW: '{"collection": "{{$trigger.collection}}", "keys": {{$trigger.keys}}}',
    PHOTOS_FLOW: "{{$trigger}}",
}
BY_HAND = (
    "Give reviewers the role `DAM reviewer` (Settings, Users).",
    "Create a user with the role `DAM connector` and a static token. Store that token where plugin.json "
    "refers to; the role has only the permissions that the connector needs.",
    "Start Directus with CONNECTOR_SECRET=(the webhook_secret) and FLOWS_ENV_ALLOW_LIST=CONNECTOR_SECRET, so "
    "that its flow can send the secret. Add IMPORT_IP_DENY_LIST= where this connector has a private address.",
)


class _SetupClient(ApiClient):
    vendor = "directus"

    def exists(self, path: str) -> bool:
        """Return whether a record exists; Directus answers 403 for one that does not."""
        try:
            return bool(self.request_json("GET", path, "setup").get("data"))
        except (NotFound, Refused):
            return False

    def create(self, path: str, body: Mapping[str, Any]) -> None:
        self.request("POST", path, "setup", json=body)

    def preparation(
        self, description: str, record_path: str, create_path: str, body: Mapping[str, Any]
    ) -> Preparation:
        """Look for a record; return it with the request that creates it."""
        return Preparation(
            description=description,
            exists=self.exists(record_path),
            create=lambda: self.create(create_path, body),
        )


def prepare(options: Mapping[str, Any], context: AdapterContext, webhook_url: str) -> Iterator[Preparation]:
    """Yield everything that the connector needs in Directus, and whether it exists.

    Args:
        options: the options of the connection in plugin.json; its token must be an admin's.
        webhook_url: the address that the flow calls when somebody changes a row.

    Raises:
        AdapterError: Directus cannot be reached, or the token is not an admin's.
    """
    token = context.secret(str(options.get("token", "env/DIRECTUS_TOKEN")))
    client = _SetupClient(context.http, str(options["base_url"]), {"Authorization": f"Bearer {token}"})
    user_path = "/users/me?fields=role.id,role.policies.policy.admin_access"
    if not (client.request_json("GET", user_path, "setup").get("data") or {}).get("role"):
        raise Refused(
            "directus",
            "setup",
            "the token is not an admin's; set up with an admin's token, and run with the connector's own",
        )
    name = str(options.get("collection", "asset_versions"))
    yield client.preparation(
        f"collection `{name}`: a row for each version",
        f"/collections/{name}",
        "/collections",
        version_collection(name),
    )
    junction = f"{name}_files"
    yield client.preparation(
        f"collection `{junction}`: which files belong to which version",
        f"/collections/{junction}",
        "/collections",
        files_collection(name),
    )
    for relation in relations(name):
        place = f"{relation['collection']}/{relation['field']}"
        description = f"relation {relation['collection']}.{relation['field']}"
        yield client.preparation(description, f"/relations/{place}", "/relations", relation)
    yield _card_view(client, name)
    for role, permissions in ROLES.items():
        yield from _role(client, role, permissions(name))
    yield _flow(client, VERSIONS_FLOW, webhook_url, scope=["items.update"], collections=[name])
    if options.get("sources"):
        scope = ["files.upload", "items.update", "items.delete"]
        yield _flow(client, PHOTOS_FLOW, webhook_url, scope=scope, collections=["directus_files"])


def entry(options: Mapping[str, Any], context: AdapterContext) -> dict[str, Any]:
    """Return the connection as plugin.json has it."""
    secrets = {"token": "env/DIRECTUS_TOKEN", "webhook_secret": "env/DIRECTUS_HOOK"}
    return {"adapter": "directus", "base_url": options["base_url"], **secrets}


def _derived_id(name: str) -> str:
    return str(uuid.uuid5(ID_NAMESPACE, name))


def _field(
    name: str, kind: str, *, width: str = "half", interface: str = "input", **more: Any
) -> dict[str, Any]:
    return {
        "field": name,
        "type": kind,
        "meta": {"width": width, "interface": interface, **more.pop("meta", {})},
        **more,
    }


def version_collection(name: str) -> dict[str, Any]:
    """Return the collection with a row for each version; the fields for reviewers come first."""
    preview = {"special": ["file"], "readonly": True, "display": "image", "options": {"crop": False}}
    states = [{"text": text, "value": value} for value, text in {**REVIEW_STATES, **LATER_STATES}.items()]
    fields = [
        _field("id", "uuid", schema={"is_primary_key": True}, meta={"hidden": True, "readonly": True}),
        _field(
            "external_id",
            "string",
            schema={"is_unique": True, "is_nullable": False},
            meta={"hidden": True, "readonly": True},
        ),
        _field("preview", "uuid", interface="file-image", width="full", meta=preview),
        _field(
            "status",
            "string",
            interface="select-dropdown",
            meta={"options": {"choices": states}, "display": "labels"},
        ),
        _field("reject_reason", "text", interface="input-multiline", width="full"),
        *[_field(text, "text", meta={"readonly": True}) for text in TEXT_FIELDS],
        _field("review_url", "text", width="full", meta={"readonly": True}),
        _field(
            "files", "alias", interface="files", width="full", meta={"special": ["files"], "readonly": True}
        ),
        _field(
            "date_created",
            "timestamp",
            interface="datetime",
            meta={"special": ["date-created"], "hidden": True},
        ),
        _field(
            "date_updated",
            "timestamp",
            interface="datetime",
            meta={"special": ["date-updated"], "hidden": True},
        ),
        _field(
            "user_updated",
            "uuid",
            interface="select-dropdown-m2o",
            meta={"special": ["user-updated"], "hidden": True},
        ),
    ]
    meta = {
        "icon": "view_in_ar",
        "note": "Assets from dam-connector, for review",
        "display_template": "{{title}} {{status}}",
        "sort_field": None,
    }
    return {"collection": name, "schema": {}, "meta": meta, "fields": fields}


def files_collection(name: str) -> dict[str, Any]:
    """Return the junction collection that assigns files to versions."""
    fields = [
        _field(
            "id",
            "integer",
            schema={"is_primary_key": True, "has_auto_increment": True},
            meta={"hidden": True},
        ),
        _field(f"{name}_id", "uuid", meta={"hidden": True}),
        _field("directus_files_id", "uuid", meta={"hidden": True}),
    ]
    return {
        "collection": f"{name}_files",
        "schema": {},
        "meta": {"hidden": True, "icon": "import_export"},
        "fields": fields,
    }


def relations(name: str) -> list[dict[str, Any]]:
    """Return the relations between versions, files and users."""
    junction = f"{name}_files"
    ends = {"one_field": "files", "junction_field": "directus_files_id"}
    return [
        {
            "collection": junction,
            "field": f"{name}_id",
            "related_collection": name,
            "meta": ends,
            "schema": {"on_delete": "CASCADE"},
        },
        {
            "collection": junction,
            "field": "directus_files_id",
            "related_collection": "directus_files",
            "meta": {"junction_field": f"{name}_id"},
            "schema": {"on_delete": "CASCADE"},
        },
        {
            "collection": name,
            "field": "preview",
            "related_collection": "directus_files",
            "schema": {"on_delete": "SET NULL"},
        },
        {
            "collection": name,
            "field": "user_updated",
            "related_collection": "directus_users",
            "schema": {"on_delete": "SET NULL"},
        },
    ]


def _read_permissions(*collections: str) -> list[dict[str, Any]]:
    return [
        {"collection": each, "action": "read", "permissions": {}, "fields": ["*"]} for each in collections
    ]


def _reviewer_permissions(name: str) -> list[dict[str, Any]]:
    """Return the permissions of reviewers.

    They read everything. They approve or reject versions in review, and withdraw published ones.
    """
    changeable = {"_or": [{"status": {"_in": ["in_review"]}}, {"status": {"_eq": "published"}}]}
    allowed = {"status": {"_in": ["approved", "rejected", "withdrawn"]}}
    update = {
        "collection": name,
        "action": "update",
        "permissions": changeable,
        "validation": allowed,
        "fields": ["status", "reject_reason"],
    }
    return [*_read_permissions(name, f"{name}_files", "directus_files", "directus_folders"), update]


def _connector_permissions(name: str) -> list[dict[str, Any]]:
    """Return the permissions of the connector: all on its own collections and files, the names of users."""
    writes: list[dict[str, Any]] = [
        {"collection": each, "action": action, "permissions": {}, "fields": ["*"]}
        for each in (name, f"{name}_files", "directus_files", "directus_folders")
        for action in ("create", "update", "delete")
    ]
    users = {
        "collection": "directus_users",
        "action": "read",
        "permissions": {},
        "fields": ["id", "first_name", "last_name", "email"],
    }
    return [*_read_permissions(name, f"{name}_files", "directus_files", "directus_folders"), *writes, users]


ROLES = {"DAM reviewer": _reviewer_permissions, "DAM connector": _connector_permissions}


def _card_view(client: _SetupClient, name: str) -> Preparation:
    """Prepare the default view: cards with previews, newest first, for users without a view of their own."""
    cards = {
        "size": 3,
        "icon": "view_in_ar",
        "imageSource": "preview",
        "imageFit": "contain",
        "title": "{{title}}",
        "subtitle": "{{status}}",
    }
    query = {
        "cards": {"sort": ["-date_created"], "page": 1},
        "tabular": {"fields": ["preview", "title", "status", "report", "date_created"]},
    }
    body = {"collection": name, "layout": "cards", "layout_options": {"cards": cards}, "layout_query": query}
    unset = "&".join(f"filter[{field}][_null]=true" for field in ("user", "role", "bookmark"))
    record_path = f"/presets?filter[collection][_eq]={name}&{unset}"
    return client.preparation("default view: cards with previews", record_path, "/presets", body)


def _role(client: _SetupClient, role: str, permissions: list[dict[str, Any]]) -> Iterator[Preparation]:
    """Yield a policy with these permissions, and the role that has the policy."""
    policy_id, role_id = _derived_id(f"policy:{role}"), _derived_id(f"role:{role}")
    policy = {
        "id": policy_id,
        "name": role,
        "icon": "badge",
        "app_access": role == "DAM reviewer",
        "admin_access": False,
        "permissions": permissions,
    }
    description = f"policy `{role}`: {len(permissions)} permissions"
    yield client.preparation(description, f"/policies/{policy_id}", "/policies", policy)
    body = {"id": role_id, "name": role, "icon": "verified", "policies": [{"policy": policy_id}]}
    yield client.preparation(f"role `{role}`", f"/roles/{role_id}", "/roles", body)


def _flow(
    client: _SetupClient, flow_name: str, webhook_url: str, *, scope: list[str], collections: list[str]
) -> Preparation:
    """Prepare a flow that calls our webhook when somebody changes rows of some collections."""
    suffix = "" if flow_name == VERSIONS_FLOW else f":{flow_name}"
    flow_id, operation_id = _derived_id(f"flow{suffix}"), _derived_id(f"operation{suffix}")
    flow = {
        "id": flow_id,
        "name": flow_name,
        "icon": "webhook",
        "status": "active",
        "trigger": "event",
        "options": {"type": "action", "scope": scope, "collections": collections},
    }
    headers = [
        {"header": "X-Webhook-Secret", "value": SECRET_IN_FLOW},
        {"header": "Content-Type", "value": "application/json"},
    ]
    request = {
        "method": "POST",
        "url": webhook_url,
        "headers": headers,
        "body": BODIES[flow_name],
    }
    operation = {
        "id": operation_id,
        "flow": flow_id,
        "key": "tell",
        "name": "Notify",
        "type": "request",
        "position_x": 19,
        "position_y": 1,
        "options": request,
    }

    def create() -> None:
        if client.exists(f"/flows/{flow_id}"):  # an earlier run was interrupted between the requests
            client.request("DELETE", f"/flows/{flow_id}", "setup")
        client.create("/flows", flow)
        client.create("/operations", operation)
        client.request("PATCH", f"/flows/{flow_id}", "setup", json={"operation": operation_id})

    return Preparation(
        description=f"flow `{flow_name}`: POST {webhook_url}",
        exists=client.exists(f"/flows/{flow_id}?filter[operation][_nnull]=true&fields=operation"),
        create=create,
    )
