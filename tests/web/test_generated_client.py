"""A client that openapi-python-client makes from the OpenAPI document does a round trip with the API."""

import importlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from flask import Flask

from dam_connector.store.users import UserRole
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, record

NAME = "generated_client"
OMITTED = "Unsupported content_type"  # the generator's word for answers that are files


@pytest.fixture
def generated(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """The import of a module of the client; the generator must understand the whole document."""
    from openapi_python_client import Config, generate
    from openapi_python_client.config import ConfigFile, MetaType

    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(app.test_client().get("/api/openapi.json").json))
    config = Config.from_sources(
        ConfigFile(post_hooks=[], content_type_overrides={"application/zip": "application/octet-stream"}),
        MetaType.NONE,
        document_source=document,
        file_encoding="utf-8",
        overwrite=True,
        output_path=tmp_path / NAME,
    )
    assert generate(config=config, custom_template_path=None) == []
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda name: importlib.import_module(f"{NAME}.{name}")
    for name in [name for name in sys.modules if name.split(".")[0] == NAME]:
        del sys.modules[name]


def test_a_generated_client_makes_a_round_trip(
    generated: Callable[[str], Any],
    app: Flask,
    services: Services,
    photos: PhotoServer,
    drain: Callable[[], int],
) -> None:
    token = services.users.add_token(services.users.add("pim", UserRole.ADMIN), "client")
    client = generated("client").AuthenticatedClient(base_url="http://here", token=token)
    client.set_httpx_client(
        httpx.Client(
            transport=httpx.WSGITransport(app=app),
            base_url="http://here",
            headers={"Authorization": f"Bearer {token}"},
        )
    )
    models, types = generated("models"), generated("types")

    def call(operation: str, *args: Any, **more: Any) -> Any:
        answer = generated(f"api.{operation}").sync_detailed(*args, client=client, **more)
        assert answer.status_code < 300, (operation, answer.content)
        return answer.parsed

    photo = types.File(payload=io.BytesIO(picture()), file_name="front.jpg")
    upload = call("uploads.upload", body=models.UploadIn(file=photo))
    product = models.Product.from_dict(record(images={"front": upload.address}))
    taken = call("products.add_product", body=product, idempotency_key="one")
    assert (taken.sku, taken.planned, taken.ignored) == ("CH123", 2, [])
    drain()
    state = models.VersionsState.IN_REVIEW
    page = call("versions.versions", state=state, sku="CH123")
    assert {v.deliverable for v in page.items} == {"packshot", "cutout"} and page.next_ is None
    body = models.DecisionIn(verdict=models.DecisionInVerdict.APPROVED, note="good")
    decided = call("versions.decide", page.items[0].id, body=body)
    assert decided.decision.by == "pim" and decided.decision.note == "good"
    refused = generated("api.versions.decide").sync(page.items[0].id, client=client, body=body)
    assert refused.error.name == "conflict"
    assert call("account.account").name == "pim"
