"""What Directus needs for us: a collection with its files, a folder, roles for reviewers and for us, a flow that calls our webhook.

Every id is made from a name, so that what is there is found, by us and by a second run.
"""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from dam_connector.adapters.common.api_client import ApiClient
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.directus.preparation import Preparation
from dam_connector.errors import NotFound, Refused

SPACE = uuid.UUID("0f3f1a52-7d52-5c0e-8f8a-3d0b6b1f9a44")
STATES = {"in_review": "In review", "approved": "Approved", "rejected": "Rejected"}
OURS = {
    "published": "Published",
    "superseded": "Superseded",
    "withdrawn": "Withdrawn",
}  # what only we say, but for the last
TEXTS = (
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
BY_HAND = (
    "Give reviewers the role `DAM reviewer` (Settings, Users).",
    "Make a user with the role `DAM connector` and a static token, and put that token where plugin.json refers to: it may do no more than it must.",
    "Start Directus with CONNECTOR_SECRET=(the webhook_secret) and FLOWS_ENV_ALLOW_LIST=CONNECTOR_SECRET, so that its flow can send it; "
    "with IMPORT_IP_DENY_LIST= where this connector has a private address.",
)


class _Directus(ApiClient):
    vendor = "directus"

    def there(self, path: str) -> bool:
        """Whether something is there; Directus says 403 of what is not."""
        try:
            return bool(self.request_json("GET", path, "setup").get("data"))
        except (NotFound, Refused):
            return False

    def make(self, path: str, body: Mapping[str, Any]) -> None:
        self.request("POST", path, "setup", json=body)


def prepare(options: Mapping[str, Any], context: AdapterContext, hook_url: str) -> Iterator[Preparation]:
    """Each thing that is needed there, and whether it is there. options: those of the connection; its token must be an admin's. Raises: AdapterError."""
    there = _Directus(
        context.http,
        str(options["base_url"]),
        {"Authorization": f"Bearer {context.secret(str(options.get('token', 'env/DIRECTUS_TOKEN')))}"},
    )
    if not (
        there.request_json("GET", "/users/me?fields=role.id,role.policies.policy.admin_access", "setup").get(
            "data"
        )
        or {}
    ).get("role"):
        raise Refused(
            "directus",
            "setup",
            "the token is no admin's; set up with an admin's token, and run with the connector's own",
        )
    name = str(options.get("collection", "asset_versions"))
    yield _one(
        there,
        f"collection `{name}`: a row for each version",
        f"/collections/{name}",
        "/collections",
        collection(name),
    )
    join = f"{name}_files"
    yield _one(
        there,
        f"collection `{join}`: which files belong to which version",
        f"/collections/{join}",
        "/collections",
        join_of(name),
    )
    for relation in relations(name):
        path = f"/relations/{relation['collection']}/{relation['field']}"
        yield _one(
            there, f"relation {relation['collection']}.{relation['field']}", path, "/relations", relation
        )
    yield _gallery(there, name)
    for role, permissions in ROLES.items():
        yield from _role(there, role, permissions(name))
    yield from _flow(there, name, hook_url)


def _one(there: _Directus, what: str, look: str, path: str, body: Mapping[str, Any]) -> Preparation:
    return Preparation(description=what, exists=there.there(look), create=lambda: there.make(path, body))


def _id(text: str) -> str:
    return str(uuid.uuid5(SPACE, text))


def _field(
    name: str, kind: str, *, width: str = "half", interface: str = "input", **more: Any
) -> dict[str, Any]:
    return {
        "field": name,
        "type": kind,
        "meta": {"width": width, "interface": interface, **more.pop("meta", {})},
        **more,
    }


def collection(name: str) -> dict[str, Any]:
    """The rows: what a reviewer sees and may change stands first."""
    shown = {"special": ["file"], "readonly": True, "display": "image", "options": {"crop": False}}
    states = [{"text": text, "value": value} for value, text in {**STATES, **OURS}.items()]
    fields = [
        _field("id", "uuid", schema={"is_primary_key": True}, meta={"hidden": True, "readonly": True}),
        _field(
            "external_id",
            "string",
            schema={"is_unique": True, "is_nullable": False},
            meta={"hidden": True, "readonly": True},
        ),
        _field("preview", "uuid", interface="file-image", width="full", meta=shown),
        _field(
            "status",
            "string",
            interface="select-dropdown",
            meta={"options": {"choices": states}, "display": "labels"},
        ),
        _field("reject_reason", "text", interface="input-multiline", width="full"),
        *[_field(text, "text", meta={"readonly": True}) for text in TEXTS],
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
        "note": "What dam-connector made, for review",
        "display_template": "{{title}} {{status}}",
        "sort_field": None,
    }
    return {"collection": name, "schema": {}, "meta": meta, "fields": fields}


def join_of(name: str) -> dict[str, Any]:
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
    join = f"{name}_files"
    ends = {"one_field": "files", "junction_field": "directus_files_id"}
    return [
        {
            "collection": join,
            "field": f"{name}_id",
            "related_collection": name,
            "meta": ends,
            "schema": {"on_delete": "CASCADE"},
        },
        {
            "collection": join,
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


def _reads(*collections: str) -> list[dict[str, Any]]:
    return [
        {"collection": each, "action": "read", "permissions": {}, "fields": ["*"]} for each in collections
    ]


def _reviewer(name: str) -> list[dict[str, Any]]:
    """Reads all, and says approved or rejected of what is in review, or withdrawn of what is live."""
    may = {"_or": [{"status": {"_in": ["in_review"]}}, {"status": {"_eq": "published"}}]}
    said = {"status": {"_in": ["approved", "rejected", "withdrawn"]}}
    update = {
        "collection": name,
        "action": "update",
        "permissions": may,
        "validation": said,
        "fields": ["status", "reject_reason"],
    }
    return [*_reads(name, f"{name}_files", "directus_files", "directus_folders"), update]


def _connector(name: str) -> list[dict[str, Any]]:
    everything: list[dict[str, Any]] = [
        {"collection": each, "action": action, "permissions": {}, "fields": ["*"]}
        for each in (name, f"{name}_files", "directus_files", "directus_folders")
        for action in ("create", "update", "delete")
    ]
    people = {
        "collection": "directus_users",
        "action": "read",
        "permissions": {},
        "fields": ["id", "first_name", "last_name", "email"],
    }
    return [*_reads(name, f"{name}_files", "directus_files", "directus_folders"), *everything, people]


ROLES = {"DAM reviewer": _reviewer, "DAM connector": _connector}


def _gallery(there: _Directus, name: str) -> Preparation:
    """Versions as cards with their pictures, those that wait first, for everybody who has not arranged them otherwise."""
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
    look = f"/presets?filter[collection][_eq]={name}&filter[user][_null]=true&filter[role][_null]=true&filter[bookmark][_null]=true"
    return _one(there, "how they are listed: as cards with their pictures", look, "/presets", body)


def _role(there: _Directus, role: str, permissions: list[dict[str, Any]]) -> Iterator[Preparation]:
    policy, role_id = _id(f"policy:{role}"), _id(f"role:{role}")

    app = role == "DAM reviewer"
    made = {
        "id": policy,
        "name": role,
        "icon": "badge",
        "app_access": app,
        "admin_access": False,
        "permissions": permissions,
    }
    yield _one(
        there, f"policy `{role}`: {len(permissions)} permissions", f"/policies/{policy}", "/policies", made
    )
    body = {"id": role_id, "name": role, "icon": "verified", "policies": [{"policy": policy}]}
    yield _one(there, f"role `{role}`", f"/roles/{role_id}", "/roles", body)


def _flow(there: _Directus, name: str, hook_url: str) -> Iterator[Preparation]:
    """A flow that calls our webhook whenever somebody changes a row."""
    flow, operation = _id("flow"), _id("operation")

    def make() -> None:
        if there.there(f"/flows/{flow}"):  # an earlier try broke off
            there.request("DELETE", f"/flows/{flow}", "setup")
        trigger = {"type": "action", "scope": ["items.update"], "collections": [name]}
        there.make(
            "/flows",
            {
                "id": flow,
                "name": "Tell dam-connector",
                "icon": "webhook",
                "status": "active",
                "trigger": "event",
                "options": trigger,
            },
        )
        headers = [
            {"header": "X-Webhook-Secret", "value": SECRET_IN_FLOW},
            {"header": "Content-Type", "value": "application/json"},
        ]
        request = {
            "method": "POST",
            "url": hook_url,
            "headers": headers,
            "body": '{"collection": "{{$trigger.collection}}", "keys": {{$trigger.keys}}}',
        }
        there.make(
            "/operations",
            {
                "id": operation,
                "flow": flow,
                "key": "tell",
                "name": "Tell",
                "type": "request",
                "position_x": 19,
                "position_y": 1,
                "options": request,
            },
        )
        there.request("PATCH", f"/flows/{flow}", "setup", json={"operation": operation})

    yield Preparation(
        description=f"flow `Tell dam-connector`: POST {hook_url}",
        exists=there.there(f"/flows/{flow}?filter[operation][_nnull]=true&fields=operation"),
        create=make,
    )
