"""The kit: a real WooCommerce and a real ResourceSpace on loopback, as their people use them.

`LIVE_KIT` names a folder of a started kit (with `rig.json`) or the kit itself (with `start` and `stop`).
"""

import hashlib
import json
import os
from typing import Any
from urllib.parse import urlencode

import requests

from tests.contracts.traffic import Recorder, differences, load, save
from tests.support import picture

KIT = os.environ.get("LIVE_KIT", "")


class Shop:
    """The real shop as its merchant uses it."""

    def __init__(self, rig: dict[str, Any]) -> None:
        self.url = rig["wordpress"]["url"]
        self.keys = rig["woocommerce"]["keys"]
        self.author = rig["wordpress"]["author"]
        self.made: list[int] = []

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        auth = tuple(self.keys["read_write"].values())
        if path.startswith("/wp/"):
            auth = (self.author["user"], self.author["application_password"])
        data = body if isinstance(body, bytes) else json.dumps(body) if body is not None else None
        found = requests.request(
            method,
            f"{self.url}/wp-json{path}",
            data=data,
            auth=auth,
            headers={"Content-Type": "application/json", **headers},
            timeout=120,
        )
        found.raise_for_status()
        return found.json()

    def picture(self, name: str) -> dict[str, int]:
        named = {"Content-Type": "image/jpeg", "Content-Disposition": f'attachment; filename="{name}"'}
        return {"id": self.call("POST", "/wp/v2/media", picture(), **named)["id"]}

    def product(self, **values: Any) -> int:
        number = int(self.call("POST", "/wc/v3/products", values)["id"])
        self.made.append(number)
        return number

    def clean(self) -> None:
        for number in self.made:
            self.call("DELETE", f"/wc/v3/products/{number}?force=true")


def call_resourcespace(
    rig: dict[str, Any], user: str, function: str, file: Any = None, **params: Any
) -> requests.Response:
    """Call a function of the API of ResourceSpace as one of its people."""
    about = rig["resourcespace"]
    query = urlencode({"user": user, "function": function, **params})
    signature = hashlib.sha256((about["users"][user]["api_key"] + query).encode()).hexdigest()
    form = {"query": query, "sign": signature, "user": user}
    files = {"file": file} if file else None
    return requests.post(about["api"], data=form, files=files, timeout=60)


def settle(name: str, recorder: Recorder) -> None:
    """Hold the exchanges against the recording, or write it anew."""
    if os.environ.get("RECORD_TRAFFIC"):
        save(name, recorder.exchanges)
    found = list(differences(load(name), recorder.exchanges))
    assert found == [], found
