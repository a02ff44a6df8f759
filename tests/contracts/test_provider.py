"""The contract suite of the port Provider: every adapter in memory or on a fake server of its vendor.

The tests for one vendor only are in test_model_providers.py and test_picture_providers.py.
"""

from collections.abc import Callable

import pytest

from dam_connector.adapters import adapter_names
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
from dam_connector.ports import Provider, RemoteTask, RemoteTaskState
from tests.contracts.provider_harness import (
    HARNESSES,
    ProviderHarness,
    fault_cases,
    generation_request,
    vendors_where,
)

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
POLLS = {
    "500": Unavailable,
    "slow": Unavailable,
    "closed": Unavailable,
    "rate": RateLimited,
    "no json": BadOutput,
}


def test_every_adapter_has_its_case() -> None:
    assert sorted(HARNESSES) == adapter_names("provider")


def finished(provider: Provider, task: RemoteTask) -> RemoteTask:
    for _ in range(5):
        if task.state is RemoteTaskState.SUCCEEDED:
            return task
        task = provider.poll([task.ref])[task.ref]
    pytest.fail("the task did not end")


def made(provider: Provider, task: RemoteTask) -> tuple[bytes, ...]:
    return task.files or provider.fetch(task.ref)


def test_a_task_from_its_submission_to_its_file(harness: ProviderHarness) -> None:
    provider = harness.adapter()
    kind = provider.capabilities.kinds[0]
    begun = provider.submit(generation_request(kind))
    task = finished(provider, begun)
    assert (
        task.ref == begun.ref
        and task.cost_usd is not None
        and provider.estimate(generation_request(kind)) >= 0
    )
    assert [data[:4] for data in made(provider, task)] == [KIND[kind]]


def test_unsupported_requests_are_refused(harness: ProviderHarness) -> None:
    provider = harness.adapter()
    capabilities = provider.capabilities
    for has, call in (
        (harness.cancels, lambda: provider.cancel("x y z w")),
        (capabilities.has_balance, provider.balance),
        (capabilities.can_find_lost_task, lambda: provider.find_lost_task(harness.now(), ())),
    ):
        if not has:
            with pytest.raises(Unsupported):
                call()
    with pytest.raises(DeliveryError):
        provider.verify(harness.inbound({}, b"{}"))
    assert capabilities.tasks_per_poll >= 0 and capabilities.concurrency >= 1 and capabilities.kinds


def test_an_unknown_task_is_left_out(harness: ProviderHarness) -> None:
    provider = harness.adapter()
    if harness.knows_its_tasks:
        assert provider.poll([harness.unknown_ref]) == {}


def test_the_same_key_costs_once_where_that_is_promised(harness: ProviderHarness) -> None:
    provider = harness.adapter()
    if provider.capabilities.is_idempotent:
        first, second = (
            provider.submit(generation_request(provider.capabilities.kinds[0])),
            provider.submit(generation_request(provider.capabilities.kinds[0])),
        )
        assert first.ref == second.ref or provider.estimate(generation_request()) == 0


