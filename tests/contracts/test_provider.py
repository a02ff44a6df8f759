"""The port Provider: the same promises for every adapter, against memory and against servers that speak the vendors' formats.

What vendors share is told here; what each is asked in its own words, and what only one of them does, stands in test_provider_vendors.py.
"""

from collections.abc import Callable

import pytest

from dam_connector.adapters import known
from dam_connector.domain.run import RunKind
from dam_connector.errors import (
    BadOutput,
    Busy,
    DeliveryError,
    OutOfCredit,
    RateLimited,
    Refused,
    SubmitUnknown,
    Unavailable,
    Unsupported,
)
from dam_connector.ports import Provider, Task, TaskState
from tests.contracts.provider_harness import HARNESSES, Harness, cases, met, order

KIND = {RunKind.MODEL: b"glTF", RunKind.IMAGE: b"\x89PNG"}
SUBMISSIONS = {
    "401": Refused,
    "400": Refused,
    "moderated": Refused,
    "no credit": OutOfCredit,
    "quota": OutOfCredit,
    "rate": RateLimited,
    "busy": Busy,
    "500": SubmitUnknown,
    "500 after": SubmitUnknown,
    "lost": SubmitUnknown,
    "flood": SubmitUnknown,
    "slow": SubmitUnknown,
    "closed": SubmitUnknown,
    "nonsense": SubmitUnknown,
    "no json": SubmitUnknown,
}
LOOKS = {
    "500": Unavailable,
    "slow": Unavailable,
    "closed": Unavailable,
    "rate": RateLimited,
    "no json": BadOutput,
}


def test_every_adapter_has_its_case() -> None:
    assert sorted(HARNESSES) == known("provider")


def finished(provider: Provider, task: Task) -> Task:
    for _ in range(5):
        if task.state is TaskState.SUCCEEDED:
            return task
        task = provider.poll([task.ref])[task.ref]
    pytest.fail("the task did not end")


def made(provider: Provider, task: Task) -> tuple[bytes, ...]:
    return task.files or provider.fetch(task.ref)


def test_a_task_from_its_submission_to_its_file(harness: Harness) -> None:
    provider = harness.adapter()
    kind = provider.capabilities.makes[0]
    begun = provider.submit(order(kind))
    task = finished(provider, begun)
    assert task.ref == begun.ref and task.cost_usd is not None and provider.estimate(order(kind)) >= 0
    assert [data[:4] for data in made(provider, task)] == [KIND[kind]]


def test_what_it_cannot_do_is_said(harness: Harness) -> None:
    provider = harness.adapter()
    able = provider.capabilities
    for has, call in (
        (able.cancels, lambda: provider.cancel("x y z w")),
        (able.balance, provider.balance),
        (able.reconciles, lambda: provider.reconcile(harness.now(), ())),
    ):
        if not has:
            with pytest.raises(Unsupported):
                call()
    if not able.webhooks:
        with pytest.raises(DeliveryError):
            provider.verify(harness.inbound({}, b"{}"))
    assert able.polls >= 0 and able.concurrency >= 1 and able.makes


def test_an_unknown_task_is_left_out(harness: Harness) -> None:
    provider = harness.adapter()
    if harness.knows_its_tasks:
        assert provider.poll([harness.unknown_ref]) == {}


def test_the_same_key_costs_once_where_that_is_promised(harness: Harness) -> None:
    provider = harness.adapter()
    if provider.capabilities.idempotent:
        first, second = (
            provider.submit(order(provider.capabilities.makes[0])),
            provider.submit(order(provider.capabilities.makes[0])),
        )
        assert first.ref == second.ref or provider.estimate(order()) == 0


