"""Answers of a fake WooCommerce, Saleor and Vendure as PIMs, in the shape of the real ones."""

import base64
import json
import re
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.contracts.pim_servers import FakePimReply
from tests.support import ROOT

WOO_PRODUCT: dict[str, Any] = {
    "id": 13,
    "name": "Falun chair",
    "sku": "CH1",
    "type": "simple",
    "status": "publish",
    "date_modified_gmt": "2026-11-20T10:00:00",
    "description": "<p>A <b>quiet</b> chair.</p>",
    "categories": [{"name": "Chairs"}, {"name": "Sale"}],
    "tags": [{"name": "warm"}, {"name": "oak"}],
    "dimensions": {"length": "50", "width": "46", "height": "81.5"},
    "attributes": [{"name": "Color", "options": ["Teal"]}, {"name": "Material", "options": ["Oak", "Wool"]}],
    "images": [
        {"id": 1, "src": "https://shop.example/a.jpg", "name": "a", "alt": ""},
        {"id": 2, "src": "https://shop.example/b.jpg", "name": "chair_back", "alt": ""},
        {"id": 3, "src": "https://shop.example/ours.jpg", "name": "CH1_Packshot", "alt": ""},
    ],
    "meta_data": [{"key": "_dam_connector_media", "value": ["3"]}, {"key": "designer", "value": "Ada"}],
}
WOO_VARIABLE = {
    **WOO_PRODUCT,
    "id": 14,
    "type": "variable",
    "sku": "CH2",
    "name": 'Bottles &amp; Jars 5" <b>x</b> &lt;5',
    "description": "<p>A &amp; B 5 &lt; 6 &nbsp; ok &#8211; &euro;</p>",
    "categories": [{"id": 16, "name": "Bottles &amp; Jars", "slug": "bottles-jars"}],
    "attributes": [
        {
            "id": 1,
            "name": "Colour",
            "slug": "pa_color",
            "variation": True,
            "options": ["Green", "Red &amp; Blue"],
        },
        {"id": 0, "name": "Material", "slug": "Material", "variation": False, "options": ["Oak & ash"]},
    ],
}
WOO_VARIATION = {
    "id": 15,
    "type": "variation",
    "parent_id": 14,
    "status": "publish",
    "sku": "CH2-RED",
    "attributes": [{"id": 1, "name": "Colour", "slug": "pa_color", "option": "Red &amp; Blue"}],
    "image": {"id": 9, "src": "https://shop.example/red.jpg"},
}
WOO_NO_OWN_PICTURE = {  # the shop answers with its parent's first picture
    **WOO_VARIATION,
    "id": 17,
    "sku": "CH2-GREEN",
    "attributes": [{"id": 1, "name": "Colour", "slug": "pa_color", "option": "Green"}],
    "image": {"id": 1, "src": "https://shop.example/a.jpg", "name": "a", "alt": ""},
}
WOO_TRASHED = {**WOO_VARIATION, "id": 18, "sku": "CH2-OLD", "status": "trash"}
WOO_BY_NUMBER: dict[str, dict[str, Any]] = {
    "13": WOO_PRODUCT,
    "14": WOO_VARIABLE,
    # asked for as a product, a variation has `images` and lists no categories
    **{
        str(each["id"]): {
            **{name: value for name, value in each.items() if name != "image"},
            "name": "Bottles - Red",
            "images": [each["image"]],
            "categories": [],
        }
        for each in (WOO_VARIATION, WOO_NO_OWN_PICTURE, WOO_TRASHED)
    },
    "20": {**WOO_PRODUCT, "id": 20, "status": "trash"},
    "21": {**WOO_PRODUCT, "id": 21, "status": "draft"},
}
WOO_NOW = {"Date": "Fri, 20 Nov 2026 12:00:00 GMT"}


