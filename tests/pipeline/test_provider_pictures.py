"""Pictures made by a provider: prompt, product match, metadata, and the local generator as a fallback."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.product_match_detection import compose_room, rotate_hue
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import Version, VersionState
from dam_connector.fakes.openai_images import FakeOpenAIImages
from dam_connector.fakes.server import FakeServer
from dam_connector.fakes.stability import FakeStability
from dam_connector.usecases import review
from dam_connector.wiring import Services
from tests.pipeline.helpers import chair, send
from tests.support import SAMPLES, PhotoServer
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.encode import encode
from worker.imaging.metadata import COMPOSITE_WITH_TRAINED_MEDIA, TRAINED_ALGORITHMIC_MEDIA, read_metadata


def half_as_large(photo: bytes) -> bytes:
    rgb = decode(photo, max_pixels=10**8).rgb
    return encode(cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), None, "jpeg")


MUG = half_as_large((SAMPLES / "mug-front.jpg").read_bytes())


def painted(
    change: Callable[[Cutout], Cutout] = lambda cutout: cutout,
) -> Callable[[Mapping[str, bytes]], bytes]:
    """A provider that sets the product of the first photo it gets into a room, perhaps changed."""

    @functools.cache
    def paint(photo: bytes) -> bytes:
        cutout = cut_out(decode(photo, max_pixels=60_000_000))
        return encode(compose_room(change(cutout), 2), None, "png")

    return lambda pictures: paint(next(iter(pictures.values())))


RIGHT, WRONG = painted(), painted(rotate_hue(80))


@pytest.fixture
def fake() -> Iterator[FakeOpenAIImages]:
    server = FakeOpenAIImages(RIGHT)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def stability() -> Iterator[FakeStability]:
    server = FakeStability(RIGHT)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def allow_hosts(photos: PhotoServer, fake: FakeServer, stability: FakeServer) -> str:
    return f"{photos.host},{fake.host},{stability.host}"


@pytest.fixture
def made(
    services: Services,
    photos: PhotoServer,
    rounds: Callable,
    write_rules: Callable,
    fake: FakeServer,
    stability: FakeServer,
) -> Callable[..., Version]:
    """A mug's lifestyle picture by these generators."""

    def make(*generator: str, options: Mapping[str, Any] | None = None, **deliverable: Any) -> Version:
        connections = json.loads(services.settings.plugin_json.read_text())["connections"]
        openai = {
            "adapter": "openai_images",
            "api_key": "env/OPENAI_API_KEY",
            "base_url": fake.base_url,
            **(options or {}),
        }
        cutter = {
            "adapter": "stability",
            "model": "remove-background",
            "api_key": "env/OPENAI_API_KEY",
            "base_url": stability.base_url,
        }
        about = {
            "name": "lifestyle",
            "kind": "rendition",
            "style": "lifestyle",
            "aspect": "4:5",
            "size_px": 1000,
            "formats": ["jpeg"],
            **deliverable,
        }
        write_rules(
            connections={**connections, "provider": {"openai": openai, "cutter": cutter}},
            deliverables=[{**about, "generator": list(generator)}],
        )
        photos.files["front.jpg"] = MUG
        send(services, chair(photos, name="Moon mug", brand="Nord"))
        rounds(3)
        return newest(services)

    return make


def newest(services: Services) -> Version:
    return max(services.assets.of_product("CH123"), key=lambda v: v.number)


def test_a_providers_picture_goes_into_review_with_its_origin(
    services: Services, made: Callable[..., Version], fake: FakeOpenAIImages
) -> None:
    version = made("openai", "local", prompt="A {name} by {brand} on a desk.", avoid="people")
    assert version.state is VersionState.IN_REVIEW and fake.billed == 1
    provenance = version.provenance
    assert (
        provenance["prompt"]
        == "A Moon mug by Nord on a desk. Do not show: people."
        == next(iter(fake.tasks.values())).body["prompt"]
    )
    assert (provenance["generator"], provenance["model_asked"], provenance["cost_usd"]) == (
        "openai",
        "gpt-image-2",
        "0.19",
    ) and provenance["request_id"].startswith("gen_")
    assert provenance["digital_source_type"] == TRAINED_ALGORITHMIC_MEDIA and provenance["seed"]
    (file,) = [f for f in version.files if f.role == "primary"]
    data = services.blobs.get(file.sha256)
    assert (
        decode(data, max_pixels=10**8).size == (800, 1000)
        and read_metadata(data)["source_type"] == TRAINED_ALGORITHMIC_MEDIA
    )
    facts = version.report.facts
    assert (
        facts["product_found"] == "by its edges"
        and float(facts["product_de2000"]) < 4
        and "cutout_confidence" not in facts
    )


