"""The port Provider: the same promises for every adapter, against memory and against servers that speak the vendors' formats."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.catalog.rules import Connection
from dam_connector.errors import BadOutput, ConfigError, NotFound, OutOfCredit, RateLimited, Refused, SubmitUnknown, Unavailable, Unsupported
from dam_connector.fakes.tripo import KEY, FakeTripo
from dam_connector.ports import Generation, Provider, TaskState
from dam_connector.wiring import Services
from tests.support import picture, product

GLB = b"glTF" + (2).to_bytes(4, "little") + (24).to_bytes(4, "little") + b"\x04\x00\x00\x00JSON{}  "


@pytest.fixture
def fake() -> Iterator[FakeTripo]:
    server = FakeTripo(make=lambda pictures: GLB)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def tripo(services: Services, fake: FakeTripo) -> Provider:
    return opened(services, fake)


def opened(services: Services, fake: FakeTripo, key: str = "env/TRIPO_API_KEY", **options: object) -> Provider:
    """The adapter, allowed to talk to the fake and to nothing else on loopback."""
    from dam_connector.adapters.http import Http

    http = Http(frozenset({fake.base_url.removeprefix("http://")}), timeout_s=1.0)
    kit = replace(services.kit, http=http, secret=lambda name: {"env/TRIPO_API_KEY": KEY, "env/WRONG": "tsk_wrong"}[name])
    return open_adapter("provider", "t", Connection(adapter="tripo", options={"base_url": fake.base_url, "api_key": key, **options}), kit)


@pytest.fixture(params=["memory", "tripo"])
def provider(request: pytest.FixtureRequest, services: Services) -> Provider:
    if request.param == "tripo":
        return request.getfixturevalue("tripo")
    memory = open_adapter("provider", "m", Connection(adapter="memory"), services.kit)
    memory.result = GLB
    return memory


def order(**views: bytes) -> Generation:
    return Generation(key="run_1", product=product(), pictures=views or {"front": picture()}, max_triangles=10_000)


def finished(provider: Provider, ref: str) -> None:
    for _ in range(5):
        if provider.poll(ref).state is TaskState.SUCCEEDED:
            return
    pytest.fail("the task did not end")


def test_a_task_from_its_submission_to_its_file(provider: Provider) -> None:
    ref = provider.submit(order())
    finished(provider, ref)
    assert provider.fetch(ref) == GLB and provider.estimate(order()) >= 0
    task = provider.poll(ref)
    assert task.ref == ref and task.cost_usd is not None and task.state is TaskState.SUCCEEDED


def test_what_it_cannot_do_is_said(provider: Provider) -> None:
    able = provider.capabilities
    for has, call in (
        (able.cancels, lambda: provider.cancel("x")),
        (able.balance, provider.balance),
        (able.reconciles, lambda: provider.reconcile(order())),
    ):
        if not has and not able.idempotent:
            with pytest.raises(Unsupported):
                call()
    assert "front" in able.views


def test_an_unknown_task_is_not_found(provider: Provider) -> None:
    with pytest.raises(NotFound):
        provider.poll("nothing")


def test_tripo_is_asked_as_its_documentation_says(tripo: Provider, fake: FakeTripo) -> None:
    one = fake.tasks[tripo.submit(order())]
    assert one.body["model"] == "v3.1-20260211" and one.body["face_limit"] == 10_000 and one.body["texture_quality"] == "standard"
    assert one.pictures == {"front": picture()} and fake.asked[-1] == ("submit", "/v3/generation/image-to-model")
    several = fake.tasks[tripo.submit(order(front=picture(), back=picture(), hero=b"left out"))]
    assert set(several.pictures) == {"front", "back"} and fake.asked[-1] == ("submit", "/v3/generation/multiview-to-model")
    assert not {"quad", "compress"} & set(one.body) and tripo.balance() == pytest.approx((10_000 - 60) / 100)


def test_tripos_older_models_are_asked_for_less(services: Services, fake: FakeTripo) -> None:
    adapter = opened(services, fake, model="v2.5-20250123")
    assert "texture_quality" not in fake.tasks[adapter.submit(order())].body
    small = opened(services, fake, model="P1-20260311")
    body = fake.tasks[small.submit(replace(order(), max_triangles=90_000))].body
    assert body["face_limit"] == 20_000


@pytest.mark.parametrize(
    ("operation", "fault", "error"),
    [
        ("upload", "401", Refused),
        ("upload", "500", Unavailable),
        ("upload", "slow", Unavailable),
        ("upload", "closed", Unavailable),
        ("upload", "rate", RateLimited),
        ("submit", "400", Refused),
        ("submit", "moderated", Refused),
        ("submit", "no credit", OutOfCredit),
        ("submit", "rate", RateLimited),
        ("submit", "busy", RateLimited),
        ("submit", "500", SubmitUnknown),
        ("submit", "500 after", SubmitUnknown),
        ("submit", "lost", SubmitUnknown),
        ("submit", "flood", SubmitUnknown),
        ("submit", "slow", SubmitUnknown),
        ("submit", "nonsense", SubmitUnknown),
        ("submit", "no json", SubmitUnknown),
    ],
)
def test_every_fault_of_a_submission_is_told_apart(tripo: Provider, fake: FakeTripo, operation: str, fault: str, error: type[Exception]) -> None:
    fake.faults[operation] = [fault]
    with pytest.raises(error) as told:
        tripo.submit(order())
    assert KEY not in str(told.value) and KEY not in repr(told.value)
    if isinstance(told.value, RateLimited):
        assert told.value.retry_after_s == (7.0 if fault == "busy" else 5.0)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("500", Unavailable), ("slow", Unavailable), ("rate", RateLimited), ("gone", NotFound), ("odd", BadOutput), ("no json", BadOutput)],
)
def test_every_fault_of_a_look_is_told_apart(tripo: Provider, fake: FakeTripo, fault: str, error: type[Exception]) -> None:
    ref = tripo.submit(order())
    fake.faults["poll"] = [fault]
    with pytest.raises(error):
        tripo.poll(ref)
    assert tripo.poll(ref).state is TaskState.SUCCEEDED


def test_a_failed_task_says_why_and_costs_nothing(tripo: Provider, fake: FakeTripo) -> None:
    ref = tripo.submit(order())
    fake.faults["poll"] = ["failed"]
    task = tripo.poll(ref)
    assert task.state is TaskState.FAILED and "content policy" in task.error and task.cost_usd == 0


def test_a_dead_link_is_asked_for_again(tripo: Provider, fake: FakeTripo) -> None:
    ref = tripo.submit(order())
    fake.faults["poll"] = ["dead link"]
    assert tripo.fetch(ref) == GLB
    fake.faults["poll"] = ["dead link", "dead link"]
    with pytest.raises(Unavailable, match="dead"):
        tripo.fetch(ref)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("half", Unavailable),
        ("wrong magic", BadOutput),
        ("short", (BadOutput, Unavailable)),
        ("huge", (BadOutput, Unavailable)),
        ("redirect", (Refused, Unavailable)),
    ],
)
def test_what_is_no_whole_glb_is_not_taken(tripo: Provider, fake: FakeTripo, fault: str, error: type[Exception]) -> None:
    ref = tripo.submit(order())
    fake.faults["cdn"] = [fault] * 3
    with pytest.raises(error):
        tripo.fetch(ref)
    fake.faults.clear()
    assert tripo.fetch(ref) == GLB


def test_the_key_goes_to_tripo_and_nowhere_else(tripo: Provider, fake: FakeTripo) -> None:
    ref = tripo.submit(order())
    assert tripo.fetch(ref) == GLB  # the fake's files are refused to those who send a key along
    assert KEY not in repr(tripo) and KEY not in json.dumps(fake.asked)


def test_pictures_it_does_not_take_are_told_before_anything_is_sent(tripo: Provider, fake: FakeTripo) -> None:
    with pytest.raises(Refused, match="JPEG, PNG and WebP"):
        tripo.submit(order(front=b"II*\x00 a TIFF"))
    with pytest.raises(Refused, match="front"):
        tripo.submit(order(back=picture()))
    assert fake.billed == 0


def test_a_wrong_key_and_wrong_options_are_told(services: Services, fake: FakeTripo) -> None:
    with pytest.raises(Refused, match="invalid api key"):
        opened(services, fake, key="env/WRONG").balance()
    for options in ({"texture_quality": "shiny"}, {"colour": "red"}):
        with pytest.raises(ConfigError):
            opened(services, fake, **options)
