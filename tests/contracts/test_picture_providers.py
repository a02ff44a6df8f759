"""Tests of single providers for pictures: the requests that each vendor gets, and its own features."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from dam_connector.domain.product import SourceImage, View
from dam_connector.domain.run import RunKind
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, SubmitUnknown
from dam_connector.fakes.server import MINIMAL_GLB
from dam_connector.ports import RemoteTaskState
from tests.contracts.provider_harness import ProviderHarness, generation_request
from tests.support import picture, product

Vendor = Callable[[str], ProviderHarness]


def test_a_comfyui_workflow_is_filled_in(vendor: Vendor) -> None:
    h = vendor("comfyui")
    comfy = h.adapter()
    task = comfy.submit(generation_request(RunKind.IMAGE))
    asked = h.fake.tasks[task.ref]
    assert (
        asked.body["3"]["inputs"] == {"seed": 7, "text": "a photo: a chair", "steps": 20}
        and asked.body["9"]["inputs"]["filename_prefix"] == "CH123"
    )
    assert (
        list(asked.pictures.values()) == [picture()]
        and comfy.submit(generation_request(RunKind.IMAGE)).ref == task.ref
    )
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
        ('{"1": {"class_type": "X", "inputs": {"a": "{{colour}}"}}}', "{{colour}} is unknown"),
    ],
)
def test_a_comfyui_workflow_that_cannot_be_run_is_refused_at_once(
    vendor: Vendor, text: str, words: str
) -> None:
    h = vendor("comfyui")
    (h.context.rules_folder / "workflow.json").write_text(text)
    with pytest.raises(ConfigError) as raised:
        h.adapter()
    assert words in str(raised.value)
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
    h.fake.other_host = "http://127.0.0.1:9"
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
    with pytest.raises(DeliveryError) as raised:
        h.adapter(keys_url=f"{h.fake.base_url}/jwks.json").verify(inbound)
    assert raised.value.status == 503


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
    assert (
        openai.submit(generation_request(RunKind.IMAGE)).state is RemoteTaskState.SUCCEEDED
    )  # asked for again


def test_a_5xx_is_asked_again_only_where_the_admin_says_so(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dam_connector.adapters.openai_images.RETRY_PAUSE_S", 0)
    h = vendor("openai_images")
    h.fake.faults["submit"] = ["500", "500", "500"]
    with pytest.raises(SubmitUnknown):
        h.adapter().submit(generation_request(RunKind.IMAGE))
    assert h.adapter(retries_5xx=2).submit(generation_request(RunKind.IMAGE)).files and h.fake.billed == 1