def test_a_picture_of_a_changed_product_is_replaced_by_our_own(
    services: Services, made: Callable[..., Version], fake: FakeOpenAIImages
) -> None:
    fake.make = WRONG
    version = made("openai", "local")
    assert version.provenance["generator"] == "local" and version.state is VersionState.IN_REVIEW
    assert (
        not [i for i in version.report.issues if i.code.startswith("rendition.product")]
        and "product_found" not in version.report.facts
    )
    assert (
        version.provenance["cost_usd"] == "0.19" and "prompt" not in version.provenance
    )  # it was paid for all the same
    assert services.spend.totals_by("provider") == [("openai", 1, 0.19)]


def test_where_nobody_else_makes_one_it_is_shown_and_blocked(
    made: Callable[..., Version], fake: FakeOpenAIImages
) -> None:
    fake.make = WRONG
    version = made("openai")
    assert version.state is VersionState.BLOCKED and {i.code for i in version.report.errors()} == {
        "rendition.product_changed"
    }


def test_of_several_candidates_the_one_that_is_the_product_is_taken(
    made: Callable[..., Version], fake: FakeOpenAIImages
) -> None:
    turns = iter([WRONG, RIGHT, WRONG])
    fake.make = lambda pictures: next(turns)(pictures)
    version = made("openai", options={"n": 3})
    assert (
        version.state is VersionState.IN_REVIEW
        and version.report.facts["candidates"] == 3
        and version.provenance["cost_usd"] == "0.57"
    )


def test_what_cannot_be_decoded_goes_to_the_next_generator(
    made: Callable[..., Version], fake: FakeOpenAIImages
) -> None:
    fake.make = lambda pictures: RIGHT(pictures)[:5000]
    assert made("openai", "local").provenance["generator"] == "local"


def test_a_reviewers_note_becomes_part_of_the_next_prompt(
    services: Services, made: Callable[..., Version], rounds: Callable, fake: FakeOpenAIImages
) -> None:
    version = made("openai", "local", prompt="A {name}.")
    no = Decision(verdict=Verdict.REJECTED, by="ada", reasons=("colour",), note="too dark")
    review.decide(services, version, no, source="page")
    assert review.regenerate(services, version, note="", by="ada")
    rounds(3)
    again = newest(services)
    assert (
        again.number == 2
        and again.provenance["prompt"]
        == "A Moon mug. A reviewer said of the last picture: colour; too dark. Correct that."
    )
    assert list(fake.tasks.values())[-1].body["prompt"] == again.provenance["prompt"]


def test_a_person_sends_a_local_picture_to_a_provider(
    services: Services, made: Callable[..., Version], rounds: Callable, fake: FakeOpenAIImages
) -> None:
    local = made("local")
    assert local.provenance["generator"] == "local" and fake.billed == 0
    assert review.regenerate(services, local, note="in a garden", by="ada", generator="openai")
    assert review.regenerate(services, local, note="in a garden", by="ada", generator="openai") is None
    rounds(3)
    again = newest(services)
    assert (
        again.number == 2
        and again.provenance["generator"] == "openai"
        and "in a garden" in again.provenance["prompt"]
    )


def test_a_providers_cut_out_is_set_into_our_own_studio(
    services: Services, made: Callable[..., Version], stability: FakeStability
) -> None:
    def cut(pictures: Mapping[str, bytes]) -> bytes:
        cutout = cut_out(decode(pictures["front"], max_pixels=60_000_000))
        return encode(cutout.rgb, cutout.alpha, "png")

    stability.make = cut
    version = made("cutter", "local", style="studio", name="packshot", aspect="1:1")
    assert (
        version.provenance["generator"] == "cutter"
        and version.provenance["digital_source_type"] == COMPOSITE_WITH_TRAINED_MEDIA
    )
    (file,) = [f for f in version.files if f.role == "primary"]
    rgb = decode(services.blobs.get(file.sha256), max_pixels=10**8).rgb
    assert np.all(rgb[:20] > 250) and cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).min() < 120


@pytest.mark.parametrize(
    ("when", "generator"),
    [
        ({"categories": ["chairs"]}, "local"),
        ({"categories": ["decor"]}, "openai"),
        ({"min_views": 2}, "local"),
        ({"max_usd": 0.1}, "local"),
        ({"max_usd": 0.2, "min_views": 1}, "openai"),
    ],
)
def test_rules_choose_by_category_views_and_price(
    made: Callable[..., Version], when: dict, generator: str
) -> None:
    assert made("openai", "local", when={"openai": when}).provenance["generator"] == generator
