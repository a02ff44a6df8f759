"""Two pairs of real systems, driven as their people drive them: Vendure with Directus, WooCommerce with
ResourceSpace. The tests of the whole way ask both for the same.
"""

import html
import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin

import requests

from tests.live.kit import Shop, call_resourcespace
from tests.live.servers import Connector, Directus, Vendure

HIDDEN = re.compile(r'<input[^>]*type="hidden"[^>]*>')
NAME, VALUE = re.compile(r'name="([^"]*)"'), re.compile(r'value="([^"]*)"')
ARCHIVE = {"-1": "in_review", "0": "approved", "2": "archived", "3": "deleted", "4": "rejected"}


class Pair(Protocol):
    """A shop and a DAM with our service between them, and what their people do there."""

    name: str
    connector: Connector
    api: str  # a token of our API
    dam: str  # names of the connections
    shop: str
    # The DAM's words for a version that was approved, and for one that was withdrawn.
    approved: tuple[str, ...]
    withdrawn: tuple[str, ...]

    def add(
        self, name: str, sku: str, photos: list[Path], variants: Mapping[str, list[Path]] = {}
    ) -> str: ...
    def add_many(self, skus: list[str], photo: Path) -> list[str]: ...
    def rename(self, product: str, name: str) -> None: ...
    def remove(self, product: str) -> None: ...
    def restore(self, product: str) -> None: ...
    def gallery(self, product: str) -> list[str]: ...
    def take_off(self, product: str, name: str) -> None: ...
    def dam_state(self, ref: str) -> str: ...
    def say(self, ref: str, verdict: str, note: str = "") -> None: ...
    def replace_file(self, ref: str) -> None: ...
    def dam_away(self) -> Any: ...


@dataclass
class VendureAndDirectus:
    """Vendure and Directus. Directus' people use its API, as its own pages do."""

    directus: Directus
    vendure: Vendure
    connector: Connector
    reviewer: str
    api: str
    name: str = "vendure and directus"
    dam: str = "directus"
    shop: str = "shop"
    approved: tuple[str, ...] = ("approved", "published")
    withdrawn: tuple[str, ...] = ("withdrawn",)
    _facts: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def add(self, name: str, sku: str, photos: list[Path], variants: Mapping[str, list[Path]] = {}) -> str:
        size = {"width": 40, "height": 50, "depth": 45}
        if variants:
            product = self.vendure.add_variants(name, sku, photos, variants, size)
        else:
            product = self.vendure.add_product(name, sku, photos, size)
        self._facts[product] = (name, sku, photos, size)
        return product

    def add_many(self, skus: list[str], photo: Path) -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda sku: self.add(f"Mug {sku}", sku, [photo]), skus))

    def rename(self, product: str, name: str) -> None:
        words = [{"languageCode": "en", "name": name}]
        self.vendure.ask(
            "mutation($id: ID!, $w: [ProductTranslationInput!]!) "
            "{ updateProduct(input: {id: $id, translations: $w}) { id } }",
            id=product,
            w=words,
        )

    def remove(self, product: str) -> None:
        self.vendure.ask("mutation($id: ID!) { deleteProduct(id: $id) { result } }", id=product)

    def restore(self, product: str) -> None:
        """Vendure restores no product: its merchant makes it again, with the same SKU."""
        name, sku, photos, size = self._facts[product]
        self._facts["restored"] = (self.vendure.add_product(name, sku, photos, size),)

    def gallery(self, product: str) -> list[str]:
        return self.vendure.assets(product)

    def restored(self, product: str) -> str:
        return str(self._facts["restored"][0])

    def take_off(self, product: str, name: str) -> None:
        found = self.vendure.ask("query($id: ID!) { product(id: $id) { assets { id name } } }", id=product)
        gone = next(a["id"] for a in found["product"]["assets"] if a["name"] == name)
        self.vendure.ask(
            "mutation($id: ID!) { deleteAsset(input: {assetId: $id, force: true}) { result } }", id=gone
        )

    def dam_state(self, ref: str) -> str:
        row = self.directus.ask("GET", f"/items/asset_versions/{ref}?fields=status")
        return str(row["status"]) if row else "gone"

    def say(self, ref: str, verdict: str, note: str = "") -> None:
        said = {"status": verdict, **({"reject_reason": note} if note else {})}
        assert self.directus.ask("PATCH", f"/items/asset_versions/{ref}", self.reviewer, json=said)

    def replace_file(self, ref: str) -> None:
        query = f"/items/asset_versions/{ref}?fields=files.directus_files_id.id"
        file = self.directus.ask("GET", query)["files"][0]["directus_files_id"]["id"]
        other = {"file": ("other.jpg", b"\xff\xd8\xff not ours", "image/jpeg")}
        self.directus.ask("PATCH", f"/files/{file}", files=other)

    @contextmanager
    def dam_away(self) -> Iterator[None]:
        """Stop Directus, and start it again."""
        self.directus.end()
        try:
            yield
        finally:
            self.directus.start()


