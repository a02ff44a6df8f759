"""Failed runs count until their input changes, their product goes, or a person retries or dismisses them."""

from collections.abc import Callable

import pytest

from dam_connector.domain.run import RunState
from dam_connector.usecases import intake, retries
from dam_connector.usecases.product_intake import ingest_again
from dam_connector.wiring import Services
from tests.pipeline.helpers import client_of, send
from tests.support import PhotoServer, picture, record

DAMAGED = "source.damaged: It is cut off."
BROKEN = "make_renditions: ZeroDivisionError: 0"  # no fault of the input
PACKSHOT = [{"name": "packshot", "kind": "rendition", "size_px": 256}]


def take_in(
    services: Services, photos: PhotoServer, message: str, name: str = "a.jpg", **more: object
) -> None:
    services.clock.forward(1)  # type: ignore[attr-defined]
    facts = record("CH123", **{"images": {"front": photos.url(name)}, **more})
    intake.handle_delivery(services, send(services, facts, message=message)[0])


@pytest.fixture
def failed(services: Services, photos: PhotoServer, write_rules: Callable[..., None]) -> Services:
    """A product whose packshot failed, since its photo cannot be used."""
    write_rules(deliverables=PACKSHOT)
    photos.files |= {"a.jpg": picture(), "b.jpg": picture(size=(500, 400))}
    take_in(services, photos, "msg_first")
    (run,) = services.runs.page(sku="CH123")
    fail(services, run.id, DAMAGED)
    return services


def fail(services: Services, run_id: str, error: str) -> None:
    leased = services.runs.lease(run_id, "test", 60)
    assert leased
    services.runs.finish(leased, RunState.FAILED, error=error)


def failed_count(services: Services) -> int:
    return services.runs.counts("failed").get("failed", 0)


def test_it_leaves_when_the_photo_changes(failed: Services, photos: PhotoServer) -> None:
    take_in(failed, photos, "msg_photo", "b.jpg")
    assert failed_count(failed) == 0
    newest, old = failed.runs.page(sku="CH123")
    assert newest.state is RunState.QUEUED and old.state is RunState.CANCELLED


def test_it_stays_when_something_else_changes(failed: Services, photos: PhotoServer) -> None:
    take_in(failed, photos, "msg_text", description="Softer than before")
    ingest_again(failed, failed.products.get("CH123"))
    assert failed_count(failed) == 1 and len(failed.runs.page(sku="CH123")) == 1


def test_it_leaves_when_nothing_is_made_any_more_and_comes_back_with_its_input(
    failed: Services, photos: PhotoServer
) -> None:
    take_in(failed, photos, "msg_nameless", name="none.jpg")
    assert failed.products.get("CH123").flagged and failed_count(failed) == 0
    take_in(failed, photos, "msg_again")
    (run,) = failed.runs.page(sku="CH123")
    assert run.state is RunState.QUEUED


def test_it_leaves_with_its_product_and_comes_back_with_it(failed: Services, photos: PhotoServer) -> None:
    failed.clock.forward(1)  # type: ignore[attr-defined]
    gone = send(failed, {"sku": "CH123"}, message="msg_gone", kind="product.deleted")
    intake.handle_delivery(failed, gone[0])
    assert failed.products.get("CH123").deleted and failed_count(failed) == 0
    take_in(failed, photos, "msg_back")
    (run,) = failed.runs.page(sku="CH123")
    assert run.state is RunState.QUEUED


def test_a_person_dismisses_it_for_good(failed: Services, photos: PhotoServer) -> None:
    (run,) = failed.runs.page(sku="CH123")
    assert retries.dismiss_run(failed, run, by="ann") and not retries.dismiss_run(failed, run, by="ann")
    (entry,) = [e for e in failed.audit.page() if e.action == "dismissed"]
    assert (entry.by, entry.subject) == ("ann", "CH123")
    assert entry.detail == "the failed run of packshot: It is cut off."
    known = failed.products.get("CH123")
    ingest_again(failed, known)
    assert failed_count(failed) == 0 and retries.count_missing(failed, known) == 0
    assert failed.runs.generation_status(["CH123"])["CH123"] == (False, DAMAGED)  # what batches say
    take_in(failed, photos, "msg_photo", "b.jpg")
    assert failed.runs.page(sku="CH123")[0].state is RunState.QUEUED


