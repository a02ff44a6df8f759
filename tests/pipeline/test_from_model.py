"""Renditions from the product's model, moods from an inspiration image, and labels from the photo to the made
file.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dam_connector.domain.issue import Waiver
from dam_connector.domain.run import RunState
from dam_connector.domain.version import Role, VersionState
from dam_connector.usecases import review
from dam_connector.wiring import Services
from tests.certificates import write_credential
from tests.pipeline.helpers import Drain, chair, send, versions
from tests.support import MODEL, PhotoServer, picture, rules_json
from worker.gltf.container import read_json
from worker.imaging.content_credentials import read_manifest
from worker.imaging.metadata import (
    ALGORITHMIC_MEDIA,
    ALGORITHMICALLY_ENHANCED,
    COMPOSITE_WITH_TRAINED_MEDIA,
    TRAINED_ALGORITHMIC_MEDIA,
    read_metadata,
    write_metadata,
)
from worker.modeling.glb_import import read_glb

MODEL_ONE = {**MODEL, "formats": ["glb"], "max_triangles": 1500}
SPIN = {
    "name": "spin",
    "kind": "rendition",
    "made_from": "model",
    "motion": "spin",
    "frames": 8,
    "size_px": 96,
    "formats": ["webp"],
}
CLIP = {
    "name": "clip",
    "kind": "rendition",
    "made_from": "model",
    "motion": "clip",
    "frames": 8,
    "size_px": 96,
}
ROOM = {
    "name": "room",
    "kind": "rendition",
    "made_from": "model",
    "style": "lifestyle",
    "size_px": 96,
    "formats": ["jpeg"],
}
NAMED = {"default": "{sku}_{name:pascal}_{deliverable}_V{version}_{format:upper}"}


def test_what_is_made_from_a_model_follows_it(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[SPIN, CLIP, ROOM, MODEL_ONE], naming=NAMED)
    send(services, chair(photos))
    drain()
    made = versions(services)
    assert {v.state for v in made.values()} == {VersionState.IN_REVIEW} and set(made) == {
        "model",
        "spin",
        "clip",
        "room",
    }
    names = sorted(f.name for f in made["spin"].files if f.role is Role.PRIMARY)
    assert names == [f"CH123_ModernDiningChair_spin_V1_WEBP_0{n}.webp" for n in range(1, 9)]
    for name in ("spin", "clip", "room"):
        assert not made[name].report.errors() and made[name].list_picture
        assert (
            made[name].provenance["made_from"] == "model V1"
            and made[name].provenance["source_model"] == made["model"].file("glb").sha256
        )
    labels = read_metadata(services.blobs.get(made["clip"].file("webp", Role.PRIMARY).sha256))
    assert labels["source_type"] == ALGORITHMIC_MEDIA and labels["sku"] == "CH123"
    send(services, chair(photos), message="msg_2")
    drain()
    assert len(services.runs.page()) == 4


def test_levels_of_detail_are_made_on_request(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[{**MODEL_ONE, "formats": ["glb", "lod1", "lod2"]}], naming=NAMED)
    send(services, chair(photos))
    drain()
    model = versions(services)["model"]
    assert model.state is VersionState.IN_REVIEW and not model.report.errors()
    files = {f.format: f for f in model.files if f.role is Role.PRIMARY}
    assert [files[level].name for level in ("lod1", "lod2")] == [
        f"CH123_ModernDiningChair_model_V1_GLB_{level}.glb" for level in ("lod1", "lod2")
    ]
    whole, half, quarter = (read_glb(services.blobs.get(files[f].sha256)) for f in ("glb", "lod1", "lod2"))
    assert len(quarter.faces) < len(half.faces) <= len(whole.faces) // 4 and len(quarter.faces) <= max(
        64, len(whole.faces) // 16
    )
    assert files["lod2"].bytes < files["lod1"].bytes < files["glb"].bytes
    assert np.allclose(whole.extent, half.extent, rtol=1e-3) and np.allclose(
        whole.extent, quarter.extent, rtol=1e-3
    )


def test_the_next_model_makes_the_next_renditions(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[SPIN, MODEL_ONE], naming=NAMED)
    send(services, chair(photos))
    drain()
    review.regenerate(services, versions(services)["model"], note="again", by="ann")
    drain()
    states = {(v.asset.deliverable, v.number): v.state for v in services.assets.of_product("CH123")}
    assert (
        states[("model", 2)] == states[("spin", 2)] == VersionState.IN_REVIEW
        and states[("spin", 1)] is VersionState.SUPERSEDED
    )
    newest = next(
        v for v in services.assets.of_product("CH123") if v.asset.deliverable == "spin" and v.number == 2
    )
    assert newest.provenance["made_from"] == "model V2"


def test_a_blocked_model_gives_no_renditions_until_it_is_waived(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[SPIN, MODEL_ONE], naming=NAMED, checks={"max_model_bytes": 1024})
    send(services, chair(photos))
    drain()
    made = versions(services)
    assert set(made) == {"model"} and made["model"].state is VersionState.BLOCKED
    review.waive(services, made["model"], Waiver(code="file.bytes", by="root", reason="a test"))
    drain()
    assert versions(services)["spin"].state is VersionState.IN_REVIEW


@pytest.mark.issue("source.missing_model")
def test_a_model_that_was_rejected_meanwhile_is_reported(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[SPIN, MODEL_ONE], naming=NAMED)
    send(services, chair(photos))
    drain()
    made = versions(services)
    services.assets.transition(made["model"].id, VersionState.REJECTED)
    review.regenerate(services, made["spin"], note="", by="ann")
    drain()
    assert "source.missing_model" in {i.code for i in services.products.get("CH123").issues}


def test_an_inspiration_image_colours_the_room_and_nothing_else(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    room = {"name": "room", "kind": "rendition", "style": "lifestyle", "size_px": 160, "formats": ["jpeg"]}
    write_rules(deliverables=[rules_json()["deliverables"][0], room], naming=NAMED)
    photos.files["mood.jpg"] = picture(lambda a: a.__setitem__(slice(None), (90, 120, 200)))
    send(services, chair(photos))
    drain()
    services.clock.forward(1)
    send(services, chair(photos, inspiration_image=photos.url("mood.jpg")), message="msg_2")
    drain()
    numbers = {d: v.number for d, v in versions(services).items()}
    assert numbers == {"packshot": 1, "room": 2}
    before, after = (
        v.file("jpeg").sha256
        for v in reversed(services.assets.of_product("CH123"))
        if v.asset.deliverable == "room"
    )
    assert before != after and "source_inspiration" in versions(services)["room"].provenance


@pytest.mark.parametrize("content", [None, b"no picture at all"])
@pytest.mark.issue("source.inspiration")
def test_an_inspiration_image_that_is_of_no_use_is_a_warning(
    content: bytes | None, services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(
        deliverables=[
            {"name": "room", "kind": "rendition", "style": "lifestyle", "size_px": 160, "formats": ["jpeg"]}
        ]
    )
    if content:
        photos.files["mood.jpg"] = content
    send(services, chair(photos, inspiration_image=photos.url("mood.jpg")))
    drain()
    version = versions(services)["room"]
    found = [*services.products.get("CH123").issues, *version.report.issues]
    assert version.state is VersionState.IN_REVIEW
    assert [(i.code, i.severity.value, i.pointer) for i in found if i.code.startswith("source.i")] == [
        ("source.inspiration", "warning", "/inspiration_image")
    ]


def test_a_photos_rights_and_the_mark_of_an_ai_stay_with_all_that_is_made_from_it(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[rules_json()["deliverables"][0], MODEL_ONE])
    photos.files["front.jpg"] = write_metadata(
        picture(), {"rights": "© 2026 Studio", "creator": "Ann", "source_type": TRAINED_ALGORITHMIC_MEDIA}
    )
    send(services, chair(photos, brand="Nord"))
    drain()
    made = versions(services)
    for format in ("jpeg", "webp"):
        labels = read_metadata(services.blobs.get(made["packshot"].file(format, Role.PRIMARY).sha256))
        assert (
            labels["rights"] == "© 2026 Studio"
            and labels["creator"] == "Ann"
            and labels["source_type"] == COMPOSITE_WITH_TRAINED_MEDIA
        )
        assert labels["alt_text"] == "Modern Dining Chair by Nord, front view" and labels["version"] == "1"
    asset = read_json(services.blobs.get(made["model"].file("glb").sha256))["asset"]
    assert (
        asset["copyright"] == "© 2026 Studio"
        and asset["extras"]["source_type"] == COMPOSITE_WITH_TRAINED_MEDIA
    )
    assert made["packshot"].provenance["photo_rights"] == "© 2026 Studio"


def test_pictures_are_signed_when_a_certificate_is_configured(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing = replace(services, settings=replace(services.settings, **write_credential(tmp_path)))
    monkeypatch.setattr("worker.jobs.services", lambda: signing)
    send(services, chair(photos))
    drain()
    version = versions(services)["packshot"]
    file = version.file("jpeg")
    manifest = read_manifest(services.blobs.get(file.sha256), "image/jpeg")
    assert manifest["title"] == file.name and ALGORITHMICALLY_ENHANCED in str(manifest["assertions"])
    assert [i["title"] for i in manifest["ingredients"]] == ["front"] and not version.report.errors()


def test_a_certificate_that_cannot_sign_stops_the_run_with_a_word(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = replace(services, settings=replace(services.settings, c2pa_certificate=str(tmp_path / "none.pem")))
    monkeypatch.setattr("worker.jobs.services", lambda: half)
    send(services, chair(photos))
    drain()
    errors = {(r.state, r.error) for r in services.runs.page()}
    assert {state for state, _ in errors} == {RunState.FAILED} and all(
        "none.pem cannot be read" in e for _, e in errors
    )
