"""Real shops as their merchants use them: Vendure and WooCommerce."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tests.live.dams import paused
from tests.live.kit import Shop
from tests.live.servers import Vendure

SIZE_CM = {"width": 40, "height": 50, "depth": 45}


class Merchant(Protocol):
    """A shop, and what its merchant does there."""

    name: ClassVar[str]

    def add(
        self, name: str, sku: str, photos: list[Path], variants: Mapping[str, list[Path]] = {}
    ) -> str: ...
    def add_many(self, skus: list[str], photo: Path) -> list[str]: ...
    def rename(self, product: str, name: str) -> None: ...
    def remove(self, *products: str) -> None: ...
    def restore(self, product: str) -> str: ...
    def gallery(self, product: str) -> list[str]: ...
    def pictures(self, product: str, sku: str) -> list[str]: ...
    def own_pictures(self, product: str, sku: str) -> list[str]: ...
    def remove_variant(self, product: str, sku: str) -> None: ...
    def take_off(self, product: str, name: str) -> None: ...
    def away(self) -> Any: ...
    def wrong_rights(self) -> Iterator[tuple[Mapping[str, str], str]]: ...


@dataclass
class VendureMerchant:
    """Vendure, by its Admin API."""

    vendure: Vendure
    name: ClassVar[str] = "vendure"
    _facts: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def add(self, name: str, sku: str, photos: list[Path], variants: Mapping[str, list[Path]] = {}) -> str:
        if variants:
            return self.vendure.add_variants(name, sku, photos, variants, SIZE_CM)
        product = self.vendure.add_product(name, sku, photos, SIZE_CM)
        self._facts[product] = (name, sku, photos, SIZE_CM)
        return product

    def add_many(self, skus: list[str], photo: Path) -> list[str]:
        """Create them by two requests, so that all their webhooks are of one second or two."""
        return self.vendure.add_products({sku: f"Mug {sku}" for sku in skus}, photo, SIZE_CM)

    def rename(self, product: str, name: str) -> None:
        words = [{"languageCode": "en", "name": name}]
        self.vendure.ask(
            "mutation($id: ID!, $w: [ProductTranslationInput!]!) "
            "{ updateProduct(input: {id: $id, translations: $w}) { id } }",
            id=product,
            w=words,
        )

    def remove(self, *products: str) -> None:
        self.vendure.ask(
            "mutation($ids: [ID!]!) { deleteProducts(ids: $ids) { result } }", ids=list(products)
        )

    def restore(self, product: str) -> str:
        """Vendure restores no product: its merchant makes it again, with the same SKU."""
        name, sku, photos, size = self._facts[product]
        return self.vendure.add_product(name, sku, photos, size)

    def gallery(self, product: str) -> list[str]:
        return self.vendure.assets(product)

    def pictures(self, product: str, sku: str) -> list[str]:
        """Those of ours at the variant, or at the product once it has no other variant."""
        of_product = [name for name in self.gallery(product) if name.startswith(sku)]
        return [*self.vendure.variant_assets(product).get(sku, []), *of_product]

    def own_pictures(self, product: str, sku: str) -> list[str]:
        return [name for name in self.vendure.variant_assets(product)[sku] if "_V" not in name]

    def remove_variant(self, product: str, sku: str) -> None:
        found = self.vendure.ask("query($id: ID!) { product(id: $id) { variants { id sku } } }", id=product)
        gone = next(each["id"] for each in found["product"]["variants"] if each["sku"] == sku)
        self.vendure.ask("mutation($id: ID!) { deleteProductVariant(id: $id) { result } }", id=gone)

    def take_off(self, product: str, name: str) -> None:
        found = self.vendure.ask("query($id: ID!) { product(id: $id) { assets { id name } } }", id=product)
        gone = next(a["id"] for a in found["product"]["assets"] if a["name"] == name)
        self.vendure.ask(
            "mutation($id: ID!) { deleteAsset(input: {assetId: $id, force: true}) { result } }", id=gone
        )

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop Vendure, and start it again."""
        self.vendure.end()
        try:
            yield
        finally:
            self.vendure.start()

    def wrong_rights(self) -> Iterator[tuple[Mapping[str, str], str]]:
        """Yield the environment of a command, and a word of the message that it must end with."""
        yield {"SHOP_PASSWORD": "no such password"}, "credentials"
        for permission in ("CreateAsset", "UpdateCatalog"):
            with self._without_permission(permission):
                yield {}, permission

    @contextmanager
    def _without_permission(self, permission: str, role: str = "dam-connector") -> Iterator[None]:
        """Take a permission off a role, and give it back."""
        query = (
            "query($c: String!) { roles(options: {filter: {code: {eq: $c}}}) { items { id permissions } } }"
        )
        found = self.vendure.ask(query, c=role)["roles"]["items"][0]
        change = "mutation($i: UpdateRoleInput!) { updateRole(input: $i) { id } }"
        left = [each for each in found["permissions"] if each != permission]
        assert left != found["permissions"], f"{role} has no permission {permission}"
        self.vendure.ask(change, i={"id": found["id"], "permissions": left})
        try:
            yield
        finally:
            self.vendure.ask(change, i={"id": found["id"], "permissions": found["permissions"]})


