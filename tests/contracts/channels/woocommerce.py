"""A fake WooCommerce and WordPress: two kinds of login, media by slug, products with images and metadata."""

import base64
import json
from typing import Any

from dam_connector.fakes.server import FakeReply, FakeRequest
from tests.contracts.channels.harness import MERCHANT_MEDIA, OTHER_SKU, SKU, FakeChannel

KEYS = {"/wp-json/wc/v3": b"other:key_fake", "/wp-json/wp/v2": b"dam:key_fake"}
READ_KEY = b"reader:key_fake"  # of the shop, which may not write
READ_ONLY = FakeReply(
    401,
    {
        "code": "woocommerce_rest_authentication_error",
        "message": "The API key provided does not have write permissions.",
        "data": {"status": 401},
    },
)
MISSING = FakeReply(404, {"code": "rest_post_invalid_id", "message": "Invalid post ID."})
NO_PRODUCT = FakeReply(404, {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID."})


class FakeWooCommerce(FakeChannel):
    vendor = "woocommerce"
    has_model_links = True
    options = {
        "consumer_key": "env/OTHER",
        "consumer_secret": "env/TOKEN",
        "user": "dam",
        "password": "env/TOKEN",
    }

    def __init__(self) -> None:
        self.media: dict[int, dict[str, Any]] = {
            n: {"title": name, "slug": name, "data": b"theirs"} for n, name in enumerate(MERCHANT_MEDIA, 1)
        }
        self.variants: set[str] = set()
        self.variant_image = 0  # the picture of a variation
        self.missing = ""  # of the rights: `reader` (a key that may only read), `password`, `role`
        self.product: dict[str, Any] = {
            "id": 13,
            "sku": SKU,
            "permalink": "https://shop.example/p/13",
            "images": [1, 2],
            "meta": {},
        }
        super().__init__()

    def is_authorized(self, request: FakeRequest) -> bool:
        root = next(root for root in KEYS if request.path.startswith(root))
        keys = {KEYS[root]} | ({READ_KEY} if root.endswith("wc/v3") else set())
        sent = request.headers.get("authorization", "").removeprefix("Basic ")
        return base64.b64decode(sent) in keys

    def operation(self, request: FakeRequest) -> str:
        return "read" if request.method == "GET" else "write"

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        path = request.path.split("/")[4:]
        is_reader = base64.b64encode(READ_KEY).decode() in request.headers.get("authorization", "")
        if (is_reader or (self.missing == "reader" and "/wc/" in request.path)) and request.method != "GET":
            return READ_ONLY
        if path[0] == "users":
            return self._user()
        return self._product(request) if path[0] == "products" else self._media(request, path[1:])

    def _user(self) -> FakeReply:
        if self.missing == "password":
            message = "The provided password is an invalid application password."
            return FakeReply(401, {"code": "incorrect_password", "message": message})
        can_upload = {} if self.missing == "role" else {"upload_files": True}
        return FakeReply(200, {"id": 2, "username": "dam", "capabilities": can_upload})

    def _product(self, request: FakeRequest) -> FakeReply:
        if request.method == "GET":
            if not request.path.endswith("/products"):
                return FakeReply(200, self._product_json()) if request.path.endswith("/13") else NO_PRODUCT
            if self.variants:  # they name their product
                found = [sku for sku in self.variants if sku == request.query["sku"]]
                images = self._images([self.variant_image] if self.variant_image else [])
                row = {"id": 20, "parent_id": 13, "images": images}  # like the real one
                return FakeReply(200, [{**row, "sku": sku} for sku in found])
            return FakeReply(200, [self._product_json()] if request.query["sku"] == SKU else [])
        if request.path.endswith("/batch"):
            assert request.json == {}
            return FakeReply(200, [])  # like the real one
        changes = request.json
        if unknown := [image["id"] for image in changes["images"] if image["id"] not in self.media]:
            message = f"#{unknown[0]} is an invalid image ID."
            return FakeReply(400, {"code": "woocommerce_product_invalid_image_id", "message": message})
        self.product["images"] = [image["id"] for image in changes["images"]]
        self.product["meta"] |= {m["key"]: m["value"] for m in changes["meta_data"]}
        return FakeReply(200, self._product_json())

    def _product_json(self) -> dict[str, Any]:
        meta = [{"key": k, "value": json.loads(json.dumps(v))} for k, v in self.product["meta"].items()]
        return {
            **{name: value for name, value in self.product.items() if name != "meta"},
            "images": self._images(self.product["images"]),
            "meta_data": meta,
        }

    def _images(self, ids: list[int]) -> list[dict[str, Any]]:
        return [
            {
                "id": i,
                "src": f"{self.base_url}/wp-content/{self.media[i]['title']}",
                "alt": self.media[i].get("alt", ""),
            }
            for i in ids
        ]

    def _media(self, request: FakeRequest, rest: list[str]) -> FakeReply:
        if request.method == "GET":
            return FakeReply(200, [self._media_json(id) for id in self.media if self._matches(id, request)])
        if request.method == "DELETE":
            id = int(rest[0])
            self.product["images"] = [i for i in self.product["images"] if i != id]
            return FakeReply(200, {"deleted": True}) if self.media.pop(id, None) else MISSING
        if rest:  # a change of its texts
            self.media[int(rest[0])]["alt"] = request.json["alt_text"]
            return FakeReply(200, {"id": int(rest[0])})
        form = request.form
        id = max(self.media) + 1
        self.media[id] = {
            "title": form["title"].decode(),
            "slug": form.get("slug", b"").decode(),
            "data": form["file"],
            "alt": form.get("alt_text", b"").decode(),
            "description": form["description"].decode(),
        }
        return FakeReply(201, {"id": id, "source_url": f"/{id}"})

    def _matches(self, id: int, request: FakeRequest) -> bool:
        if "slug" in request.query:
            return bool(self.media[id]["slug"] == request.query["slug"])
        assert request.query["search_columns"] == "post_content"
        return request.query["search"] in self.media[id].get("description", "")

    def _media_json(self, id: int) -> dict[str, Any]:
        """Return a picture; WordPress puts the picture itself in front of its description."""
        text = self.media[id].get("description", "")
        rendered = f"<p class=\"attachment\"><a href='/{id}'></a></p>\n<p>{text}</p>\n"
        return {"id": id, "slug": self.media[id]["slug"], "description": {"rendered": rendered}}

    def show_own_picture(self, sku: str) -> None:
        self.variant_image = 2

    def add_second_variant(self) -> None:
        self.variants = {SKU, OTHER_SKU}

    def remove_variant(self, sku: str) -> None:
        self.variants.remove(sku)

    def media_names(self) -> list[str]:
        return [self.media[id]["title"] for id in self.product["images"]]

    def alt_texts(self) -> list[str]:
        return [self.media[id].get("alt", "") for id in self.product["images"]]

    def stored_bytes(self, name: str) -> bytes:
        return next(bytes(m["data"]) for m in self.media.values() if m["title"] == name)

    def model_links(self) -> list[str]:
        return [
            v
            for k, v in self.product["meta"].items()
            if k.startswith(("_dam_connector_glb", "_dam_connector_usdz")) and v
        ]
