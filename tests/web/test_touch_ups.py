"""Touch-ups of cut-outs: strokes are stored with the run that follows, and count for the photo for ever."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from flask.testing import FlaskClient

from dam_connector.domain.version import Version, VersionState
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product, rules_json
from worker.imaging.decode import decode

STROKE = {"keep": False, "radius": 0.1, "points": [[0.5, 0.5], [0.5, 0.6]], "stops_at_edges": False}


@pytest.fixture
def version(
    services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable
) -> Version:
    """A packshot in review."""
    write_rules(deliverables=rules_json()["deliverables"][:1])
    photos.files["a.jpg"] = picture()
    intake.add_product(services, product("A1", images={"front": photos.url("a.jpg")}), by="test")
    drain()
    return services.assets.of_product("A1")[0]


def mask(services: Services, version: Version) -> np.ndarray:
    assert version.mask is not None
    return decode(services.blobs.get(version.mask.sha256), max_pixels=10**7).rgb[..., 0] > 127


def newest(services: Services) -> Version:
    return max(services.assets.of_product("A1"), key=lambda v: v.number)


@pytest.mark.parametrize("text", ["[" * 50_000, "[" * 200 + "]" * 200, "9" * 5000, "[NaN]"])
def test_strokes_that_cannot_be_read_are_refused(
    text: str, version: Version, browser_like: Callable[[str], FlaskClient]
) -> None:
    address = f"/versions/{version.id}/touch-up"
    assert browser_like("reviewer").post(address, data={"strokes": text}).status_code == 400


def test_the_page_stores_strokes_and_the_next_versions_are_made_with_them(
    version: Version,
    browser_like: Callable[[str], FlaskClient],
    services: Services,
    drain: Callable[[], int],
) -> None:
    client, address = browser_like("reviewer"), f"/versions/{version.id}"
    page = client.get(address).text
    assert "data-mask=" in page and version.mask is not None and version.mask.sha256 in page
    assert version.mask not in version.channel_files
    client.post(f"{address}/touch-up", data={"strokes": json.dumps([STROKE])})
    assert "touched up by reviewer: 1 stroke" in client.get(address).text
    drain()
    second = newest(services)
    height, width = mask(services, second).shape
    was, now = (mask(services, v)[height // 2, width // 2] for v in (version, second))
    assert second.number == 2 and was and not now
    (stored,) = services.touch_ups.of_photo(version.masked_sha256)  # type: ignore[arg-type]
    assert second.provenance["touch_up"] == stored.id and stored.version_id == version.id
    assert second.report.facts["mask_corrected"] == "1 stroke by reviewer"
    told = next(i for i in second.report.issues if i.code == "cutout.corrected")
    assert "doubt" not in told.message and not told.measured  # there was none
    assert second.report.facts["cutout_confidence"] == version.report.facts["cutout_confidence"]
    client.post(f"/versions/{second.id}/regenerate", data={"note": "again"})
    drain()
    third = newest(services)
    assert third.number == 3 and (mask(services, third) == mask(services, second)).all()
    client.post(f"/versions/{third.id}/touch-up", data={"strokes": "[]", "replaces": "yes"})
    drain()
    fourth = newest(services)
    assert fourth.number == 4 and (mask(services, fourth) == mask(services, version)).all()


@pytest.fixture
def doubted(
    services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable
) -> Version:
    """A packshot whose cut-out is in doubt, of a photo that another product has, too."""
    write_rules(deliverables=rules_json()["deliverables"][:1], imaging={"min_probability": 1.0})
    photos.files["a.jpg"] = picture()
    for sku in ("A1", "B1"):
        intake.add_product(services, product(sku, images={"front": photos.url("a.jpg")}), by="test")
    drain()
    return services.assets.of_product("A1")[0]


def codes(version: Version) -> set[str]:
    return {i.code for i in version.report.issues}


@pytest.mark.issue("cutout.corrected", "cutout.uncertain")
def test_one_dot_lifts_no_doubt_but_a_look_at_the_whole_mask_does_on_each_product(
    doubted: Version, browser_like: Callable[[str], FlaskClient], services: Services, drain: Callable
) -> None:
    assert "cutout.uncertain" in codes(doubted) and doubted.state is VersionState.BLOCKED
    client, address = browser_like("reviewer"), f"/versions/{doubted.id}/touch-up"
    dot = {"keep": True, "radius": 0.01, "points": [[0.5, 0.5]]}
    client.post(address, data={"strokes": json.dumps([dot])})
    drain()
    second = newest(services)
    assert second.number == 2 and "cutout.uncertain" in codes(second)
    told = next(i for i in second.report.issues if i.code == "cutout.corrected")
    assert "1 stroke by reviewer" in told.message and "its doubt stays" in told.message
    client.post(address, data={"strokes": json.dumps([dot]), "mask_seen": "yes"})
    drain()
    third = newest(services)
    assert third.number == 3 and "cutout.uncertain" not in codes(third)
    assert "looked at the whole mask" in client.get(f"/versions/{doubted.id}").text
    other = services.assets.of_product("B1")[0]
    client.post(f"/versions/{other.id}/regenerate", data={"note": "again"})
    drain()
    of_other = max(services.assets.of_product("B1"), key=lambda v: v.number)
    before = doubted.report.facts["cutout_confidence"]
    for version in (third, of_other):
        told = next(i for i in version.report.issues if i.code == "cutout.corrected")
        assert "2 strokes by reviewer" in told.message and "doubt was lifted" in told.message
        assert version.report.facts["cutout_confidence"] == before == float(told.measured)
        assert "before it was corrected" in client.get(f"/versions/{version.id}").text


def test_the_page_of_a_model_leads_to_the_mask_of_its_photo(
    services: Services,
    photos: PhotoServer,
    drain: Callable[[], int],
    write_rules: Callable,
    browser_like: Callable[[str], FlaskClient],
) -> None:
    packshot = rules_json()["deliverables"][0]
    model = {"name": "model", "kind": "model", "max_triangles": 500, "texture_px": 512}
    photos.files["a.jpg"] = picture()
    write_rules(deliverables=[model], imaging={"min_probability": 1.0})
    intake.add_product(services, product("A1", images={"front": photos.url("a.jpg")}), by="test")
    drain()
    (made,) = services.assets.of_product("A1")
    address, client = f"/versions/{made.id}", browser_like("reviewer")
    assert "cutout.uncertain" in codes(made) and made.mask is None
    assert "No picture of this product shows this photo's mask" in client.get(address).text
    write_rules(deliverables=[model, packshot], imaging={"min_probability": 1.0})
    intake.add_product(
        services, product("A1", images={"front": photos.url("a.jpg")}, name="Other"), by="test"
    )
    drain()
    (shown,) = [v for v in services.assets.of_product("A1") if v.asset.deliverable == "packshot"]
    link = f'<a href="/versions/{shown.id}">Mask of the front photo: packshot V1</a>'
    assert link in client.get(address).text


def test_the_api_takes_strokes_and_lists_them(
    version: Version, api: Callable[[str], FlaskClient], services: Services
) -> None:
    address = f"/api/v1/versions/{version.id}/touch-ups"
    assert api("viewer").post(address, json={"strokes": [STROKE]}).status_code == 403
    taken = api("reviewer").post(address, json={"strokes": [STROKE]})
    assert (taken.status_code, taken.json["planned"]) == (202, 1)
    (item,) = api("viewer").get(address).json["items"]
    assert item["strokes"] == [STROKE] and item["by"] == "reviewer"
    refused = api("reviewer").post(address, json={"strokes": []})
    assert refused.status_code == 422 and "paint on the mask first" in refused.text
    services.products.set_findings("A1", {}, ())
    refused = api("reviewer").post(address, json={"strokes": [STROKE]})
    assert refused.status_code == 422 and "has another photo now" in refused.text


WRONG = [
    {"radius": 0},
    {"radius": 0.3},
    {"points": []},
    {"points": [[0.5]]},
    {"points": [[0.5, 1.2]]},
    {"points": [["0.5", 0.5]]},
    {"points": [[0.5, 0.5]] * 401},
    {"colour": "red"},
    {"keep": "perhaps"},
]


def test_a_stroke_that_is_none_is_refused(
    version: Version,
    api: Callable[[str], FlaskClient],
    browser_like: Callable[[str], FlaskClient],
    services: Services,
) -> None:
    of_api, of_page = api("reviewer"), browser_like("reviewer")
    for change in WRONG:
        strokes = [{**STROKE, **change}]
        refused = of_api.post(f"/api/v1/versions/{version.id}/touch-ups", json={"strokes": strokes})
        assert refused.status_code == 422, change
        answer = of_page.post(f"/versions/{version.id}/touch-up", data={"strokes": json.dumps(strokes)})
        assert answer.status_code == 400 and "paint them again" in answer.text
    assert services.touch_ups.of_photo(version.masked_sha256) == []  # type: ignore[arg-type]