@dataclass
class WooCommerceAndResourceSpace:
    """WooCommerce and ResourceSpace. A reviewer there presses the buttons of its pages."""

    rig: dict[str, Any]
    connector: Connector
    api: str
    name: str = "woocommerce and resourcespace"
    dam: str = "rs"
    shop: str = "shop"
    approved: tuple[str, ...] = ("approved",)
    withdrawn: tuple[str, ...] = ("archived",)
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

    def remove(self, product: str) -> None:
        self._shop.call("DELETE", f"/wc/v3/products/{product}")

    def restore(self, product: str) -> None:
        self._shop.call("PUT", f"/wc/v3/products/{product}", {"status": "publish"})

    def restored(self, product: str) -> str:
        return product

    def gallery(self, product: str) -> list[str]:
        images = self._shop.call("GET", f"/wc/v3/products/{product}")["images"]
        return [str(image["src"]).rpartition("/")[2] for image in images]

    def take_off(self, product: str, name: str) -> None:
        images = self._shop.call("GET", f"/wc/v3/products/{product}")["images"]
        left = [{"id": i["id"]} for i in images if not str(i["src"]).endswith(name)]
        self._shop.call("PUT", f"/wc/v3/products/{product}", {"images": left})

    def dam_state(self, ref: str) -> str:
        found = call_resourcespace(self.rig, "admin", "get_resource_data", resource=ref).json()
        return ARCHIVE.get(str(found["archive"]), str(found["archive"])) if found else "gone"

    def say(self, ref: str, verdict: str, note: str = "") -> None:
        """Press *Publish* or *Reject* on the resource's page."""
        about = self.rig["resourcespace"]
        action = about["workflow_actions"]["publish" if verdict == "approved" else "reject"]
        browser, login = requests.Session(), f"{about['url']}/login.php"
        person = about["users"]["reviewer"]
        form = {**_hidden(browser.get(login, timeout=60).text), "username": person["user"]}
        browser.post(login, data={**form, "password": person["password"]}, timeout=60)
        page = browser.get(f"{about['url']}/pages/view.php?ref={ref}", timeout=60).text
        pattern = rf'<form action="([^"]+)"\s+id="resource_{ref}_workflowaction{action}">(.*?)</form>'
        found = re.search(pattern, page, re.S)
        assert found, f"no button on the page of resource {ref}"
        pressed = {**_hidden(found[2]), f"more_workflow_action_{action}": note}
        address = urljoin(about["url"], html.unescape(found[1]))
        assert browser.post(address, data=pressed, timeout=60).ok

    def replace_file(self, ref: str) -> None:
        file = ("other.jpg", b"\xff\xd8\xff not ours", "image/jpeg")
        more = {"ref": ref, "no_exif": 1, "revert": 0}
        found = call_resourcespace(self.rig, "admin", "upload_multipart", file=file, **more)
        assert found.status_code == 204

    @contextmanager
    def dam_away(self) -> Iterator[None]:
        """Let no process of ResourceSpace answer, and let all go on again."""
        group = os.getpgid(self.rig["pids"]["resourcespace"])
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGCONT)


def _hidden(page: str) -> dict[str, str]:
    """The hidden fields of a form."""
    found = {}
    for each in HIDDEN.findall(page):
        name, value = NAME.search(each), VALUE.search(each)
        if name:
            found[html.unescape(name[1])] = html.unescape(value[1]) if value else ""
    return found


def rules_of_kit(rig: dict[str, Any]) -> dict[str, Any]:
    """Our plugin.json for WooCommerce and ResourceSpace."""
    connections = json.loads(json.dumps(rig["connections"]))
    connections["channel"]["viewer"] = {"adapter": "viewer"}
    packshot = {"name": "packshot", "kind": "rendition", "size_px": 320, "formats": ["jpeg"]}
    return {
        "name": "live",
        "version": "1.0.0",
        "connections": connections,
        "products": {"required": ["sku", "name", "images.any"]},
        "deliverables": [{**packshot, "channels": ["viewer", "store"]}],
        "review": {"dam": "rs"},
    }
