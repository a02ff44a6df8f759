"""A fake Shopify: staged uploads to a storage, files that take time, media references, metafields.

Source: the schema of the Admin API 2026-10 in the package @shopify/dev-mcp 1.16.0 on npm; costs: see
tests/contracts/shopify_costs.py.
"""

import hashlib
import json
import re
from typing import Any

from dam_connector.fakes.server import API_KEY, FakeReply, FakeRequest
from tests.contracts.channels.harness import MERCHANT_MEDIA, OTHER_SKU, SKU, FakeGraphQlChannel
from tests.contracts.shopify_costs import cost_error

PRODUCT_ID = "gid://shopify/Product/1"
POLLS_UNTIL_READY = 2  # of a new file


class FakeShopify(FakeGraphQlChannel):
    vendor = "shopify"
    path = "/admin/api/2026-10/graphql.json"
    options = {"token": "env/TOKEN"}
    bounding_box = {"x": 0.4, "y": 0.4, "z": 0.3}

    def __init__(self) -> None:
        self.files: dict[str, dict[str, Any]] = {
            f"gid://f{n}": {"name": name, "data": b"theirs", "polls": 9}
            for n, name in enumerate(MERCHANT_MEDIA)
        }
        self.count = 100
        self.product: list[str] = list(self.files)
        self.metafield = ""
        self.skus = [SKU]
        self.texts = {"title": "Chair", "body_html": "<p>A chair.</p>"}  # of the product
        self.locales = ["de", "fr"]  # that the shop has beside its own
        # By id, locale and key: the text, and the digest of what was translated.
        self.translations: dict[tuple[str, str, str], tuple[str, str]] = {}
        self.variant_media: dict[str, list[str]] = {}
        self.stored: dict[str, bytes] = {}
        super().__init__()

    def is_authorized(self, request: FakeRequest) -> bool:
        if request.path.startswith("/storage/"):
            return "x-shopify-access-token" not in request.headers
        return request.headers.get("x-shopify-access-token") == API_KEY

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        if request.path.startswith("/storage/"):
            assert request.form["policy"] == b"p" and next(reversed(request.form)) == "file"
            self.stored[f"{self.base_url}{request.path}"] = request.form["file"]
            return FakeReply(201, b"", mime="text/xml")
        if too_expensive := cost_error(str(request.json["query"])):
            return FakeReply(200, too_expensive)
        return super().answer(request, operation)

    def do_variant(self, variables: dict[str, Any]) -> Any:
        sku = json.loads(variables["query"].removeprefix("sku:"))
        found = [{"sku": sku, "product": {"id": PRODUCT_ID}}] if sku in self.skus else []
        return {"productVariants": {"nodes": found}}

    def do_place(self, variables: dict[str, Any]) -> Any:
        product = {
            "id": PRODUCT_ID,
            "handle": "chair",
            "onlineStoreUrl": None,
            "metafield": {"value": self.metafield} if self.metafield else None,
            "media": {"nodes": [{"id": id, "alt": self.files[id].get("alt")} for id in self.product]},
        }
        return {"product": product if variables["id"] == PRODUCT_ID else None}

    def do_own(self, variables: dict[str, Any]) -> Any:
        sku = json.loads(variables["query"].removeprefix("sku:"))
        media = {"nodes": [{"id": id} for id in self.variant_media.get(sku, [])]}
        found = [{"sku": sku, "media": media, "product": {"id": PRODUCT_ID}}] if sku in self.skus else []
        return {"productVariants": {"nodes": found}}

    def do_pictures(self, variables: dict[str, Any]) -> Any:
        media = [
            {"id": id, "image": {"url": f"{self.base_url}/cdn/{self.files[id]['name']}?v=1"}}
            if not self.files[id]["name"].endswith("glb")
            else {"id": id}
            for id in self.product
        ]
        note = {"value": self.metafield} if self.metafield else None
        return {"product": {"metafield": note, "media": {"nodes": media}}}

    def do_single(self, variables: dict[str, Any]) -> Any:
        return {"product": {"variantsCount": {"count": len(self.skus)}}}

    def do_content(self, variables: dict[str, Any]) -> Any:
        aliases = re.findall(r'(in\d+): translations\(locale: "([^"]+)"\)', self.query_text)
        return {
            "translatableResourcesByIds": {
                "nodes": [
                    {
                        "resourceId": id,
                        "translatableContent": [
                            {"key": key, "digest": digest} for key, digest in self._digests(id).items()
                        ],
                        **{alias: self._translated(id, locale) for alias, locale in aliases},
                    }
                    for id in variables["ids"]
                ]
            }
        }

    def do_translate(self, variables: dict[str, Any]) -> Any:
        id, errors = variables["id"], []
        for number, text in enumerate(variables["texts"]):
            if text["locale"] not in self.locales:
                message = "Locale is invalid for the shop"
                errors.append({"field": ["translations", str(number), "locale"], "message": message})
                continue
            assert text["translatableContentDigest"] == self._digests(id)[text["key"]]
            found = text["value"], text["translatableContentDigest"]
            self.translations[id, text["locale"], text["key"]] = found
        return {"translationsRegister": {"userErrors": errors}}

    def _digests(self, id: str) -> dict[str, str]:
        """Return the digest of each text that can be translated."""
        texts = self.texts if id == PRODUCT_ID else {"alt": self.files[id].get("alt", "")}
        return {key: hashlib.sha256(text.encode()).hexdigest() for key, text in texts.items() if text}

    def _translated(self, id: str, locale: str) -> list[dict[str, Any]]:
        return [
            {"key": key, "value": value, "locale": locale, "outdated": self._digests(id).get(key) != digest}
            for (of, to, key), (value, digest) in self.translations.items()
            if (of, to) == (id, locale)
        ]

    def do_find(self, variables: dict[str, Any]) -> Any:
        name = json.loads(variables["query"].removeprefix("filename:"))
        return {
            "files": {"nodes": [self._file_json(id) for id, f in self.files.items() if f["name"] == name]}
        }

    def do_stage(self, variables: dict[str, Any]) -> Any:
        (file_input,) = variables["input"]
        assert isinstance(file_input["fileSize"], str) and file_input["resource"] in (
            "IMAGE",
            "MODEL_3D",
            "VIDEO",
        )
        url = f"{self.base_url}/storage/{len(self.stored)}/{file_input['filename']}"
        target = {"url": url, "resourceUrl": url, "parameters": [{"name": "policy", "value": "p"}]}
        return {"stagedUploadsCreate": {"stagedTargets": [target], "userErrors": []}}

    def do_create(self, variables: dict[str, Any]) -> Any:
        (file_input,) = variables["files"]
        self.count += 1
        id = f"gid://f{self.count}"
        self.files[id] = {
            "name": file_input["filename"],
            "data": self.stored[file_input["originalSource"]],
            "polls": 0,
            "alt": file_input["alt"],
        }
        return {"fileCreate": {"files": [{"id": id, "fileStatus": "UPLOADED"}], "userErrors": []}}

    def do_refer(self, variables: dict[str, Any]) -> Any:
        for file in variables["files"]:
            if file.get("referencesToAdd"):
                self.product += [file["id"]] if file["id"] not in self.product else []
            self.files[file["id"]] |= {"alt": file["alt"]} if "alt" in file else {}
        return {"fileUpdate": {"files": [], "userErrors": []}}

    def do_order(self, variables: dict[str, Any]) -> Any:
        for move in variables["moves"]:
            self.product.remove(move["id"])
            self.product.insert(int(move["newPosition"]), move["id"])
        return {"productReorderMedia": {"mediaUserErrors": []}}

    def do_note(self, variables: dict[str, Any]) -> Any:
        (field,) = variables["fields"]
        assert field["type"] == "json" and json.loads(field["value"]) is not None
        self.metafield = field["value"]
        return {"metafieldsSet": {"userErrors": []}}

    def do_drop(self, variables: dict[str, Any]) -> Any:
        if missing := [id for id in variables["ids"] if id not in self.files]:
            return {
                "fileDelete": {
                    "userErrors": [{"field": ["fileIds"], "message": f"{missing[0]} does not exist"}]
                }
            }
        for id in variables["ids"]:
            del self.files[id]
            self.product = [i for i in self.product if i != id]
        return {"fileDelete": {"deletedFileIds": variables["ids"], "userErrors": []}}

    def _file_json(self, id: str) -> dict[str, Any]:
        file = self.files[id]
        file["polls"] += 1
        ready = file["polls"] >= POLLS_UNTIL_READY
        size = {"boundingBox": {"size": self.bounding_box}} if file["name"].endswith("glb") else {}
        return {"id": id, "fileStatus": "READY" if ready else "PROCESSING", **(size if ready else {})}

    def show_own_picture(self, sku: str) -> None:
        self.variant_media[sku] = ["gid://f1"]

    def add_second_variant(self) -> None:
        self.skus = [SKU, OTHER_SKU]

    def remove_variant(self, sku: str) -> None:
        self.skus.remove(sku)

    def media_names(self) -> list[str]:
        return [self.files[id]["name"] for id in self.product]

    def alt_texts(self) -> list[str]:
        return [self.files[id].get("alt", "") for id in self.product]

    def stored_bytes(self, name: str) -> bytes:
        return next(bytes(f["data"]) for f in self.files.values() if f["name"] == name)