def woo(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any) -> FakePimReply:
    """Answer as WooCommerce 11.0.1 on WordPress 6.9.1 did."""
    if headers.get("authorization") != "Basic " + base64.b64encode(b"ck:cs").decode():
        return 401, {"code": "woocommerce_rest_cannot_view", "message": "Sorry"}, {}
    assert method == "GET" and path.startswith("/wp-json/wc/v3/")
    if path == "/wp-json/wc/v3/settings/products/woocommerce_dimension_unit":
        return 200, {"id": "woocommerce_dimension_unit", "default": "in", "value": "cm"}, {}
    if path == "/wp-json/wc/v3/webhooks":
        return 200, [], {}
    rest = path.removeprefix("/wp-json/wc/v3/products").strip("/")
    if rest == "14/variations":
        rows = [WOO_VARIATION, WOO_NO_OWN_PICTURE, {"id": 16, "sku": ""}]  # trashed ones are not listed
        return 200, rows, {"X-WP-TotalPages": "1"}
    if not rest:
        assert query["dates_are_gmt"] == "true" and query["modified_after"] == "2026-11-20T09:00:00"
        return 200, [{**WOO_PRODUCT, "id": 100 + int(query["page"])}], {"X-WP-TotalPages": "3"}
    if rest in WOO_BY_NUMBER:
        return 200, WOO_BY_NUMBER[rest], WOO_NOW
    return 404, {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID."}, {}


def attribute(slug: str, name: str) -> dict[str, Any]:
    return {"attribute": {"slug": slug}, "values": [{"name": name, "value": ""}]}


SALEOR_DENIED = {  # as the real one answers to a stranger who asks for the app
    "data": {"app": None},
    "errors": [
        {
            "message": "To access this path, you need one of the following permissions: "
            "AUTHENTICATED_STAFF_USER, AUTHENTICATED_APP",
            "path": ["app"],
            "extensions": {"exception": {"code": "PermissionDenied"}},
        }
    ],
}
SALEOR_PRODUCT = {
    "id": "UHJvZHVjdDox",
    "name": "Vase",
    "description": json.dumps(
        {"blocks": [{"data": {"text": "A <b>blue</b> vase."}}, {"data": {"text": "Tall."}}]}
    ),
    "category": {"name": "Decor"},
    "updatedAt": "2026-11-20T10:00:00+00:00",
    "attributes": [attribute("color", "Blue"), attribute("height", "30")],
    "media": [
        {"url": "https://shop.example/front.jpg", "alt": "", "type": "IMAGE", "metadata": []},
        {"url": "https://shop.example/film.mp4", "alt": "", "type": "VIDEO", "metadata": []},
        {
            "url": "https://shop.example/ours.jpg",
            "alt": "",
            "type": "IMAGE",
            "metadata": [{"key": "dam_connector", "value": "V1"}],
        },
    ],
    "variants": [
        {"sku": "VASE-1", "name": "", "attributes": [attribute("material", "Clay")], "media": []},
        {"sku": None, "attributes": [], "media": []},
    ],
}

SALEOR_TRANSLATIONS = {
    "DE_AT": {
        "name": "Blumenvase",
        "description": json.dumps({"blocks": [{"data": {"text": "Eine <b>blaue</b> Vase."}}]}),
    }
}
# A medium's `url` without a size is that of a thumbnail; source: saleor/saleor 3.24,
# `saleor/graphql/product/types/products.py`.
SALEOR_WITH_THUMBNAILS = {
    **SALEOR_PRODUCT,
    "media": [
        {**medium, "url": f"https://shop.example/thumbnail/{number}/4096/"}
        for number, medium in enumerate(SALEOR_PRODUCT["media"])
    ],
}


def saleor(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any) -> FakePimReply:
    if path == "/.well-known/jwks.json":
        return 200, {"keys": SALEOR_KEYS}, {}
    assert (method, path) == ("POST", "/graphql/")
    is_app = headers["authorization"] == "Bearer token"
    if "Rights" in body["query"]:
        app = {"name": "dam-connector", "permissions": [{"code": "MANAGE_PRODUCTS"}]}
        return 200, {"data": {"app": app}} if is_app else SALEOR_DENIED, {}
    if "OwnApp" in body["query"]:
        app = {"id": "QXBwOjE=", "name": "dam-connector", "webhooks": []}
        return 200, {"data": {"app": app}} if is_app else SALEOR_DENIED, {}
    if "One" in body["query"]:
        known = is_app and body["variables"]["id"] == SALEOR_PRODUCT["id"]
        product = SALEOR_PRODUCT if "url(size: 0)" in body["query"] else SALEOR_WITH_THUMBNAILS
        asked = re.findall(r"(\w+): translation\(languageCode: (\w+)\)", body["query"])
        product = product | {alias: SALEOR_TRANSLATIONS.get(code) for alias, code in asked}
        return 200, {"data": {"product": product if known else None}}, {}
    if not is_app:  # a stranger sees nothing, without an error
        nothing = {"pageInfo": {"hasNextPage": False, "endCursor": None}, "edges": []}
        return 200, {"data": {"products": nothing}}, {}
    after = body["variables"]["after"]
    if "productVariants(" in body["query"]:  # those of `b` changed with it; `c` has a new one
        found = {"updatedAt": "2026-11-20T10:00:00+00:00", "product": {"id": "c" if after else "b"}}
        info = {"hasNextPage": not after, "endCursor": "next"}
        return 200, {"data": {"productVariants": {"pageInfo": info, "edges": [{"node": found}]}}}, {}
    edges = [{"node": {"id": "b" if after else "a", "updatedAt": "2026-11-20T10:00:00+00:00"}}]
    return (
        200,
        {"data": {"products": {"pageInfo": {"hasNextPage": not after, "endCursor": "next"}, "edges": edges}}},
        {},
    )


def jwk(name: str) -> dict[str, str]:
    """Return a key that signed captured deliveries, as the shop published it."""
    pem = (ROOT / "tests/data" / name).read_bytes()
    numbers = load_pem_public_key(pem).public_numbers()  # type: ignore[union-attr]
    coded = {
        n: base64.urlsafe_b64encode(v.to_bytes((v.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
        for n, v in (("n", numbers.n), ("e", numbers.e))
    }  # type: ignore[union-attr]
    return {"kty": "RSA", "alg": "RS256", **coded}


SALEOR_KEYS = [jwk("saleor_public_key.pem"), jwk("saleor_deliveries_key.pem")]
VENDURE_PRODUCT = {
    "id": "1",
    "name": "Vase",
    "description": "<p>Tall.</p>",
    "updatedAt": "2026-11-20T10:00:00.000Z",
    "languageCode": "en",
    "translations": [
        {"languageCode": "en", "name": "Vase", "description": "<p>Tall.</p>"},
        {"languageCode": "pt_BR", "name": "Vaso", "description": ""},
    ],
    "collections": [{"name": "Decor"}],
    "facetValues": [{"name": "Clay", "facet": {"code": "material"}}],
    "customFields": {"height": 30, "dam": None},
    "assets": [{"source": "assets/vase.jpg", "name": "vase.jpg", "type": "IMAGE", "tags": []}],
    "variants": [
        {
            "sku": "VASE-1",
            "options": [{"name": "Blue", "group": {"code": "color"}}],
            "facetValues": [],
            "assets": [],
        },
        {
            "sku": "VASE-2",
            "options": [],
            "facetValues": [],
            "assets": [
                {
                    "source": "https://cdn.example/v2_front.jpg",
                    "name": "v2_front.jpg",
                    "type": "IMAGE",
                    "tags": [],
                },
                {
                    "source": "https://cdn.example/ours.jpg",
                    "name": "ours.jpg",
                    "type": "IMAGE",
                    "tags": [{"value": "dam-connector"}],
                },
            ],
        },
    ],
}


def vendure(
    method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
) -> FakePimReply:
    assert (method, path) == ("POST", "/admin-api")
    if "Login" in body["query"]:
        good = body["variables"] == {"name": "superadmin", "password": "word"}
        user = (
            {"__typename": "CurrentUser"}
            if good
            else {"__typename": "InvalidCredentialsError", "message": "The provided credentials are invalid"}
        )
        return 200, {"data": {"login": user}}, {"vendure-auth-token": "session-1"} if good else {}
    if headers.get("authorization") != "Bearer session-1":
        return (
            200,
            {
                "errors": [
                    {"message": "You are not currently authorized", "extensions": {"code": "FORBIDDEN"}}
                ],
                "data": None,
            },
            {},
        )
    if "One" in body["query"]:
        if (
            "customFields" in body["query"] and "customFields { height }" not in body["query"]
        ):  # as the real one
            return (
                400,
                {"errors": [{"message": 'Field "customFields" must have a selection of subfields.'}]},
                {},
            )
        asked = "customFields" in body["query"]
        found = {n: v for n, v in VENDURE_PRODUCT.items() if asked or n != "customFields"}
        return 200, {"data": {"product": found if body["variables"]["id"] == "1" else None}}, {}
    skip = body["variables"]["skip"]
    return (
        200,
        {
            "data": {
                "products": {
                    "totalItems": 150,
                    "items": [{"id": str(skip), "updatedAt": "2026-11-20T10:00:00.000Z"}],
                }
            }
        },
        {},
    )
