"""Tests of the demo's provider: the rules that use it, and models with the size of the samples."""

from dataclasses import replace
from pathlib import Path

import pytest

from dam_connector.fakes.demo_provider import _build_model, _size_options, with_fake_tripo
from dam_connector.settings import Settings
from schemas.rules_loader import load_rules
from tests.support import SAMPLES, picture
from worker.modeling.glb_import import read_glb


def test_the_rules_ask_tripo_first_and_our_own_code_last(tmp_path: Path) -> None:
    settings, fake = with_fake_tripo(
        replace(Settings.from_env({}, data_dir=tmp_path), allow_hosts="photos.example")
    )
    try:
        rules = load_rules(settings.plugin_json.read_text())
        assert (
            rules.deliverable("model").generator == ("tripo", "local")
            and rules.provider["tripo"].options["base_url"] == fake.base_url
        )
        assert (
            settings.secret("env/TRIPO_API_KEY")
            and settings.allow_hosts == f"photos.example,{fake.base_url.removeprefix('http://')}"
        )
        assert all(d.generator == ("local",) for d in rules.deliverables if d.kind == "image")
    finally:
        fake.stop()


def test_a_sample_gets_a_model_of_its_size_and_another_photo_none_to_go_by() -> None:
    front = (SAMPLES / "speaker-front.jpg").read_bytes()
    made = read_glb(_build_model({"front": front, "right": (SAMPLES / "speaker-right.jpg").read_bytes()}))
    assert made.extent == pytest.approx([0.16, 0.27, 0.20], rel=0.01)
    assert _size_options(picture()) == [] and _size_options(front)[:2] == ["--width-m", "0.1600"]
