"""A real Saleor on loopback, with its own PostgreSQL, from a tree of its public repository.

`SALEOR_TREE` names the tree; `make live` installs what it needs, by Python 3.12. PostgreSQL is Debian's,
since Saleor wants its extensions; it runs as the user `postgres`, so this needs root.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.live.servers import INSTALLED, Server, free_port

TREE = os.environ.get("SALEOR_TREE", "")
HOME = INSTALLED / "saleor"
HERE = Path(__file__).parent / "saleor"
EMAIL, PASSWORD = "admin@example.com", "word-of-the-live-test"
LONG_S = 3600


class Postgres(Server):
    """PostgreSQL of Debian. It keeps a migrated database, since Saleor's migrations take minutes."""

    def __init__(self) -> None:
        self._programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self._as_user = ["runuser", "-u", "postgres", "--"]
        folder, self._port = HOME / "postgres", free_port()
        if not (folder / "data" / "PG_VERSION").exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.chown(folder, "postgres", "postgres")
            self._do("initdb", "-D", str(folder / "data"), "-A", "trust", "-E", "UTF8")
        settings = {"port": self._port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder}
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*self._as_user, str(self._programs / "postgres"), "-D", str(folder / "data"), *flags]
        super().__init__(command, {}, Path("/"), HOME / "postgres.log", "")

    def url(self, name: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self._port}/{name}"

    def databases(self) -> list[str]:
        return self.sql("SELECT datname FROM pg_database").split()

    def sql(self, statement: str) -> str:
        where = ["-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres", "-d", "template1"]
        return self._do("psql", *where, "-v", "ON_ERROR_STOP=1", "-tAc", statement)

    def _do(self, program: str, *args: str) -> str:
        command = [*self._as_user, str(self._programs / program), *args]
        done = subprocess.run(command, cwd="/", check=True, capture_output=True, text=True, timeout=LONG_S)
        return done.stdout

    def _well(self) -> bool:
        assert self.process and self.process.poll() is None, self.log.read_text()[-3000:]
        command = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self._port)]
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


