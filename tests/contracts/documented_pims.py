"""Answers of a fake Akeneo and a fake Shopify as PIMs, by the vendors' documentation.

Sources of Akeneo: akeneo/pim-api-docs, content/swagger/akeneo-web-api.json (addresses, answers),
content/rest-api/authentication.md, pagination.md, filter.md; akeneo/pim-community-dev,
ConnectorProductWithUuidNormalizer.php (a product that is asked for by its uuid has no `identifier`).
Sources of Shopify: the schema of the Admin API 2026-10 in the package @shopify/dev-mcp 1.16.0.
"""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

from tests.contracts.pim_servers import FakePimReply
from tests.contracts.shopify_costs import cost_error
from tests.support import picture

UUID = "6a9f1a2b-0000-4000-8000-000000000001"


def value(data: Any, locale: str | None = None, scope: str | None = None) -> dict[str, Any]:
    return {"locale": locale, "scope": scope, "data": data}


AKENEO_PRODUCT: dict[str, Any] = {
    "uuid": UUID,
    "family": "chairs",
    "categories": ["seating", "sale"],
    "updated": "2026-11-20T10:00:00+00:00",
    "values": {
        "sku": [{**value("CH1"), "attribute_type": "pim_catalog_identifier"}],
        "label": [value("Stuhl", "de_DE"), value("Chair", "en_US"), value("Chaise", "fr_FR")],
        "main_color": [value("teal")],
        "w": [value({"amount": "46.0000", "unit": "CENTIMETER"})],
        "h": [value({"amount": "0.815", "unit": "METER"})],
        "picture": [value("0/e/f/9/chair.jpg")],
        "shots": [value(["chair_back"])],
        "ar_url": [value("https://ours.example/ar/CH1")],
        "dam_status": [value("published")],
    },
}
VALUES: dict[str, Any] = AKENEO_PRODUCT["values"]
AKENEO = {
    "client_id": "id",
    "client_secret": "env/C",
    "user": "dam_connector_api",
    "password": "env/P",
    "secrets": ["env/S", "env/S2"],
    "locale": "en_US",
    "attributes": {
        "name": "label",
        "color": "main_color",
        "width": "w",
        "height": "h",
        "front": "picture",
        "back": "asset:shots",
    },
    "assets": {"shots": {"family": "packshots", "media": "file"}},
    "write_back": {"ar_url": "ar_url", "status": "dam_status"},
}
WRITTEN: list[Any] = []
SEARCHED: list[str] = []  # the dates since which changes were searched for


def akeneo(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any) -> FakePimReply:
    if path == "/api/oauth/v1/token":
        good = (
            headers["authorization"] == "Basic " + base64.b64encode(b"id:client-word").decode()
            and body["password"] == "word"
        )
        return (
            (200, {"access_token": "at-1", "expires_in": 3600}, {})
            if good
            else (422, {"message": "Parameter is invalid"}, {})
        )
    if headers.get("authorization") != "Bearer at-1":
        return 401, {"code": 401, "message": "The access token provided has expired."}, {}
    if method == "PATCH":
        WRITTEN.append((path, body))
        return 204, b"", {}
    if path == f"/api/rest/v1/products-uuid/{UUID}":
        return 200, AKENEO_PRODUCT, {}
    if path == "/api/rest/v1/media-files/0/e/f/9/chair.jpg/download":
        return 200, picture(), {"Content-Type": "image/jpeg"}
    if path == "/api/rest/v1/asset-families/packshots/assets/chair_back":
        return 200, {"values": {"file": [{"locale": None, "channel": None, "data": "a/b/back.jpg"}]}}, {}
    if path == "/api/rest/v1/asset-media-files/a/b/back.jpg":
        return 200, picture(), {}
    if path == "/api/rest/v1/products-uuid":
        search = json.loads(query["search"])
        if "parent" in search:
            items = (
                [
                    AKENEO_PRODUCT,
                    {**AKENEO_PRODUCT, "uuid": "u2", "values": {**VALUES, "sku": [value("CH2")]}},
                ]
                if search["parent"][0]["value"] == "chair"
                else []
            )
            return 200, {"_embedded": {"items": items}, "_links": {}}, {}
        SEARCHED.append(search["updated"][0]["value"])
        last = "search_after" in query
        search_text = query["search"].replace(" ", "%20").replace('"', "%22")
        following = f"http://{headers['host']}{path}?search={search_text}&search_after=x&limit=100"
        items = [{**AKENEO_PRODUCT, "uuid": "b" if last else "a"}]
        return (
            200,
            {"_embedded": {"items": items}, "_links": {} if last else {"next": {"href": following}}},
            {},
        )
    return 404, {"code": 404, "message": "not found"}, {}


