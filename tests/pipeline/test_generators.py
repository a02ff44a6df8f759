"""Generators of models: our own code and providers, tried in the order of the rules."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dam_connector.app import create_app
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import CheckOutcome
from dam_connector.domain.version import ORIGINAL_MODEL, Version, VersionState
from dam_connector.errors import Refused
from dam_connector.store.users import UserRole
from dam_connector.wiring import Services, check_rules
from tests.pipeline.helpers import chair, send, versions
from tests.support import PhotoServer, picture
from tests.unit.glb_cases import varying_colours
from tests.unit.shapes import ball
from worker.gltf.document import Document
from worker.gltf.features import features
from worker.modeling.glb_export import write_glb

CUBE = {"width": 30, "height": 30, "depth": 30, "unit": "cm"}


@pytest.fixture
def made(
    services: Services, photos: PhotoServer, rounds: Callable, write_rules: Callable
) -> Callable[..., Version]:
    """A product's model by these generators, after some rounds of work; the provider is called `gen` and
    gives a ball.
    """

    def make(
        *generator: str, fail_with: Refused | None = None, sent: bytes = b"", **deliverable: Any
    ) -> Version:
        connections = json.loads(services.settings.plugin_json.read_text())["connections"]
        write_rules(
            connections={**connections, "provider": {"gen": {"adapter": "memory", "polls": 2}}},
            deliverables=[
                {
                    "name": "model",
                    "kind": "model",
                    "generator": list(generator),
                    "formats": ["glb"],
                    "texture_px": 512,
                    **deliverable,
                }
            ],
        )
        services.provider("gen").results = (sent or write_glb(ball(3.0), "remote"),)
        services.provider("gen").fail_with = fail_with
        send(services, chair(photos, dimensions=CUBE))
        rounds()
        return versions(services)["model"]

    return make


def test_a_provider_task_parks_the_run_and_its_model_goes_the_same_way(
    services: Services, made: Callable[..., Version]
) -> None:
    version = made("gen", "local", channels=["viewer"])
    assert (
        version.provenance["generator"] == "gen" and version.report.facts["size_m"] == "0.300 x 0.300 x 0.300"
    )
    assert len(services.provider("gen").poll_counts) == 1


def test_a_providers_model_is_kept_as_it_is_and_its_original_can_be_had(
    services: Services, made: Callable[..., Version]
) -> None:
    sent = varying_colours()
    version = made("gen", sent=sent, formats=["glb", "usdz", "web", "lod1"])
    document = Document(services.blobs.get(version.file("glb").sha256))
    assert features(document) == features(Document(sent)) == ("vertex colours",)
    assert version.report.facts["kept_as_it_is"] == "vertex colours"
    rows = {row.check: row for row in version.report.rows}
    assert rows["likeness to the original"].outcome is CheckOutcome.PASS
    assert services.blobs.get(Sha256(str(version.provenance[ORIGINAL_MODEL]))) == sent
    client, user = create_app(services).test_client(), services.users.add("ann", UserRole.VIEWER)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {services.users.add_token(user, 'test')}"
    answer = client.get(f"/originals/{version.id}")
    assert answer.data == sent and answer.mimetype == "model/gltf-binary"
    assert client.get("/originals/none").status_code == 404
    assert f"/originals/{version.id}".encode() in client.get(f"/versions/{version.id}").data
    client.environ_base.pop("HTTP_AUTHORIZATION")
    assert client.get(f"/originals/{version.id}").status_code in (302, 401)


def test_a_local_model_below_the_threshold_goes_to_the_provider(
    services: Services, made: Callable[..., Version]
) -> None:
    version = made("local", "gen", min_confidence=1.0)
    assert version.provenance["generator"] == "gen" and "confidence" not in version.report.facts
    assert (
        not [i for i in version.report.issues if i.code.startswith("model.")]
        and len(services.provider("gen").poll_counts) == 1
    )


@pytest.mark.issue("model.below_threshold")
def test_a_local_model_below_the_threshold_is_flagged_when_nobody_else_makes_one(
    made: Callable[..., Version],
) -> None:
    version = made("local", min_confidence=1.0)
    assert version.state is VersionState.BLOCKED and "model.below_threshold" in {
        i.code for i in version.report.issues
    }


def test_a_photo_that_our_code_cannot_cut_out_goes_to_the_provider(
    photos: PhotoServer, made: Callable[..., Version]
) -> None:
    photos.files["front.jpg"] = picture(lambda rgb: None)
    assert made("local", "gen").provenance["generator"] == "gen"


def test_a_refusing_provider_falls_back_to_our_own_code(made: Callable[..., Version]) -> None:
    assert (
        made("gen", "local", fail_with=Refused("gen", "submit", "moderated")).provenance["generator"]
        == "local"
    )


def test_rules_that_ask_a_provider_for_a_kind_it_does_not_make_are_reported(
    services: Services, write_rules: Callable
) -> None:
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    tripo = {"adapter": "tripo", "api_key": "env/TRIPO_API_KEY"}
    picture_of = {
        "name": "lifestyle",
        "kind": "rendition",
        "style": "lifestyle",
        "generator": ["tripo", "local"],
    }
    write_rules(connections={**connections, "provider": {"tripo": tripo}}, deliverables=[picture_of])
    assert check_rules(services.rules.current(), services) == [
        "/deliverables/0/generator: tripo (tripo) makes no image"
    ]