class Saleor(Server):
    """Saleor without a broker: its tasks, and so its webhooks, run within the requests."""

    def __init__(self, folder: Path, database: Postgres) -> None:
        folder.mkdir()
        (folder / "media").mkdir()
        self._python, port = HOME / "venv" / "bin" / "python", free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.api_url = f"{self.url}/graphql/"
        self._token, self._type = "", ""
        self._attributes: dict[str, str] = {}  # the ids of those that hold sizes in centimetres
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        environ = {
            "PYTHONPATH": f"{HERE}:{TREE}",
            "DJANGO_SETTINGS_MODULE": "live_settings",
            "DATABASE_URL": database.url("migrating"),
            "PUBLIC_URL": self.url,
            "JWT_TTL_ACCESS": "1 day",
            "SECRET_KEY": "secret-of-the-live-test",
            "RSA_PRIVATE_KEY": pem.decode(),
            "SALEOR_MEDIA": str(folder / "media"),
            "HTTP_IP_FILTER_ALLOW_LOOPBACK_IPS": "true",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        serve = ["-m", "uvicorn", "saleor.asgi:application", "--host", "127.0.0.1", "--port", str(port)]
        command = [str(self._python), *serve, "--lifespan", "off", "--ws", "none", "--no-access-log"]
        super().__init__(command, environ, Path(TREE), folder / "log", f"{self.url}/.well-known/jwks.json")
        self._make_database(database)

    def _make_database(self, database: Postgres) -> None:
        """Migrate a database once, and make this server's from it."""
        if "migrated" not in database.databases():
            if "migrating" not in database.databases():  # else an earlier try goes on
                database.sql("CREATE DATABASE migrating")
            self._manage("migrate", "--no-input", "--verbosity", "0")
            self._manage("createsuperuser", "--no-input", "--email", EMAIL)
            database.sql("ALTER DATABASE migrating RENAME TO migrated")
        database.sql("DROP DATABASE IF EXISTS live")
        database.sql("CREATE DATABASE live TEMPLATE migrated")
        self.environ = {**self.environ, "DATABASE_URL": database.url("live")}

    def _manage(self, *args: str) -> None:
        with self.log.open("ab") as out:
            subprocess.run(
                [str(self._python), "manage.py", *args],
                cwd=TREE,
                env={**os.environ, **self.environ},
                stdout=out,
                stderr=out,
                check=True,
                timeout=LONG_S,
            )

    def start(self) -> None:
        super().start()
        token = "mutation($e: String!, $p: String!) { tokenCreate(email: $e, password: $p) { token } }"
        self._token = str(self.ask(token, e=EMAIL, p=PASSWORD)["tokenCreate"]["token"])
        if not self._type:
            self._attributes = {axis: self._add_attribute(axis) for axis in ("width", "height", "depth")}
            about = {"name": "Furniture", "slug": "furniture", "hasVariants": True}
            made = self.ask(
                "mutation($i: ProductTypeInput!) { productTypeCreate(input: $i) "
                "{ productType { id } errors { field message } } }",
                i={**about, "productAttributes": list(self._attributes.values())},
            )["productTypeCreate"]
            self._type = str(made["productType"]["id"])

    def _add_attribute(self, name: str) -> str:
        kind = {"type": "PRODUCT_TYPE", "inputType": "NUMERIC", "unit": "CM"}
        made = self.ask(
            "mutation($i: AttributeCreateInput!) { attributeCreate(input: $i) "
            "{ attribute { id } errors { field message } } }",
            i={"name": name.title(), "slug": name, **kind},
        )
        return str(made["attributeCreate"]["attribute"]["id"])

    def ask(self, query: str, *, file: Path | None = None, **variables: Any) -> Any:
        """Ask as a member of the staff."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        body = {"query": query, "variables": {**variables, **({"file": None} if file else {})}}
        more: dict[str, Any] = {"json": body}
        if file:
            form = {"operations": json.dumps(body), "map": json.dumps({"0": ["variables.file"]})}
            more = {"data": form, "files": {"0": (file.name, file.read_bytes(), "image/jpeg")}}
        answer = requests.post(self.api_url, headers=headers, timeout=60, **more).json()
        assert not answer.get("errors"), answer
        for name, result in answer["data"].items():
            assert not (isinstance(result, dict) and result.get("errors")), (name, result)
        return answer["data"]

    def add_product(
        self,
        name: str,
        skus: list[str],
        photos: list[Path],
        own: Mapping[str, Path] = {},
        size_cm: Mapping[str, float] = {},
    ) -> str:
        """The id of a new product with a variant for each SKU, which may have a photo of its own."""
        sizes = [{"id": self._attributes[axis], "numeric": f"{cm:g}"} for axis, cm in size_cm.items()]
        made = self.ask(
            "mutation($i: ProductCreateInput!) { productCreate(input: $i) "
            "{ product { id } errors { field message } } }",
            i={"name": name, "productType": self._type, "attributes": sizes},
        )
        product = str(made["productCreate"]["product"]["id"])
        for photo in photos:
            self.add_photo(product, photo)
        for sku in skus:
            variant = self.ask(
                "mutation($i: ProductVariantCreateInput!) { productVariantCreate(input: $i) "
                "{ productVariant { id } errors { field message } } }",
                i={"product": product, "sku": sku, "name": sku, "attributes": []},
            )["productVariantCreate"]["productVariant"]["id"]
            if sku in own:
                self.ask(
                    "mutation($v: ID!, $m: ID!) { variantMediaAssign(variantId: $v, mediaId: $m) "
                    "{ errors { field message } } }",
                    v=variant,
                    m=self.add_photo(product, own[sku]),
                )
        return product

    def add_photo(self, product: str, photo: Path) -> str:
        """The id of a new medium of a product."""
        made = self.ask(
            "mutation($product: ID!, $file: Upload!) { productMediaCreate(input: {product: $product, "
            "image: $file}) { media { id } errors { field message } } }",
            file=photo,
            product=product,
        )
        return str(made["productMediaCreate"]["media"]["id"])

    def media(self, product: str) -> list[Mapping[str, Any]]:
        """The media of a product, in order."""
        found = self.ask(
            "query($id: ID!) { product(id: $id) { media { id url(size: 0) metadata { key value } } } }",
            id=product,
        )
        return list(found["product"]["media"])

    def app(self, name: str) -> str | None:
        """The id of an app, or None."""
        query = "query($n: String!) { apps(first: 100, filter: {search: $n}) { edges { node { id name } } } }"
        rows = [edge["node"] for edge in self.ask(query, n=name)["apps"]["edges"]]
        return next((str(row["id"]) for row in rows if row["name"] == name), None)

    def add_token(self, app: str) -> str:
        """A new token of an app."""
        made = self.ask(
            'mutation($a: ID!) { appTokenCreate(input: {app: $a, name: "live"}) '
            "{ authToken errors { field message } } }",
            a=app,
        )
        return str(made["appTokenCreate"]["authToken"])

    def remove_webhooks(self, app: str) -> None:
        """Delete the webhooks of an app, as its admin does."""
        query = "query($a: ID!) { app(id: $a) { webhooks { id } } }"
        for each in self.ask(query, a=app)["app"]["webhooks"]:
            self.ask("mutation($i: ID!) { webhookDelete(id: $i) { errors { field message } } }", i=each["id"])

    def rename(self, product: str, name: str) -> None:
        self.ask(
            "mutation($p: ID!, $n: String!) { productUpdate(id: $p, input: {name: $n}) "
            "{ errors { field message } } }",
            p=product,
            n=name,
        )

    def remove_variant(self, sku: str) -> None:
        self.ask(
            "mutation($s: String!) { productVariantDelete(sku: $s) { errors { field message } } }", s=sku
        )

    def remove(self, product: str) -> None:
        self.ask("mutation($p: ID!) { productDelete(id: $p) { errors { field message } } }", p=product)
