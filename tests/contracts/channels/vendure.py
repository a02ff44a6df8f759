"""A fake Vendure: a session by login, uploads with a type check, assets with tags."""

from typing import Any

from dam_connector.fakes.server import FakeRequest
from tests.contracts.channels.harness import MERCHANT_MEDIA, OTHER_SKU, SKU, FakeGraphQlChannel


class FakeVendure(FakeGraphQlChannel):
    vendor = "vendure"
    path = "/admin-api"
    has_alt_texts = False
    options = {"user": "superadmin", "password": "env/TOKEN"}

    def __init__(self) -> None:
        self.count = 100
        self.assets: dict[str, dict[str, Any]] = {}
        for name in MERCHANT_MEDIA:
            self._add_asset(name, b"theirs", [])
        self.product: list[str] = list(self.assets)
        self.featured = self.product[0]
        self.variants: dict[str, list[str]] = {}  # their own assets, once there are two
        self.permissions = {"ReadCatalog", "UpdateCatalog", "ReadAsset", "CreateAsset", "DeleteAsset"}
        self.permitted = ("png", "jpg", "webp", "glb")
        super().__init__()

    def is_authorized(self, request: FakeRequest) -> bool:
        return request.headers.get("authorization") == "Bearer session" or b"mutation Login" in request.body

    def headers(self) -> dict[str, str]:
        return {"vendure-auth-token": "session"}

    def do_login(self, variables: dict[str, Any]) -> Any:
        return {
            "login": {"__typename": "CurrentUser"}
            if variables["password"] == "key_fake"
            else {"__typename": "InvalidCredentialsError"}
        }

    def do_me(self, variables: dict[str, Any]) -> Any:
        channels = [{"code": "__default_channel__", "permissions": sorted(self.permissions)}]
        return {"me": {"identifier": "superadmin", "channels": channels}}

    def do_place(self, variables: dict[str, Any]) -> Any:
        if variables["sku"] not in (self.variants or [SKU]):
            return {"productVariants": {"items": []}}
        product = {
            "id": "p1",
            "variants": [{"id": v} for v in self.variants or [SKU]],
            "featuredAsset": {"id": self.featured},
            "assets": [self._asset_json(i) for i in self.product],
        }
        own = [self._asset_json(i) for i in self.variants.get(variables["sku"], [])]
        return {
            "productVariants": {
                "items": [
                    {
                        "id": variables["sku"],
                        "sku": variables["sku"],
                        "featuredAsset": None,
                        "assets": own,
                        "product": product,
                    }
                ]
            }
        }

    def do_ours(self, variables: dict[str, Any]) -> Any:
        return {
            "assets": {
                "items": [
                    self._asset_json(i)
                    for i, a in self.assets.items()
                    if set(variables["tags"]) <= set(a["tags"])
                ]
            }
        }

    def do_add(self, variables: dict[str, Any], file: tuple[str, bytes]) -> Any:
        (asset_input,) = variables["input"]
        if not file[0].endswith(self.permitted):
            message = f'The MIME type of "{file[0]}" is not permitted.'
            return {"createAssets": [{"__typename": "MimeTypeError", "message": message}]}
        return {
            "createAssets": [
                {"__typename": "Asset", **self._asset_json(self._add_asset(*file, asset_input["tags"]))}
            ]
        }

    def do_put(self, variables: dict[str, Any]) -> Any:
        assert set(variables["ids"]) <= set(self.assets)
        if variables["id"] in self.variants:
            self.variants[variables["id"]] = variables["ids"]
            return {"updateProductVariants": [{"id": variables["id"]}]}
        self.product, self.featured = variables["ids"], variables["first"] or self.featured
        return {"updateProduct": {"id": variables["id"]}}

    def do_drop(self, variables: dict[str, Any]) -> Any:
        for id in variables["ids"]:
            del self.assets[id]
            self.product = [i for i in self.product if i != id]
            self.variants = {sku: [i for i in of if i != id] for sku, of in self.variants.items()}
        return {"deleteAssets": {"result": "DELETED"}}

    def _add_asset(self, name: str, data: bytes, tags: list[str]) -> str:
        self.count += 1
        id = str(self.count)
        self.assets[id] = {"name": name, "data": data, "tags": tags}
        return id

    def _asset_json(self, id: str) -> dict[str, Any]:
        asset = self.assets[id]
        kind = "BINARY" if asset["name"].endswith("glb") else "IMAGE"
        return {
            "id": id,
            "name": asset["name"],
            "source": f"/assets/{id}",
            "type": kind,
            "tags": [{"value": t} for t in asset["tags"]],
        }

    def media_names(self) -> list[str]:
        return [self.assets[i]["name"] for i in self.product]

    def add_second_variant(self) -> None:
        self.variants = {SKU: [], OTHER_SKU: []}

    def remove_variant(self, sku: str) -> None:
        del self.variants[sku]  # its assets stay in the library

    def feature(self, name: str) -> None:
        self.featured = next(id for id in self.product if self.assets[id]["name"] == name)

    def variant_media_names(self, sku: str) -> list[str]:
        return [self.assets[i]["name"] for i in self.variants[sku]]

    def featured_media_name(self) -> str:
        return str(self.assets[self.featured]["name"])

    def stored_bytes(self, name: str) -> bytes:
        return next(bytes(a["data"]) for a in self.assets.values() if a["name"] == name)