@pytest.mark.parametrize(("harness", "fault"), met("submit", SUBMISSIONS), indirect=["harness"])
def test_every_fault_of_a_submission_is_told_apart(
    harness: Harness, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "slow" and harness.patient:
        monkeypatch.setattr(f"dam_connector.adapters.{harness.name}.PATIENCE_S", harness.kit.http.timeout_s)
    provider = harness.adapter()
    harness.fake.faults["submit"] = [fault]
    with pytest.raises(SUBMISSIONS[fault]) as told:
        provider.submit(order(provider.capabilities.makes[0]))
    assert harness.key not in str(told.value) and harness.key not in repr(told.value)
    assert not isinstance(told.value, RateLimited) or told.value.retry_after_s > 0
    begun = fault in ("500 after", "lost", "flood", "nonsense")
    assert harness.fake.billed == (1 if begun else 0)


@pytest.mark.parametrize(
    ("harness", "fault"), met("upload", ["500", "slow", "closed", "rate", "401"]), indirect=["harness"]
)
def test_a_failed_upload_began_nothing(harness: Harness, fault: str) -> None:
    provider = harness.adapter()
    harness.fake.faults["upload"] = [fault]
    with pytest.raises((Unavailable, RateLimited, Refused)) as told:
        provider.submit(order(provider.capabilities.makes[0]))
    assert not isinstance(told.value, SubmitUnknown) and harness.fake.billed == 0


@pytest.mark.parametrize(("harness", "fault"), met("poll", LOOKS), indirect=["harness"])
def test_every_fault_of_a_look_is_told_apart(harness: Harness, fault: str) -> None:
    provider = harness.adapter()
    task = provider.submit(order(provider.capabilities.makes[0]))
    harness.fake.faults["poll"] = [fault]
    with pytest.raises(LOOKS[fault]):
        provider.poll([task.ref])
    assert provider.poll([task.ref])[task.ref].state is TaskState.SUCCEEDED


@pytest.mark.parametrize("harness", cases(lambda h: h.failed), indirect=True)
def test_a_failed_task_says_why(harness: Harness) -> None:
    provider = harness.adapter()
    assert harness.failed
    task = harness.after(provider, *harness.failed)
    assert task.state is TaskState.FAILED and harness.failed_words in task.error


@pytest.mark.parametrize("harness", cases(lambda h: h.odd), indirect=True)
def test_a_status_that_nobody_knows_is_told_as_that(harness: Harness) -> None:
    task = harness.after(harness.adapter(), "told", "odd")
    assert task.state is TaskState.UNKNOWN and "meditating" in task.error.lower()


@pytest.mark.parametrize("harness", cases(lambda h: h.tells_model), indirect=True)
def test_another_model_than_was_asked_for_is_told(harness: Harness) -> None:
    task = harness.after(harness.adapter(), "told", "other model")
    assert task.model == "v9.9-later"


@pytest.mark.parametrize("harness", cases(lambda h: h.links), indirect=True)
@pytest.mark.parametrize("fault", ["half", "wrong magic", "short", "huge", "redirect"])
def test_what_is_not_whole_is_not_taken(harness: Harness, fault: str) -> None:
    provider = harness.adapter()
    task = finished(provider, provider.submit(order(provider.capabilities.makes[0])))
    harness.fake.faults["cdn"] = [fault] * 3
    if fault == "short" and provider.capabilities.makes == (RunKind.IMAGE,):
        return  # a picture cut short shows when it is decoded
    with pytest.raises((BadOutput, Unavailable, Refused)):
        provider.fetch(task.ref)
    harness.fake.faults.clear()
    assert made(provider, task)


@pytest.mark.parametrize("harness", cases(lambda h: h.links), indirect=True)
def test_a_dead_link_is_asked_for_again(harness: Harness) -> None:
    provider = harness.adapter()
    task = finished(provider, provider.submit(order(provider.capabilities.makes[0])))
    harness.fake.faults[harness.link_fault] = ["dead link"]
    assert provider.fetch(task.ref)
    harness.fake.faults[harness.link_fault] = ["dead link"] * 4
    with pytest.raises(Unavailable, match="dead"):
        provider.fetch(task.ref)


@pytest.mark.parametrize("harness", cases(lambda h: h.fake and not h.links), indirect=True)
def test_a_file_in_the_answer_is_looked_at_too(harness: Harness) -> None:
    provider, fault = harness.adapter(), "wrong magic"
    harness.fake.faults["told"] = [fault] * 2
    task = provider.submit(order(provider.capabilities.makes[0]))
    if provider.capabilities.polls:
        with pytest.raises(BadOutput):
            finished(provider, task)
            provider.fetch(task.ref)
    else:
        assert task.state is TaskState.FAILED and task.error and task.cost_usd


def test_the_key_goes_to_its_vendor_and_nowhere_else(harness: Harness) -> None:
    provider = harness.adapter()
    task = finished(provider, provider.submit(order(provider.capabilities.makes[0])))
    assert made(provider, task)  # a fake's files are refused to those who send a key along
    assert harness.key not in repr(provider) and (
        not harness.fake or harness.key not in repr(harness.fake.asked)
    )


@pytest.mark.parametrize("harness", cases(lambda h: h.fake), indirect=True)
def test_a_picture_it_does_not_take_is_told_before_anything_is_sent(harness: Harness) -> None:
    provider = harness.adapter()
    view = (provider.capabilities.views or ("front",))[0]
    with pytest.raises(Refused, match="it takes"):
        provider.submit(order(provider.capabilities.makes[0], **{view: b"II*\x00 a TIFF"}))
    with pytest.raises(Refused, match="it needs"):
        provider.submit(
            order(provider.capabilities.makes[0], detail=b"\x89PNG")
            if provider.capabilities.views
            else order(RunKind.IMAGE, none=True)
        )
    assert harness.fake.billed == 0 and not harness.fake.asked


@pytest.mark.parametrize("harness", cases(lambda h: h.fake), indirect=True)
def test_an_address_in_a_private_network_is_not_talked_to(
    harness: Harness, unlisted: Callable[[], Provider]
) -> None:
    with pytest.raises(Refused, match="private network"):
        unlisted().submit(order(harness.adapter().capabilities.makes[0]))
    assert harness.fake.billed == 0
