"""Tests of single providers for models, and of wrong options: the requests that each vendor gets."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from dam_connector.domain.run import RunKind
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, Refused, SubmitUnknown, Unavailable
from dam_connector.fakes.server import MINIMAL_GLB
from dam_connector.fakes.tripo import WEBHOOK_SECRET
from dam_connector.ports import RemoteTaskState
from tests.contracts.provider_harness import ProviderHarness, generation_request
from tests.support import picture

Vendor = Callable[[str], ProviderHarness]


def test_tripo_is_asked_for_one_view_or_several(vendor: Vendor) -> None:
    h = vendor("tripo")
    tripo = h.adapter()
    one = h.fake.tasks[tripo.submit(generation_request()).ref]
    assert (
        one.body["model"] == "v3.1-20260211"
        and one.body["face_limit"] == 10_000
        and one.body["texture_quality"] == "standard"
    )
    assert one.pictures == {"front": picture()} and h.fake.requests[-1] == (
        "submit",
        "/v3/generation/image-to-model",
    )
    several = h.fake.tasks[
        tripo.submit(generation_request(front=picture(), back=picture(), hero=b"left out")).ref
    ]
    assert set(several.pictures) == {"front", "back"} and h.fake.requests[-1] == (
        "submit",
        "/v3/generation/multiview-to-model",
    )
    assert [list(view) for view in several.body["inputs"]] == [["front"], ["back"]]
    assert not {"quad", "compress"} & set(one.body) and tripo.balance() == pytest.approx((10_000 - 60) / 100)


def test_tripos_older_models_are_asked_for_less(vendor: Vendor) -> None:
    h = vendor("tripo")
    assert (
        "texture_quality"
        not in h.fake.tasks[h.adapter(model="v2.5-20250123").submit(generation_request()).ref].body
    )
    small = h.adapter(model="P1-20260311").submit(replace(generation_request(), max_triangles=90_000))
    assert h.fake.tasks[small.ref].body["face_limit"] == 20_000


def test_one_request_to_tripo_reads_a_hundred_tasks(vendor: Vendor) -> None:
    h = vendor("tripo")
    h.fake.concurrency, h.fake.credits = 1000, 1e6
    tripo = h.adapter()
    refs = [h.fake.create_task({"model": "v3.1-20260211"}, {}).id for _ in range(100)]
    assert set(tripo.poll(refs)) == set(refs) and [path for _, path in h.fake.requests] == ["/v3/tasks/list"]


def test_a_task_whose_answer_tripo_lost_is_looked_for_in_the_usage(vendor: Vendor) -> None:
    h = vendor("tripo")
    h.fake.usage_time = h.now().isoformat()
    tripo, since = h.adapter(), h.now()
    mine = tripo.submit(generation_request()).ref
    with pytest.raises(SubmitUnknown, match="names no such task"):
        tripo.find_lost_task(since, {mine})
    lost = tripo.submit(generation_request(key="run_2")).ref
    assert tripo.find_lost_task(since, {mine}) == lost
    with pytest.raises(SubmitUnknown, match="names no such task"):
        tripo.find_lost_task(since + timedelta(minutes=2), {mine})  # it is older
    with pytest.raises(SubmitUnknown, match="2 tasks may be the one"):
        tripo.find_lost_task(since, set())


def test_tripos_webhooks_are_proved(vendor: Vendor) -> None:
    h = vendor("tripo")
    tripo = h.adapter(webhook_secret="env/OTHER")
    tripo._webhook_secret = WEBHOOK_SECRET  # type: ignore[attr-defined]
    task = h.fake.tasks[tripo.submit(generation_request()).ref]
    now = int(h.now().timestamp())
    headers, body = h.fake.webhook(task, at=now)
    inbound = h.inbound(headers, body)
    verified = tripo.verify(inbound)
    assert verified.key == "dlv_1" and verified.is_event and tripo.parse_webhook(inbound) == task.id
    both = headers["tripo-webhook-signature"].replace(",v1=", f",v1={'0' * 64},v1=") + f",v1={'1' * 64}"
    assert tripo.verify(h.inbound({**headers, "tripo-webhook-signature": both}, body)).key == "dlv_1"
    for wrong in (
        h.inbound(headers, body + b" "),
        h.inbound({**headers, "tripo-webhook-signature": f"t={now + 1},v1=00"}, body),
        h.inbound(h.fake.webhook(task, at=now - 301)[0], body),
        h.inbound({k: v for k, v in headers.items() if k != "tripo-webhook-delivery"}, body),
        h.inbound({**headers, "tripo-webhook-signature": "t=later"}, body),
    ):
        with pytest.raises(DeliveryError):
            tripo.verify(wrong)
    with pytest.raises(DeliveryError, match="no webhook_secret"):
        h.adapter().verify(inbound)
    low = b'{"id": "evt_2", "type": "balance.low", "data": {"balance": 1, "threshold": 5}}'
    assert not tripo.verify(h.inbound(h.fake.signed(low, at=now), low)).is_event
    with pytest.raises(BadOutput, match="names no task"):
        tripo.parse_webhook(h.inbound({}, low))


def test_meshy_gets_its_pictures_in_the_request(vendor: Vendor) -> None:
    h = vendor("meshy")
    meshy = h.adapter()
    one = meshy.submit(generation_request(front=picture()))
    body = h.fake.tasks[one.ref.removeprefix("image-to-3d/")].body
    assert base64.b64decode(body["image_url"].removeprefix("data:image/jpeg;base64,")) == picture()
    assert (
        body["should_remesh"] is True
        and body["target_polycount"] == 10_000
        and body["ai_model"] == "meshy-7.1"
    )
    several = meshy.submit(generation_request(back=picture(), front=picture(ground=200)))
    assert several.ref.startswith("multi-image-to-3d/")
    pictures = h.fake.tasks[several.ref.partition("/")[2]].pictures
    assert [pictures["0"], pictures["1"]] == [picture(ground=200), picture()]  # the front one first
    with pytest.raises(Refused, match="JPG, PNG"):
        meshy.submit(generation_request(front=picture(format="WEBP")))


def test_a_task_whose_answer_meshy_lost_is_found_in_its_list(vendor: Vendor) -> None:
    h = vendor("meshy")
    meshy = h.adapter()
    since = h.now() - timedelta(days=1)
    known = meshy.submit(generation_request()).ref
    assert meshy.find_lost_task(since, [known]) is None
    h.fake.faults["submit"] = ["lost"]
    with pytest.raises(SubmitUnknown):
        meshy.submit(generation_request())
    found = meshy.find_lost_task(since, [known])
    assert found and found != known and meshy.poll([found])[found].state is RemoteTaskState.SUCCEEDED
    meshy.submit(generation_request())
    with pytest.raises(SubmitUnknown, match="2 tasks may be the one"):
        meshy.find_lost_task(since, [known])
    for fault, error in (("500", Unavailable), ("no json", BadOutput)):
        h.fake.faults["list"] = [fault]
        with pytest.raises(error):
            meshy.find_lost_task(since, [])


def test_meshys_tasks_are_stopped_while_they_wait(vendor: Vendor) -> None:
    h = vendor("meshy")
    h.fake.seconds = 60
    meshy = h.adapter()
    first, second = meshy.submit(generation_request()), meshy.submit(generation_request())
    h.fake.tasks[second.ref.partition("/")[2]].body["running"] = True
    assert meshy.cancel(first.ref) and not meshy.cancel(second.ref) and h.fake.billed == 1
    assert meshy.balance() == pytest.approx((10_000 - 60) * 0.02)


def test_meshys_webhooks_are_no_more_than_hints(vendor: Vendor) -> None:
    h = vendor("meshy")
    meshy = h.adapter()
    task = meshy.submit(generation_request())
    inbound = h.inbound({}, json.dumps(h.fake.task_json(h.fake.tasks[task.ref.partition("/")[2]])).encode())
    assert meshy.verify(inbound).key.endswith(":SUCCEEDED") and meshy.parse_webhook(inbound) == task.ref
    for body in (b"[]", b"{", b'{"id": 7}'):
        with pytest.raises(DeliveryError):
            meshy.verify(h.inbound({}, body))


def test_stability_answers_with_what_it_made(vendor: Vendor) -> None:
    h = vendor("stability")
    task = h.adapter().submit(generation_request())
    assert task.files == (MINIMAL_GLB,) and task.request_id in h.fake.tasks and task.cost_usd == 0.1
    assert h.fake.tasks[task.ref].body == {
        "texture_resolution": "2048",
        "foreground_ratio": "0.85",
        "remesh": "none",
    }
    sparse = h.fake.tasks[h.adapter(model="stable-point-aware-3d").submit(generation_request()).ref]
    assert (
        sparse.kind == "/v2beta/3d/stable-point-aware-3d"
        and sparse.body["target_count"] == "10000"
        and sparse.body["foreground_ratio"] == "1.3"
    )
    h.fake.make = lambda pictures: picture(format="PNG")
    cutter = h.adapter(model="remove-background")
    assert (
        cutter.capabilities.removes_background
        and cutter.submit(generation_request(RunKind.IMAGE, hero=picture())).files[0][:4] == b"\x89PNG"
    )
    h.fake.faults["task"] = ["failed"]
    held_back = cutter.submit(generation_request(RunKind.IMAGE))
    assert (
        held_back.state is RemoteTaskState.FAILED
        and "CONTENT_FILTERED" in held_back.error
        and held_back.cost_usd == 0.05
    )


def test_hunyuan3d_gets_its_picture_and_never_ends_for_a_lost_task(vendor: Vendor) -> None:
    h = vendor("hunyuan3d")
    hunyuan = h.adapter(texture=False, octree_resolution=128)
    task = hunyuan.submit(generation_request())
    asked = h.fake.tasks[task.ref]
    assert (
        asked.pictures["front"] == picture()
        and asked.body["face_count"] == 10_000
        and asked.body["octree_resolution"] == 128
    )
    assert (
        hunyuan.poll([task.ref])[task.ref].files == (MINIMAL_GLB,)
        and hunyuan.estimate(generation_request()) == 0
    )
    assert (
        hunyuan.poll(["nothing"])["nothing"].state is RemoteTaskState.RUNNING
        and hunyuan.capabilities.task_timeout_s == 1200
    )


def test_hunyuan3d_2_1_is_asked_within_its_bounds_and_for_textured_models(vendor: Vendor) -> None:
    h = vendor("hunyuan3d")
    h.fake.is_2_1 = True
    for triangles, faces in ((200, 1000), (500_000, 100_000)):
        made = h.adapter().submit(replace(generation_request(), max_triangles=triangles))
        assert h.fake.tasks[made.ref].body["face_count"] == faces
        assert h.adapter().poll([made.ref])[made.ref].state is RemoteTaskState.SUCCEEDED
    shape = h.adapter(texture=False)
    made = shape.submit(generation_request())
    ended = shape.poll([made.ref])[made.ref]
    assert ended.state is RemoteTaskState.FAILED and "set texture to true" in ended.error


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tripo", {"texture_quality": "shiny"}),
        ("tripo", {"colour": "red"}),
        ("tripo", {"concurrency": 0}),
        ("meshy", {"usd_per_credit": "much"}),
        ("stability", {"model": "sd4"}),
        ("hunyuan3d", {"octree_resolution": 9999}),
        ("openai_images", {"quality": "best"}),
        ("openai_images", {"n": 9}),
        ("openai_images", {"n": True}),
    ],
)
def test_wrong_options_are_refused(vendor: Vendor, name: str, options: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        vendor(name).adapter(**options)


def test_a_wrong_key_is_refused(vendor: Vendor) -> None:
    h = vendor("tripo")
    with pytest.raises(Refused, match="invalid api key"):
        h.adapter(api_key="env/WRONG").balance()
