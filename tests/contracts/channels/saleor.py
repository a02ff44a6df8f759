"""Saleor's GraphQL interface played: pictures only, media with metadata, orders by all their ids."""

from typing import Any

from tests.contracts.channels.harness import SKU, THEIRS, GraphShop


class PlayedSaleor(GraphShop):
    vendor = "saleor"
    path = "/graphql/"
    links_models = True
    options = {"token": "env/TOKEN"}

    def __init__(self) -> None:
        self.media: dict[str, dict[str, Any]] = {f"m{n}": self._new(name, b"theirs") for n, name in enumerate(THEIRS)}
        self.count = 100
        self.metadata: dict[str, str] = {}
        super().__init__()

    def own_options(self) -> dict[str, Any]:
        return {"api_url": f"{self.base_url}/graphql/"}

    def do_place(self, said: dict[str, Any]) -> Any:
        if said["sku"] != SKU:
            return {"productVariant": None}
        media = [{"id": id, "type": "IMAGE", **self._shown(m)} for id, m in self.media.items()]
        return {
            "productVariant": {"id": "v1", "media": [], "product": {"id": "p1", "metadata": _pairs(self.metadata), "variants": [{}], "media": media}}
        }

    def do_add(self, said: dict[str, Any], file: tuple[str, bytes]) -> Any:
        name, data = file[0].rpartition(".")[0], file[1]
        assert data.startswith(b"\xff\xd8")
        self.count += 1
        id = f"m{self.count}"
        self.media[id] = self._new(f"{name}_a1b2c3.jpg", data)  # as the real one, which adds something of its own
        return {"productMediaCreate": {"media": {"id": id, **self._shown(self.media[id])}, "errors": []}}

    def do_mark(self, said: dict[str, Any]) -> Any:
        place = self.metadata if said["id"] == "p1" else self.media[said["id"]]["metadata"]
        place |= {pair["key"]: pair["value"] for pair in said["said"]}
        return {"updateMetadata": {"errors": []}}

    def do_unmark(self, said: dict[str, Any]) -> Any:
        for key in said["keys"]:
            self.metadata.pop(key, None)
        return {"deleteMetadata": {"errors": []}}

    def do_order(self, said: dict[str, Any]) -> Any:
        assert sorted(said["ids"]) == sorted(self.media)  # it wants them all
        self.media = {id: self.media[id] for id in said["ids"]}
        return {"productMediaReorder": {"errors": []}}

    def do_drop(self, said: dict[str, Any]) -> Any:
        for id in said["ids"]:
            del self.media[id]
        return {"productMediaBulkDelete": {"errors": []}}

    def _new(self, name: str, data: bytes) -> dict[str, Any]:
        return {"name": name, "data": data, "metadata": {}}

    def _shown(self, media: dict[str, Any]) -> dict[str, Any]:
        return {"url": f"https://cdn.example/products/{media['name']}", "alt": "", "metadata": _pairs(media["metadata"])}

    def shown(self) -> list[str]:
        return [m["name"] for m in self.media.values()]

    def bytes_of(self, name: str) -> bytes:
        return next(bytes(m["data"]) for m in self.media.values() if m["name"] == name)

    def links(self) -> list[str]:
        return list(self.metadata.values())


def _pairs(data: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": k, "value": v} for k, v in data.items()]