SHOPIFY_PRODUCT: dict[str, Any] = {
    "id": "gid://shopify/Product/42",
    "title": "Chair",
    "vendor": "Nord",
    "productType": "Chairs",
    "tags": ["warm", "oak"],
    "descriptionHtml": "<p>A <b>quiet</b> chair.</p>",
    "updatedAt": "2026-11-20T10:00:00Z",
    "ours": {"value": json.dumps({"CH1": {"sha": "gid://shopify/MediaImage/9"}})},
    "metafields": {
        "nodes": [{"namespace": "custom", "key": "height", "value": '{"value": 81.5, "unit": "cm"}'}]
    },
    "media": {
        "nodes": [
            {
                "id": "gid://shopify/MediaImage/1",
                "alt": "front",
                "image": {"url": "https://cdn.example/a.jpg?v=1"},
            },
            {
                "id": "gid://shopify/MediaImage/9",
                "alt": "ours",
                "image": {"url": "https://cdn.example/ours.jpg"},
            },
            {"id": "gid://shopify/Model3d/3", "alt": "", "mediaContentType": "MODEL_3D"},
        ]
    },
}
SHOPIFY_TRANSLATIONS = {
    "de": {"title": "Stuhl", "body_html": "<p>Ein <b>stiller</b> Stuhl.</p>", "handle": "stuhl"}
}
SHOPIFY_VARIANTS: list[dict[str, Any]] = [
    {
        "sku": "CH1",
        "selectedOptions": [{"name": "Color", "value": "Teal"}],
        "media": {"nodes": []},
        "metafields": {"nodes": []},
    },
    {"sku": "", "selectedOptions": [], "media": {"nodes": []}},
]


def shopify(
    method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
) -> FakePimReply:
    assert path == "/admin/api/2026-10/graphql.json" and headers["x-shopify-access-token"] == "token"
    if too_expensive := cost_error(body["query"]):
        return 200, too_expensive, {}
    if "One" in body["query"]:
        known = body["variables"]["id"].endswith("/42")
        asked = re.findall(r'(\w+): translations\(locale: "([^"]+)"\)', body["query"])
        translations = {
            alias: [
                {"key": key, "value": text, "outdated": False, "locale": locale}
                for key, text in SHOPIFY_TRANSLATIONS.get(locale, {}).items()
            ]
            for alias, locale in asked
        }
        return 200, {"data": {"product": {**SHOPIFY_PRODUCT, **translations} if known else None}}, {}
    if "Variants" in body["query"]:
        first = int(body["variables"]["after"] or 0)
        page = SHOPIFY_VARIANTS[first : first + 1]  # one a page
        info = {"hasNextPage": first + 1 < len(SHOPIFY_VARIANTS), "endCursor": str(first + 1)}
        return 200, {"data": {"product": {"variants": {"nodes": page, "pageInfo": info}}}}, {}
    after = body["variables"]["after"]
    assert body["variables"]["query"] == "updated_at:>'2026-11-20T09:00:00Z'"
    found = {"id": f"gid://shopify/Product/{2 if after else 1}", "updatedAt": "2026-11-20T10:00:00Z"}
    return (
        200,
        {"data": {"products": {"nodes": [found], "pageInfo": {"hasNextPage": not after, "endCursor": "c"}}}},
        {},
    )


SHOPIFY = {
    "token": "env/T",
    "secrets": ["env/S"],
    "attributes": {"height": "meta:custom.height", "style_tags": "tags"},
}
SECRETS = {
    "env/S": "secret-1",
    "env/S2": "secret-2",
    "env/C": "client-word",
    "env/P": "word",
    "env/T": "token",
}
FAKES: dict[str, tuple[Callable[..., FakePimReply], dict[str, Any]]] = {
    "akeneo": (akeneo, AKENEO),
    "shopify": (shopify, SHOPIFY),
}