def test_a_retry_keeps_its_checkpoint_and_follows_the_rules_in_force_for_the_same_input(
    failed: Services, write_rules: Callable[..., None], drain: Callable[[], int]
) -> None:
    (run,) = failed.runs.page(sku="CH123")
    assert failed.runs.requeue(run.id)
    fail(failed, run.id, BROKEN)
    run = failed.runs.get(run.id)
    failed.clock.forward(5)  # type: ignore[attr-defined]
    naming = {"default": "{sku}_{deliverable}_new_V{version}_{format:upper}"}
    write_rules(deliverables=PACKSHOT, naming=naming)
    queued = retries.retry_run(failed, run)
    assert queued is not None and queued.id == run.id
    assert queued.rules_fingerprint == failed.rules.current().fingerprint
    drain()
    (version,) = failed.assets.of_product("CH123")
    assert all("_new_" in file.name for file in version.files if file.role == "primary")


def test_a_retry_of_one_that_only_goes_to_other_channels_makes_nothing_twice(
    failed: Services, write_rules: Callable[..., None], drain: Callable[[], int]
) -> None:
    (run,) = failed.runs.page(sku="CH123")
    failed.clock.forward(5)  # type: ignore[attr-defined]
    write_rules(deliverables=[{**PACKSHOT[0], "channels": ["viewer"]}])
    queued = retries.retry_run(failed, run)
    assert queued is not None and queued.id == run.id
    drain()
    ingest_again(failed, failed.products.get("CH123"))
    assert len(failed.runs.page(sku="CH123", deliverable="packshot")) == 1


@pytest.mark.parametrize("is_dismissed", [False, True])
def test_by_no_way_is_it_retried_while_it_would_fail_again(failed: Services, is_dismissed: bool) -> None:
    (run,) = failed.runs.page(sku="CH123")
    if is_dismissed:
        assert retries.dismiss_run(failed, run, by="ann")
    client, state = client_of(failed, "merchandiser"), failed.runs.get(run.id).state
    answer = client.post(f"/api/v1/runs/{run.id}/retry")
    reason = "the run would fail again: It is cut off. Upload the picture again at its source"
    assert answer.status_code == 409 and reason in answer.text
    assert client.post("/api/v1/runs/retry", json={"cause": run.error}).json == {"count": 0}
    page = client.post(f"/runs/{run.id}/retry", data={"state": state.value}, follow_redirects=True).text
    assert f"Nothing is tried again: {reason}." in page and f"/runs/{run.id}/retry" not in page
    assert retries.rerun_product(failed, "CH123") == 0
    assert failed.runs.get(run.id).state is state


def test_what_did_not_fail_by_its_input_is_retried_by_the_api(failed: Services) -> None:
    (run,) = failed.runs.page(sku="CH123")
    assert failed.runs.requeue(run.id)
    fail(failed, run.id, BROKEN)
    answer = client_of(failed, "merchandiser").post(f"/api/v1/runs/{run.id}/retry")
    assert (answer.status_code, answer.json["id"], answer.json["state"]) == (202, run.id, "queued")


def test_it_is_dismissed_on_the_pages_and_by_the_api(failed: Services) -> None:
    (run,) = failed.runs.page(sku="CH123")
    client = client_of(failed, "merchandiser")
    assert 'count alarm">1<' in client.get("/runs?state=failed").text
    assert client_of(failed, "viewer").post(f"/runs/{run.id}/dismiss").status_code == 403
    page = client.post(f"/runs/{run.id}/dismiss", data={"state": "failed"}, follow_redirects=True).text
    assert "is dismissed" in page and "count alarm" not in page
    assert "Only failed runs" in client.post(f"/runs/{run.id}/dismiss", follow_redirects=True).text
    assert client.post(f"/api/v1/runs/{run.id}/dismiss").status_code == 409
    assert failed.runs.requeue(run.id)  # it can be retried all the same
    fail(failed, run.id, DAMAGED)
    assert client.post("/runs/dismiss", data={"cause": "none"}, follow_redirects=True).status_code == 200
    assert client.post("/api/v1/runs/dismiss", json={"cause": DAMAGED}).json == {"count": 1}
    assert failed_count(failed) == 0


def test_all_of_a_cause_are_dismissed_from_the_start_page(failed: Services) -> None:
    admin = client_of(failed, "admin")
    assert "Dismiss 1" in admin.get("/needs").text
    answer = admin.post("/runs/dismiss", data={"cause": DAMAGED, "from": "needs"})
    assert answer.location.endswith("/needs") and "Dismiss" not in admin.get("/needs").text
