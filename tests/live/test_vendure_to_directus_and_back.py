"""The whole way through real software: a product made in Vendure is reviewed in Directus and goes live in
Vendure.
"""

import io

import pytest
import requests
from PIL import Image
from pygltflib import GLTF2

from tests.live.conftest import Live
from tests.live.servers import ROOT, until

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
MUG_CM = {"width": 11.75, "height": 9.5, "depth": 8.3}
SAMPLES = ROOT / "dam_connector" / "samples"
ROWS = (
    "/items/asset_versions?fields=id,status,version,deliverable,title,decided_by,"
    "files.directus_files_id.filename_download&sort=version&limit=-1"
)


def rows(live: Live, sku: str) -> dict[str, dict]:
    return {
        f"{r['deliverable']} {r['version']}": r
        for r in live.directus.ask("GET", f"{ROWS}&filter[sku][_eq]={sku}")
    }


def states(live: Live, sku: str) -> dict[str, str]:
    return {name: row["status"] for name, row in rows(live, sku).items()}


def say(live: Live, row: dict, **said: str) -> None:
    """A reviewer's word in Directus."""
    assert live.directus.ask("PATCH", f"/items/asset_versions/{row['id']}", live.reviewer, json=said)


@pytest.fixture(scope="module")
def mug(live: Live) -> str:
    """A product of the shop with two photos, both deliverables of which wait for a review in Directus."""
    product = live.vendure.add_product(
        "Speckled mug", "MUG-1", [SAMPLES / "mug-front.jpg", SAMPLES / "mug-right.jpg"], MUG_CM
    )
    until(
        lambda: states(live, "MUG-1") == {"packshot 1": "in_review", "model 1": "in_review"},
        120,
        "nothing came into review",
    )
    return product


def test_a_product_made_in_the_shop_is_reviewed_in_the_dam_and_goes_live_in_the_shop(
    live: Live, mug: str
) -> None:
    made = rows(live, "MUG-1")
    files = {f["directus_files_id"]["filename_download"] for f in made["model 1"]["files"]}
    assert {"MUG-1_SpeckledMug_V1_GLB.glb", "MUG-1_SpeckledMug_V1_USDZ.usdz"} <= files
    for row in made.values():
        say(live, row, status="approved")
    wanted = [
        "mug-front.jpg",
        "mug-right.jpg",
        "MUG-1_SpeckledMug_V1_JPEG.jpg",
        "MUG-1_SpeckledMug_V1_GLB.glb",
    ]
    until(lambda: live.vendure.assets(mug) == wanted, 60, f"not live: {live.vendure.assets(mug)}")
    until(lambda: set(states(live, "MUG-1").values()) == {"published"}, 30, "Directus was not told")
    found = live.vendure.ask(
        "query($id: ID!) { product(id: $id) { featuredAsset { name } assets { name source mimeType } } }",
        id=mug,
    )["product"]
    glb = next(a for a in found["assets"] if a["mimeType"] == "model/gltf-binary")
    assert GLTF2.load_from_bytes(requests.get(glb["source"], timeout=30).content).asset.version == "2.0"
    picture = next(a for a in found["assets"] if a["name"].startswith("MUG-1"))
    assert Image.open(io.BytesIO(requests.get(picture["source"], timeout=30).content)).size == (400, 400)
    assert requests.get(f"{live.connector.url}/ar/MUG-1", timeout=30).ok


