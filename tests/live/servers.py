"""Real servers on loopback, started from nothing in a directory of their own and ended with the test:
Directus and Vendure, as `make live` installed them.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parent.parent.parent
INSTALLED = ROOT / ".live"
ADMIN = "admin-token-of-the-live-test"
HOOK = "hook-secret-of-the-live-test"
PASSWORD = "word-of-the-live-test"
WAIT_S = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A process that listens, with its log; `end` stops it and all that it started."""

    command: list[str]
    environ: Mapping[str, str]
    cwd: Path
    log: Path
    health: str
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env={**os.environ, **self.environ},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        until(self._well, WAIT_S, f"{self.command[0]} did not start: see {self.log}")

    def _well(self) -> bool:
        assert self.process and self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(self.health, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)


def until(condition: Any, seconds: float, words: str) -> Any:
    """What the condition gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, words
        time.sleep(0.2)
    return found


class Directus(Server):
    """Directus 11 on SQLite."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "uploads").mkdir()
        (folder / "extensions").mkdir()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        environ = {
            "DB_CLIENT": "sqlite3",
            "DB_FILENAME": str(folder / "data.db"),
            "SECRET": "secret-of-the-live-test-secret-of-the-live-test",
            "ADMIN_EMAIL": "admin@example.com",
            "ADMIN_PASSWORD": PASSWORD,
            "ADMIN_TOKEN": ADMIN,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "PUBLIC_URL": self.url,
            "TELEMETRY": "false",
            "STORAGE_LOCATIONS": "local",
            "STORAGE_LOCAL_ROOT": str(folder / "uploads"),
            "EXTENSIONS_PATH": str(folder / "extensions"),
            "IMPORT_IP_DENY_LIST": "",
            "FLOWS_ENV_ALLOW_LIST": "CONNECTOR_SECRET",
            "CONNECTOR_SECRET": HOOK,
            "WEBSOCKETS_ENABLED": "false",
        }
        home = INSTALLED / "directus"
        cli = ["node", str(home / "node_modules/directus/cli.js")]
        subprocess.run(
            [*cli, "bootstrap"],
            cwd=home,
            env={**os.environ, **environ},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        super().__init__([*cli, "start"], environ, home, folder / "log", f"{self.url}/server/ping")

    def ask(self, method: str, path: str, token: str = ADMIN, **more: Any) -> Any:
        answer = requests.request(
            method, f"{self.url}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=30, **more
        )
        return answer.json().get("data") if answer.content else None

    def person(self, name: str, role: str) -> str:
        """The token of a new user with this role."""
        role_id = self.ask("GET", f"/roles?filter[name][_eq]={role}")[0]["id"]
        token = f"token-of-{name}-in-the-live-test"
        made = {
            "email": f"{name}@example.com",
            "first_name": name.title(),
            "password": PASSWORD,
            "token": token,
            "role": role_id,
        }
        assert self.ask("POST", "/users", json=made)
        return token


class Vendure(Server):
    """Vendure 3 on SQLite, with the plugin of docs/connections/vendure.md and what a shop needs before it can
    hold a product.
    """

    def __init__(self, folder: Path, webhook_url: str) -> None:
        folder.mkdir()
        (folder / "assets").mkdir()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._token, self._is_new = "", True
        environ = {
            "SHOP_DIR": str(folder),
            "SHOP_PORT": str(port),
            "SHOP_PASSWORD": PASSWORD,
            "DAM_WEBHOOK_URL": webhook_url,
            "DAM_WEBHOOK_SECRET": HOOK,
            "VENDURE_DISABLE_TELEMETRY": "true",
        }
        home = INSTALLED / "vendure"
        super().__init__(["node", "server.js"], environ, home, folder / "log", f"{self.url}/health")

    def start(self) -> None:
        super().start()
        answer = requests.post(
            f"{self.url}/admin-api",
            json={
                "query": (
                    f'mutation {{ login(username: "superadmin", password: "{PASSWORD}") {{ __typename }} }}'
                )
            },
            timeout=30,
        )
        self._token = answer.headers["vendure-auth-token"]
        if self._is_new:
            self._set_up()
            self._is_new = False

    def _set_up(self) -> None:
        """Create what a shop needs before it can hold a product."""
        country = self.ask(
            "mutation "
            '{ made: createCountry(input: {code: "DE", enabled: true, '
            'translations: [{languageCode: en, name: "Germany"}]}) { id } }'
        )
        zone = self.ask(
            'mutation($ids: [ID!]) { made: createZone(input: {name: "EU", memberIds: $ids}) { id } }',
            ids=[country["made"]["id"]],
        )
        self.ask(
            (
                "mutation($z: ID!) "
                '{ updateChannel(input: {id: "1", defaultTaxZoneId: $z, '
                "defaultShippingZoneId: $z}) { __typename } }"
            ),
            z=zone["made"]["id"],
        )
        self.ask('mutation { createTaxCategory(input: {name: "Standard", isDefault: true}) { id } }')

    def ask(self, query: str, **variables: Any) -> Any:
        answer = requests.post(
            f"{self.url}/admin-api",
            json={"query": query, "variables": variables},
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=30,
        ).json()
        assert not answer.get("errors"), answer
        return answer["data"]

    def upload(self, path: Path) -> str:
        """The id of a picture that was put into the shop."""
        query = (
            "mutation($input: [CreateAssetInput!]!) "
            "{ createAssets(input: $input) { ... on Asset { id } ... on ErrorResult { message } } }"
        )
        form = {
            "operations": json.dumps({"query": query, "variables": {"input": [{"file": None}]}}),
            "map": json.dumps({"0": ["variables.input.0.file"]}),
        }
        headers = {"Authorization": f"Bearer {self._token}", "apollo-require-preflight": "true"}
        with path.open("rb") as file:
            answer = requests.post(
                f"{self.url}/admin-api",
                data=form,
                files={"0": (path.name, file, "image/jpeg")},
                headers=headers,
                timeout=60,
            ).json()
        assert "id" in answer["data"]["createAssets"][0], answer
        return str(answer["data"]["createAssets"][0]["id"])

    def add_product(self, name: str, sku: str, photos: list[Path], size_cm: Mapping[str, float]) -> str:
        """The id of a new product with one variant and these photos."""
        ids = [self.upload(photo) for photo in photos]
        words = [{"languageCode": "en", "name": name, "slug": sku.lower(), "description": ""}]
        about = {"translations": words, "assetIds": ids, "customFields": dict(size_cm)}
        product = self.ask(
            "mutation($i: CreateProductInput!) { made: createProduct(input: $i) { id } }", i=about
        )["made"]["id"]
        variant = [
            {
                "productId": product,
                "sku": sku,
                "price": 9900,
                "translations": [{"languageCode": "en", "name": name}],
            }
        ]
        self.ask(
            "mutation($v: [CreateProductVariantInput!]!) { createProductVariants(input: $v) { id } }",
            v=variant,
        )
        return str(product)

    def add_products(self, names: Mapping[str, str], photo: Path, size_cm: Mapping[str, float]) -> list[str]:
        """The ids of new products with one photo, by two requests; their names by SKU."""
        asset, fields = self.upload(photo), {}
        for number, (sku, name) in enumerate(names.items()):
            words = [{"languageCode": "en", "name": name, "slug": sku.lower(), "description": ""}]
            about = {"translations": words, "assetIds": [asset], "customFields": dict(size_cm)}
            fields[f"p{number}"] = about
        declared = ", ".join(f"${each}: CreateProductInput!" for each in fields)
        calls = " ".join(f"{each}: createProduct(input: ${each}) {{ id }}" for each in fields)
        made = self.ask(f"mutation({declared}) {{ {calls} }}", **fields)
        ids = [str(made[each]["id"]) for each in fields]
        rows = [
            {"productId": id, "sku": sku, "price": 9900}
            | {"translations": [{"languageCode": "en", "name": name}]}
            for id, (sku, name) in zip(ids, names.items(), strict=True)
        ]
        self.ask(
            "mutation($v: [CreateProductVariantInput!]!) { createProductVariants(input: $v) { id } }", v=rows
        )
        return ids

    def add_variants(
        self,
        name: str,
        sku: str,
        photos: list[Path],
        variants: Mapping[str, list[Path]],
        size_cm: Mapping[str, float],
    ) -> str:
        """The id of a new product with a variant for each SKU, with its own photos if it has some."""
        ids = [self.upload(photo) for photo in photos]
        words = [{"languageCode": "en", "name": name, "slug": sku.lower(), "description": ""}]
        about = {"translations": words, "assetIds": ids, "customFields": dict(size_cm)}
        made = "mutation($i: CreateProductInput!) { made: createProduct(input: $i) { id } }"
        product = str(self.ask(made, i=about)["made"]["id"])
        options = [{"code": s.lower(), "translations": [{"languageCode": "en", "name": s}]} for s in variants]
        group = {"code": f"{sku}-colour".lower(), "options": options}
        group["translations"] = [{"languageCode": "en", "name": "Colour"}]
        query = (
            "mutation($i: CreateProductOptionGroupInput!) "
            "{ made: createProductOptionGroup(input: $i) { id options { id } } }"
        )
        found = self.ask(query, i=group)["made"]
        self.ask(
            "mutation($p: ID!, $g: ID!) { addOptionGroupToProduct(productId: $p, optionGroupId: $g) { id } }",
            p=product,
            g=found["id"],
        )
        rows = [
            {
                "productId": product,
                "sku": variant,
                "price": 9900,
                "optionIds": [option["id"]],
                "assetIds": [self.upload(photo) for photo in own],
                "translations": [{"languageCode": "en", "name": f"{name} {variant}"}],
            }
            for (variant, own), option in zip(variants.items(), found["options"], strict=True)
        ]
        self.ask(
            "mutation($v: [CreateProductVariantInput!]!) { createProductVariants(input: $v) { id } }", v=rows
        )
        return product

    def variant_assets(self, product: str) -> dict[str, list[str]]:
        """The names of the assets of each variant, by SKU."""
        query = "query($id: ID!) { product(id: $id) { variants { sku assets { name } } } }"
        found = self.ask(query, id=product)["product"]["variants"]
        return {each["sku"]: [asset["name"] for asset in each["assets"]] for each in found}

    def assets(self, product: str) -> list[str]:
        """The names of a product's assets, in order."""
        found = self.ask("query($id: ID!) { product(id: $id) { assets { name } } }", id=product)
        return [asset["name"] for asset in found["product"]["assets"]]


class Connector(Server):
    """Our own service, as `dam-connector up` starts it."""

    def __init__(self, folder: Path, port: int, rules: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "plugin.json").write_text(json.dumps(rules))
        self.url = f"http://127.0.0.1:{port}"
        self.environ_of_commands = {
            **secrets,
            "DAM_CONNECTOR_DATA_DIR": str(folder / "data"),
            "DAM_CONNECTOR_PLUGIN_JSON": str(folder / "plugin.json"),
            "DAM_CONNECTOR_ALLOW_HOSTS": "127.0.0.1",
            "DAM_CONNECTOR_PORT": str(port),
        }
        super().__init__(
            [sys.executable, "-m", "dam_connector.cli", "up", "--workers", "2"],
            self.environ_of_commands,
            ROOT,
            folder / "log",
            f"{self.url}/readyz",
        )

    def add_secrets(self, secrets: Mapping[str, str]) -> None:
        """Give further variables to the service, when it starts, and to its commands."""
        self.environ_of_commands = {**self.environ_of_commands, **secrets}
        self.environ = self.environ_of_commands

    def run(self, *args: str) -> str:
        """What a command of ours printed."""
        code, said = self.try_run(*args)
        assert code == 0, said
        return said

    def try_run(self, *args: str, environ: Mapping[str, str] | None = None) -> tuple[int, str]:
        """The exit code of a command of ours, and what it printed: of one that failed also its errors."""
        done = subprocess.run(
            [sys.executable, "-m", "dam_connector.cli", *args],
            env={**os.environ, **(environ or self.environ_of_commands)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + (done.stderr if done.returncode else "")

    def ask(self, method: str, path: str, token: str, **more: Any) -> Any:
        answer = requests.request(
            method,
            f"{self.url}/api/v1{path}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            **more,
        )
        assert answer.ok, answer.text
        return answer.json()
