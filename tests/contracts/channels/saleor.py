"""A fake Saleor: pictures only, media with metadata, a media order that needs all ids.

Source: saleor/saleor 3.24, `saleor/graphql/product/types/products.py` (a medium's `url` is that of a
thumbnail of 4,096 pixels, made by the first request to `/thumbnail/ID/4096/`, unless `size` is 0) and
`schema.graphql`.

Whoever has not the token of an app is a stranger there, who sees nothing and gets no error.
"""

from typing import Any

from dam_connector.fakes.server import API_KEY, FakeReply, FakeRequest
from tests.contracts.channels.harness import MERCHANT_MEDIA, OTHER_SKU, SKU, FakeGraphQlChannel
from tests.contracts.shop_pims import SALEOR_DENIED


class FakeSaleor(FakeGraphQlChannel):
    vendor = "saleor"
    path = "/graphql/"
    has_model_links = True
    options = {"token": "env/TOKEN"}

    def __init__(self) -> None:
        self.media: dict[str, dict[str, Any]] = {
            f"m{n}": self._new_media(name, b"theirs") for n, name in enumerate(MERCHANT_MEDIA)
        }
        self.count = 100
        self.variants: dict[str, list[str]] = {}  # the media of each, once there are two
        self.metadata: dict[str, str] = {}
        self.permissions = ["MANAGE_PRODUCTS"]
        self.translations: dict[tuple[str, str], dict[str, str]] = {}  # by id and language code
        super().__init__()

    def is_authorized(self, request: FakeRequest) -> bool:
        return True

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        if request.headers.get("authorization") != f"Bearer {API_KEY}":
            is_place = "query Place" in self._parse(request)[0]
            return FakeReply(200, {"data": {"productVariant": None}} if is_place else SALEOR_DENIED)
        return super().answer(request, operation)

    def connection_options(self) -> dict[str, Any]:
        return {"api_url": f"{self.base_url}/graphql/"}

    def do_place(self, variables: dict[str, Any]) -> Any:
        if variables["sku"] not in (self.variants or [SKU]):
            return {"productVariant": None}
        variants = [{"id": v} for v in self.variants or [SKU]]
        product = {**self._product_json(), "variants": variants}
        own = [{"id": id} for id in self.variants.get(variables["sku"], [])]
        return {"productVariant": {"id": variables["sku"], "media": own, "product": product}}

    def do_left(self, variables: dict[str, Any]) -> Any:
        if variables["key"] not in self.metadata:
            return {"products": {"edges": []}}
        return {"products": {"edges": [{"node": self._product_json()}]}}

    def do_rights(self, variables: dict[str, Any]) -> Any:
        return {"app": {"name": "dam-connector", "permissions": [{"code": c} for c in self.permissions]}}

    def _product_json(self) -> dict[str, Any]:
        media = [{"type": "IMAGE", **self._media_json(id)} for id in self.media]
        return {"id": "p1", "metadata": _pairs(self.metadata), "media": media}

    def remove_variant(self, sku: str) -> None:
        del self.variants[sku]

    def do_show(self, variables: dict[str, Any]) -> Any:
        self.variants[variables["variant"]].append(variables["id"])
        return {"variantMediaAssign": {"errors": []}}

    def do_add(self, variables: dict[str, Any], file: tuple[str, bytes]) -> Any:
        name, data = file[0].rpartition(".")[0], file[1]
        assert data.startswith(b"\xff\xd8")
        self.count += 1
        id = f"m{self.count}"
        self.media[id] = self._new_media(f"{name}_a1b2c3.jpg", data)  # like the real one, which adds a suffix
        self.media[id]["alt"] = variables["alt"]
        return {"productMediaCreate": {"media": self._media_json(id), "errors": []}}

    def do_describe(self, variables: dict[str, Any]) -> Any:
        self.media[variables["id"]]["alt"] = variables["alt"]
        return {"productMediaUpdate": {"errors": []}}

    def do_mark(self, variables: dict[str, Any]) -> Any:
        place = self.metadata if variables["id"] == "p1" else self.media[variables["id"]]["metadata"]
        place |= {pair["key"]: pair["value"] for pair in variables["input"]}
        return {"updateMetadata": {"errors": []}}

    def do_translate(self, variables: dict[str, Any]) -> Any:
        self._translate(variables, {"name", "description"})
        return {"productTranslate": {"errors": []}}

    def do_translatemedium(self, variables: dict[str, Any]) -> Any:
        self._translate(variables, {"alt"})
        return {"productMediaTranslate": {"errors": []}}

    def _translate(self, variables: dict[str, Any], fields: set[str]) -> None:
        assert set(variables["input"]) <= fields
        self.translations.setdefault((variables["id"], variables["language"]), {}).update(variables["input"])

    def do_unmark(self, variables: dict[str, Any]) -> Any:
        for key in variables["keys"]:
            self.metadata.pop(key, None)
        return {"deleteMetadata": {"errors": []}}

    def do_order(self, variables: dict[str, Any]) -> Any:
        assert sorted(variables["ids"]) == sorted(self.media)  # Saleor requires all of them
        self.media = {id: self.media[id] for id in variables["ids"]}
        return {"productMediaReorder": {"errors": []}}

    def do_drop(self, variables: dict[str, Any]) -> Any:
        for id in variables["ids"]:
            del self.media[id]
            self.variants = {sku: [i for i in of if i != id] for sku, of in self.variants.items()}
        return {"productMediaBulkDelete": {"errors": []}}

    def _new_media(self, name: str, data: bytes) -> dict[str, Any]:
        return {"name": name, "data": data, "metadata": {}, "alt": ""}

    def _media_json(self, id: str) -> dict[str, Any]:
        media = self.media[id]
        path = (
            f"media/products/{media['name']}"
            if "url(size: 0)" in self.query_text
            else f"thumbnail/{id}/4096/"
        )
        return {
            "id": id,
            "url": f"{self.base_url}/{path}",
            "alt": media["alt"],
            "metadata": _pairs(media["metadata"]),
        }

    def show_own_picture(self, sku: str) -> None:
        self.variants[sku] = ["m1"]

    def add_second_variant(self) -> None:
        self.variants = {SKU: [], OTHER_SKU: []}

    def move_to_front(self, name: str) -> None:
        found = next(id for id, m in self.media.items() if m["name"] == name)
        self.media = {found: self.media[found], **self.media}

    def variant_media_names(self, sku: str) -> list[str]:
        return [self.media[id]["name"] for id in self.variants[sku]]

    def media_names(self) -> list[str]:
        return [m["name"] for m in self.media.values()]

    def alt_texts(self) -> list[str]:
        return [m["alt"] for m in self.media.values()]

    def stored_bytes(self, name: str) -> bytes:
        return next(bytes(m["data"]) for m in self.media.values() if m["name"] == name)

    def model_links(self) -> list[str]:
        return [
            value
            for key, value in self.metadata.items()
            if key.startswith(("dam_connector.glb.", "dam_connector.usdz."))
        ]


def _pairs(data: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": k, "value": v} for k, v in data.items()]