def test_new_facts_in_the_shop_make_the_next_version_and_a_rollback_brings_the_first_one_back(
    live: Live, mug: str
) -> None:
    words = [{"languageCode": "en", "name": "Speckled mug, large"}]
    live.vendure.ask(
        (
            "mutation($id: ID!, $w: [ProductTranslationInput!]!) "
            "{ updateProduct(input: {id: $id, translations: $w}) { id } }"
        ),
        id=mug,
        w=words,
    )
    until(lambda: states(live, "MUG-1").get("packshot 2") == "in_review", 120, "no second version")
    assert states(live, "MUG-1")["packshot 1"] == "published"
    say(live, rows(live, "MUG-1")["packshot 2"], status="approved")
    second, first = "MUG-1_SpeckledMugLarge_V2_JPEG.jpg", "MUG-1_SpeckledMug_V1_JPEG.jpg"
    until(lambda: second in live.vendure.assets(mug), 60, "the second is not live")
    assert first not in live.vendure.assets(mug)
    until(
        lambda: states(live, "MUG-1")["packshot 1"] == "superseded",
        30,
        "Directus was not told what it replaced",
    )
    version = next(v for v in _versions(live) if v["deliverable"] == "packshot" and v["number"] == 1)
    live.connector.ask("POST", f"/versions/{version['id']}/rollback", live.api)
    until(lambda: first in live.vendure.assets(mug), 60, "the first did not come back")
    assert live.vendure.assets(mug)[:3] == [
        "mug-front.jpg",
        "mug-right.jpg",
        first,
    ] and second not in live.vendure.assets(mug)
    until(
        lambda: (
            states(live, "MUG-1") | {"packshot 1": "published", "packshot 2": "superseded"}
            == states(live, "MUG-1")
        ),
        30,
        "Directus was not told",
    )


def _versions(live: Live) -> list[dict]:
    return [
        v | {"deliverable": a["deliverable"]}
        for a in live.connector.ask("GET", "/assets?sku=MUG-1", live.api)
        for v in a["versions"]
    ]


def test_a_file_changed_by_hand_is_not_approved_and_the_row_goes_back_into_review(
    live: Live, mug: str
) -> None:
    until(lambda: states(live, "MUG-1").get("model 2") == "in_review", 120, "no second model")
    row = rows(live, "MUG-1")["model 2"]
    glb = next(
        f
        for f in live.directus.ask("GET", "/files?limit=-1")
        if f["filename_download"] == "MUG-1_SpeckledMugLarge_V2_GLB.glb"
    )
    live.directus.ask(
        "PATCH",
        f"/files/{glb['id']}",
        files={"file": ("other.glb", b"glTF, but not ours", "model/gltf-binary")},
    )
    say(live, row, status="approved")
    until(lambda: states(live, "MUG-1")["model 2"] == "in_review", 60, "it was not put back")
    assert (
        next(v for v in _versions(live) if v["deliverable"] == "model" and v["number"] == 2)["state"]
        == "in_review"
    )


def test_a_decision_here_stands_in_the_dam_with_its_reason_and_a_later_one_there_is_overruled(
    live: Live, mug: str
) -> None:
    version = next(v for v in _versions(live) if v["deliverable"] == "model" and v["number"] == 2)
    live.connector.ask(
        "POST",
        f"/versions/{version['id']}/decision",
        live.api,
        json={"verdict": "rejected", "reasons": ["colour"], "note": "too dark"},
    )
    until(lambda: states(live, "MUG-1")["model 2"] == "rejected", 30, "Directus was not told")
    row = live.directus.ask("GET", f"/items/asset_versions/{rows(live, 'MUG-1')['model 2']['id']}")
    assert (row["decided_by"], row["reject_reason"]) == ("ann", "colour; too dark")
    live.directus.ask(
        "PATCH", f"/items/asset_versions/{row['id']}", json={"status": "approved"}
    )  # an admin of the DAM, later
    until(lambda: states(live, "MUG-1")["model 2"] == "rejected", 60, "the later word stayed")


def test_each_connection_makes_its_round_trip_and_leaves_nothing(live: Live, mug: str) -> None:
    before = len(live.directus.ask("GET", "/files?limit=-1"))
    for name in ("shop", "directus", "store"):
        assert f"{name}: good" in live.connector.run("connection", "test", name, "--sku", "MUG-1")
    assert len(live.directus.ask("GET", "/files?limit=-1")) == before and not rows(live, "connection-test")