@pytest.mark.parametrize(("harness", "fault"), fault_cases("submit", SUBMISSIONS), indirect=["harness"])
def test_each_fault_of_a_submission_raises_its_own_error(
    harness: ProviderHarness, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "slow" and harness.patient:
        monkeypatch.setattr(
            f"dam_connector.adapters.{harness.name}.REQUEST_TIMEOUT_S", harness.context.http.timeout_s
        )
    provider = harness.adapter()
    harness.fake.faults["submit"] = [fault]
    with pytest.raises(SUBMISSIONS[fault]) as raised:
        provider.submit(generation_request(provider.capabilities.kinds[0]))
    assert harness.api_key not in str(raised.value) and harness.api_key not in repr(raised.value)
    assert not isinstance(raised.value, RateLimited) or raised.value.retry_after_s > 0
    begun = fault in ("500 after", "lost", "flood", "nonsense")
    assert harness.fake.billed == (1 if begun else 0)


@pytest.mark.parametrize(
    ("harness", "fault"),
    fault_cases("upload", ["500", "slow", "closed", "rate", "401"]),
    indirect=["harness"],
)
def test_a_failed_upload_began_nothing(harness: ProviderHarness, fault: str) -> None:
    provider = harness.adapter()
    harness.fake.faults["upload"] = [fault]
    with pytest.raises((Unavailable, RateLimited, Refused)) as raised:
        provider.submit(generation_request(provider.capabilities.kinds[0]))
    assert not isinstance(raised.value, SubmitUnknown) and harness.fake.billed == 0


@pytest.mark.parametrize(("harness", "fault"), fault_cases("poll", POLLS), indirect=["harness"])
def test_each_fault_of_a_poll_raises_its_own_error(harness: ProviderHarness, fault: str) -> None:
    provider = harness.adapter()
    task = provider.submit(generation_request(provider.capabilities.kinds[0]))
    harness.fake.faults["poll"] = [fault]
    with pytest.raises(POLLS[fault]):
        provider.poll([task.ref])
    assert provider.poll([task.ref])[task.ref].state is RemoteTaskState.SUCCEEDED


@pytest.mark.parametrize("harness", vendors_where(lambda h: h.failed), indirect=True)
def test_a_failed_task_says_why(harness: ProviderHarness) -> None:
    provider = harness.adapter()
    assert harness.failed
    task = harness.task_after_fault(provider, *harness.failed)
    assert task.state is RemoteTaskState.FAILED and harness.failed_words in task.error


@pytest.mark.parametrize("harness", vendors_where(lambda h: h.reports_unknown_status), indirect=True)
def test_an_unknown_status_is_reported_as_unknown(harness: ProviderHarness) -> None:
    task = harness.task_after_fault(harness.adapter(), "task", "odd")
    assert task.state is RemoteTaskState.UNKNOWN and "meditating" in task.error.lower()


@pytest.mark.parametrize("harness", vendors_where(lambda h: h.reports_model), indirect=True)
def test_another_model_than_was_requested_is_reported(harness: ProviderHarness) -> None:
    task = harness.task_after_fault(harness.adapter(), "task", "other model")
    assert task.model == "v9.9-later"


@pytest.mark.parametrize("harness", vendors_where(lambda h: h.has_links), indirect=True)
@pytest.mark.parametrize("fault", ["half", "wrong magic", "short", "huge", "redirect"])
def test_what_is_not_whole_is_not_taken(harness: ProviderHarness, fault: str) -> None:
    provider = harness.adapter()
    task = finished(provider, provider.submit(generation_request(provider.capabilities.kinds[0])))
    harness.fake.faults["cdn"] = [fault] * 3
    if fault == "short" and provider.capabilities.kinds == (RunKind.IMAGE,):
        return  # a picture cut short shows when it is decoded
    with pytest.raises((BadOutput, Unavailable, Refused)):
        provider.fetch(task.ref)
    harness.fake.faults.clear()
    assert made(provider, task)


@pytest.mark.parametrize("harness", vendors_where(lambda h: h.has_links), indirect=True)
def test_a_dead_link_is_asked_for_again(harness: ProviderHarness) -> None:
    provider = harness.adapter()
    task = finished(provider, provider.submit(generation_request(provider.capabilities.kinds[0])))
    harness.fake.faults[harness.link_fault] = ["dead link"]
    assert provider.fetch(task.ref)
    harness.fake.faults[harness.link_fault] = ["dead link"] * 4
    with pytest.raises(Unavailable, match="URLs do not work"):
        provider.fetch(task.ref)


@pytest.mark.parametrize("harness", vendors_where(lambda h: h.fake and not h.has_links), indirect=True)
def test_a_file_in_the_answer_is_looked_at_too(harness: ProviderHarness) -> None:
    provider, fault = harness.adapter(), "wrong magic"
    harness.fake.faults["task"] = [fault] * 2
    task = provider.submit(generation_request(provider.capabilities.kinds[0]))
    if provider.capabilities.tasks_per_poll:
        with pytest.raises(BadOutput):
            finished(provider, task)
            provider.fetch(task.ref)
    else:
        assert task.state is RemoteTaskState.FAILED and task.error and task.cost_usd


def test_the_key_goes_to_its_vendor_and_nowhere_else(harness: ProviderHarness) -> None:
    provider = harness.adapter()
    task = finished(provider, provider.submit(generation_request(provider.capabilities.kinds[0])))
    assert made(provider, task)  # a fake's files are refused to those who send a key along
    assert harness.api_key not in repr(provider) and (
        not harness.fake or harness.api_key not in repr(harness.fake.requests)
    )


@pytest.mark.parametrize("harness", vendors_where(lambda h: h.fake), indirect=True)
def test_an_unsupported_picture_is_refused_before_anything_is_sent(harness: ProviderHarness) -> None:
    provider = harness.adapter()
    view = (provider.capabilities.views or ("front",))[0]
    with pytest.raises(Refused, match="it takes"):
        provider.submit(generation_request(provider.capabilities.kinds[0], **{view: b"II*\x00 a TIFF"}))
    with pytest.raises(Refused, match="it needs"):
        provider.submit(
            generation_request(provider.capabilities.kinds[0], detail=b"\x89PNG")
            if provider.capabilities.views
            else generation_request(RunKind.IMAGE, without_pictures=True)
        )
    assert harness.fake.billed == 0 and not harness.fake.requests


@pytest.mark.parametrize("harness", vendors_where(lambda h: h.fake), indirect=True)
def test_an_address_in_a_private_network_is_not_talked_to(
    harness: ProviderHarness, provider_on_blocked_host: Callable[[], Provider]
) -> None:
    with pytest.raises(Refused, match="private network"):
        provider_on_blocked_host().submit(generation_request(harness.adapter().capabilities.kinds[0]))
    assert harness.fake.billed == 0
