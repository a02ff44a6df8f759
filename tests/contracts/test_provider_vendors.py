"""What each provider is asked, in its vendor's own words, and what only one of them does."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from dam_connector.domain.product import SourceImage, View
from dam_connector.domain.run import RunKind
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, Refused, SubmitUnknown, Unavailable
from dam_connector.fakes.server import MINIMAL_GLB
from dam_connector.fakes.tripo import WEBHOOK_SECRET
from dam_connector.ports import RemoteTaskState
from tests.contracts.provider_harness import ProviderHarness, generation_request
from tests.support import picture, product

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
    several = h.fake.tasks[tripo.submit(generation_request(front=picture(), back=picture(), hero=b"left out")).ref]
    assert set(several.pictures) == {"front", "back"} and h.fake.requests[-1] == (
        "submit",
        "/v3/generation/multiview-to-model",
    )
    assert not {"quad", "compress"} & set(one.body) and tripo.balance() == pytest.approx((10_000 - 60) / 100)


def test_tripos_older_models_are_asked_for_less(vendor: Vendor) -> None:
    h = vendor("tripo")
    assert "texture_quality" not in h.fake.tasks[h.adapter(model="v2.5-20250123").submit(generation_request()).ref].body
    small = h.adapter(model="P1-20260311").submit(replace(generation_request(), max_triangles=90_000))
    assert h.fake.tasks[small.ref].body["face_limit"] == 20_000


def test_one_look_at_tripo_tells_of_a_hundred_tasks(vendor: Vendor) -> None:
    h = vendor("tripo")
    h.fake.concurrency, h.fake.credits = 1000, 1e6
    tripo = h.adapter()
    refs = [h.fake.create_task({"model": "v3.1-20260211"}, {}).id for _ in range(100)]
    assert set(tripo.poll(refs)) == set(refs) and [path for _, path in h.fake.requests] == ["/v3/tasks/list"]


def test_tripos_webhooks_are_proved(vendor: Vendor) -> None:
    h = vendor("tripo")
    tripo = h.adapter(webhook_secret="env/OTHER")
    tripo._webhook_secret = WEBHOOK_SECRET  # type: ignore[attr-defined]
    task = h.fake.tasks[tripo.submit(generation_request()).ref]
    now = int(h.now().timestamp())
    headers, body = h.fake.webhook(task, at=now)
    inbound = h.inbound(headers, body)
    assert tripo.verify(inbound).key == "dlv_1" and tripo.parse_webhook(inbound) == task.id
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
    with pytest.raises(BadOutput, match="names no task"):
        tripo.parse_webhook(h.inbound({}, b'{"type": "balance.low", "data": {"balance": 1}}'))


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
    assert hunyuan.poll([task.ref])[task.ref].files == (MINIMAL_GLB,) and hunyuan.estimate(generation_request()) == 0
    assert (
        hunyuan.poll(["nothing"])["nothing"].state is RemoteTaskState.RUNNING
        and hunyuan.capabilities.task_timeout_s == 1200
    )


def test_a_comfyui_workflow_is_filled_in(vendor: Vendor) -> None:
    h = vendor("comfyui")
    comfy = h.adapter()
    task = comfy.submit(generation_request(RunKind.IMAGE))
    asked = h.fake.tasks[task.ref]
    assert (
        asked.body["3"]["inputs"] == {"seed": 7, "text": "a photo: a chair", "steps": 20}
        and asked.body["9"]["inputs"]["filename_prefix"] == "CH123"
    )
    assert list(asked.pictures.values()) == [picture()] and comfy.submit(generation_request(RunKind.IMAGE)).ref == task.ref
    assert comfy.submit(generation_request(RunKind.IMAGE, key="run_2")).ref != task.ref and h.fake.billed == 2
    h.fake.output, h.fake.make = "3d", lambda pictures: MINIMAL_GLB
    models = h.adapter(makes="model", views=["front"])
    assert models.fetch(models.submit(generation_request(key="run_3")).ref) == (MINIMAL_GLB,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("[]", "API format"),
        ('{"nodes": []}', "API format"),
        ('{"1": {"class_type": "X", "inputs": {"a": "{{colour}}"}}}', "{{colour}} means nothing"),
    ],
)
def test_a_comfyui_workflow_that_cannot_be_run_is_told_at_once(vendor: Vendor, text: str, words: str) -> None:
    h = vendor("comfyui")
    (h.context.rules_folder / "workflow.json").write_text(text)
    with pytest.raises(ConfigError) as told:
        h.adapter()
    assert words in str(told.value)
    with pytest.raises(ConfigError, match=r"beside plugin\.json"):
        h.adapter(workflow="../secrets.json")


def test_fal_models_are_mapped(vendor: Vendor) -> None:
    h = vendor("fal")
    fal = h.adapter(
        input={
            "image": "{{image}}",
            "image_url": "{{image:front}}",
            "all": "{{images}}",
            "seed": "{{seed}}",
            "back": "{{image:back}}",
            "steps": 4,
        }
    )
    task = fal.submit(generation_request(RunKind.IMAGE))
    body = h.fake.tasks[task.request_id].body
    assert body["seed"] == 7 and body["steps"] == 4 and "back" not in body and body["all"] == [body["image"]]
    assert not fal.capabilities.takes_prompts and h.adapter().capabilities.takes_prompts
    h.fake.make = lambda pictures: MINIMAL_GLB
    models = h.adapter(makes="model", model="fal-ai/trellis")
    assert models.fetch(models.submit(generation_request()).ref) == (MINIMAL_GLB,)
    lost = h.adapter(output="nothing.here")
    with pytest.raises(BadOutput, match=r"nothing at nothing\.here"):
        lost.fetch(lost.submit(generation_request(RunKind.IMAGE)).ref)
    for options in (
        {"model": ""},
        {"model": "https://evil.example"},
        {"input": {"a": "{{colour}}"}},
        {"makes": "sound"},
    ):
        with pytest.raises(ConfigError):
            h.adapter(**options)


def test_fals_key_goes_to_no_other_host(vendor: Vendor) -> None:
    h = vendor("fal")
    h.fake.moved = "http://127.0.0.1:9"
    fal = h.adapter()
    task = fal.submit(generation_request(RunKind.IMAGE))
    with pytest.raises(BadOutput, match="another host"):
        fal.poll([task.ref])


def test_fals_tasks_are_stopped(vendor: Vendor) -> None:
    h = vendor("fal")
    h.fake.seconds = 60
    fal = h.adapter()
    waiting = fal.submit(generation_request(RunKind.IMAGE))
    h.fake.seconds = 0
    ready = fal.submit(generation_request(RunKind.IMAGE))
    assert fal.cancel(waiting.ref) and not fal.cancel(ready.ref)


def test_fals_webhooks_are_proved_by_its_published_key(vendor: Vendor) -> None:
    h = vendor("fal")
    fal = h.adapter(webhook=True, keys_url=f"{h.fake.base_url}/jwks.json")
    task = fal.submit(generation_request(RunKind.IMAGE))
    asked = h.fake.tasks[task.request_id]
    assert asked.body["webhook"].endswith("/webhooks/fal") and fal.capabilities.poll_interval_s == 20
    now = int(h.now().timestamp())
    headers, body = h.fake.webhook(asked, at=now)
    inbound = h.inbound(headers, body)
    assert fal.verify(inbound).key == task.request_id and task.ref.startswith(
        fal.parse_webhook(inbound) + " "
    )
    for wrong in (
        h.inbound(headers, body + b" "),
        h.inbound({**headers, "x-fal-webhook-signature": "zz"}, body),
        h.inbound({**headers, "x-fal-webhook-user-id": "somebody"}, body),
        h.inbound(h.fake.webhook(asked, at=now - 301)[0], body),
        h.inbound({}, body),
    ):
        with pytest.raises(DeliveryError):
            fal.verify(wrong)
    assert [operation for operation, _ in h.fake.requests].count("keys") == 1  # asked for once
    h.fake.faults["keys"] = ["500"]
    with pytest.raises(DeliveryError) as told:
        h.adapter(keys_url=f"{h.fake.base_url}/jwks.json").verify(inbound)
    assert told.value.status == 503


def test_openai_is_asked_for_edits_with_the_photos(vendor: Vendor) -> None:
    h = vendor("openai_images")
    openai = h.adapter(n=2, quality="medium")
    wide = replace(
        generation_request(RunKind.IMAGE, front=picture(), back=picture(ground=200)),
        width=1600,
        height=1000,
        transparent=True,
    )
    task = openai.submit(wide)
    asked = next(iter(h.fake.tasks.values()))
    assert asked.kind == "/v1/images/edits" and list(asked.pictures.values()) == [
        picture(),
        picture(ground=200),
    ]
    assert asked.body == {
        "model": "gpt-image-2",
        "prompt": "a chair",
        "n": "2",
        "size": "1536x1024",
        "quality": "medium",
        "background": "transparent",
        "output_format": "png",
    }
    assert (
        len(task.files) == 2
        and task.cost_usd == pytest.approx(0.14) == openai.estimate(wide)
        and task.request_id.startswith("gen_")
    )


def test_creativeai_is_asked_as_its_importer_does(vendor: Vendor) -> None:
    h = vendor("openai_images")
    h.fake.links, h.fake.model_actual = True, "openai/gpt-image-1"
    creative = h.adapter(mode="generations", model="gpt-image-1", n=4)
    shop = replace(product(), images=(SourceImage(view=View.FRONT, url="https://shop.example/chair.jpg"),))
    task = creative.submit(replace(generation_request(RunKind.IMAGE), product=shop))
    asked = next(iter(h.fake.tasks.values()))
    assert (
        asked.kind == "/v1/images/generations" and asked.body["image_url"] == "https://shop.example/chair.jpg"
    )
    assert {name: asked.body[name] for name in ("model", "size", "quality", "n")} == {
        "model": "gpt-image-1",
        "size": "1024x1024",
        "quality": "high",
        "n": 4,
    }
    assert len(task.files) == 4 and task.model == "openai/gpt-image-1"
    held = replace(
        generation_request(RunKind.IMAGE),
        product=replace(product(), images=(SourceImage(view=View.FRONT, url="held:abc"),)),
    )
    creative.submit(held)
    assert list(h.fake.tasks.values())[-1].pictures == {
        "0": picture()
    }  # no address of its own: the picture goes along


def test_a_picture_that_was_paid_for_and_cannot_be_had_is_on_the_bill(vendor: Vendor) -> None:
    h = vendor("openai_images")
    h.fake.links = True
    openai = h.adapter()
    h.fake.faults["task"] = ["dead link"]
    lost = openai.submit(generation_request(RunKind.IMAGE))
    assert lost.state is RemoteTaskState.FAILED and "not usable" in lost.error and lost.cost_usd == 0.19
    h.fake.faults["cdn"] = ["half"]
    assert openai.submit(generation_request(RunKind.IMAGE)).state is RemoteTaskState.SUCCEEDED  # asked for again


def test_a_5xx_is_asked_again_only_where_the_admin_says_so(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dam_connector.adapters.openai_images.RETRY_PAUSE_S", 0)
    h = vendor("openai_images")
    h.fake.faults["submit"] = ["500", "500", "500"]
    with pytest.raises(SubmitUnknown):
        h.adapter().submit(generation_request(RunKind.IMAGE))
    assert h.adapter(retries_5xx=2).submit(generation_request(RunKind.IMAGE)).files and h.fake.billed == 1


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
def test_wrong_options_are_told(vendor: Vendor, name: str, options: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        vendor(name).adapter(**options)


def test_a_wrong_key_is_told(vendor: Vendor) -> None:
    h = vendor("tripo")
    with pytest.raises(Refused, match="invalid api key"):
        h.adapter(api_key="env/WRONG").balance()