@dataclass
class WooCommerceMerchant:
    """WooCommerce, by its REST interface."""

    rig: dict[str, Any]
    name: ClassVar[str] = "woocommerce"
    _shop: Shop = field(init=False)

    def __post_init__(self) -> None:
        self._shop = Shop(self.rig)

    def add(self, name: str, sku: str, photos: list[Path], variants: Mapping[str, list[Path]] = {}) -> str:
        values: dict[str, Any] = {"name": name, "sku": sku, "images": [self._picture(p) for p in photos]}
        values["dimensions"] = {"width": "40", "height": "50", "length": "45"}
        if not variants:
            return str(self._shop.product(**values))
        colours = [{"name": "Color", "options": list(variants), "variation": True}]
        product = self._shop.product(**{**values, "type": "variable", "attributes": colours})
        for variant, own in variants.items():
            body = {"sku": variant, "attributes": [{"name": "Color", "option": variant}]}
            image = {"image": self._picture(own[0])} if own else {}
            self._shop.call("POST", f"/wc/v3/products/{product}/variations", {**body, **image})
        return str(product)

    def add_many(self, skus: list[str], photo: Path) -> list[str]:
        """Create them by one request, so that their webhooks are of the same second or two."""
        images = [self._picture(photo)]
        rows = [{"name": f"Mug {sku}", "sku": sku, "images": images} for sku in skus]
        made = self._shop.call("POST", "/wc/v3/products/batch", {"create": rows})["create"]
        return [str(each["id"]) for each in made]

    def _picture(self, photo: Path) -> dict[str, int]:
        named = {"Content-Type": "image/jpeg"}
        named["Content-Disposition"] = f'attachment; filename="{photo.name}"'
        return {"id": self._shop.call("POST", "/wp/v2/media", photo.read_bytes(), **named)["id"]}

    def rename(self, product: str, name: str) -> None:
        self._shop.call("PUT", f"/wc/v3/products/{product}", {"name": name})

    def remove(self, *products: str) -> None:
        """Move them to the trash, several in one second."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda each: self._shop.call("DELETE", f"/wc/v3/products/{each}"), products))

    def restore(self, product: str) -> str:
        self._shop.call("PUT", f"/wc/v3/products/{product}", {"status": "publish"})
        return product

    def gallery(self, product: str) -> list[str]:
        images = self._shop.call("GET", f"/wc/v3/products/{product}")["images"]
        return [_file_name(image) for image in images]

    def pictures(self, product: str, sku: str) -> list[str]:
        """Those of ours that lie in the product's gallery: a variation has a single picture of its own."""
        return [name for name in self.gallery(product) if name.startswith(sku)]

    def own_pictures(self, product: str, sku: str) -> list[str]:
        image = self._variation(product, sku).get("image")
        return [_file_name(image)] if image else []

    def remove_variant(self, product: str, sku: str) -> None:
        number = self._variation(product, sku)["id"]
        self._shop.call("DELETE", f"/wc/v3/products/{product}/variations/{number}?force=true")

    def _variation(self, product: str, sku: str) -> dict[str, Any]:
        rows = self._shop.call("GET", f"/wc/v3/products/{product}/variations")
        return dict(next(each for each in rows if each["sku"] == sku))

    def take_off(self, product: str, name: str) -> None:
        images = self._shop.call("GET", f"/wc/v3/products/{product}")["images"]
        left = [{"id": i["id"]} for i in images if _file_name(i) != name]
        self._shop.call("PUT", f"/wc/v3/products/{product}", {"images": left})

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let no process of WordPress answer, and let all go on again."""
        with paused(self.rig["pids"]["wordpress"]):
            yield

    def wrong_rights(self) -> Iterator[tuple[Mapping[str, str], str]]:
        """Yield the environment of a command, and a word of the message that it must end with."""
        keys = self.rig["woocommerce"]["keys"]["read"]
        yield {"WOOCOMMERCE_KEY": keys["key"], "WOOCOMMERCE_SECRET": keys["secret"]}, "Read/Write"
        yield {"WORDPRESS_PASSWORD": "no such password"}, "application password"


def _file_name(image: Mapping[str, Any]) -> str:
    return str(image["src"]).rpartition("/")[2]
