"""Money: a provider's task is paid for once, whatever dies when; caps hold; what a task cost and who made it
is on record.
"""

from collections.abc import Callable

import pytest

from dam_connector.app import create_app
from dam_connector.domain.version import Version
from dam_connector.errors import FileMissing
from dam_connector.fakes.tripo import FakeTripo
from dam_connector.ports import GenerationRequest
from dam_connector.store.tasks import IN_FLIGHT_STATES, TaskState
from dam_connector.usecases import intake
from dam_connector.usecases.broker import Broker
from dam_connector.usecases.provider_orders import ProviderOrder
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, chair, send, versions
from tests.pipeline.paid.helpers import CUBE, PRICE, place, run_broker
from tests.support import PhotoServer, TestClock


def model(services: Services) -> Version:
    return versions(services)["model"]


@pytest.mark.usefixtures("rules")
def test_a_model_comes_from_tripo_and_its_cost_is_on_record(
    services: Services, photos: PhotoServer, rounds: Callable, fake: FakeTripo
) -> None:
    send(services, chair(photos, dimensions=CUBE))
    rounds()
    made = model(services)
    assert fake.billed == 1 and made.report.facts["size_m"] == "0.300 x 0.300 x 0.300"
    assert (made.provenance["generator"], made.provenance["cost_usd"], made.provenance["task"]) == (
        "tripo",
        "0.3",
        next(iter(fake.tasks)),
    )
    assert made.provenance["model_asked"] == made.provenance["model_actual"] == "v3.1-20260211"
    assert services.spend.spent("tripo") == {"day": PRICE, "month": PRICE} and services.spend.totals_by(
        "category"
    ) == [("decor", 1, PRICE)]


@pytest.mark.usefixtures("rules")
@pytest.mark.issue("provider.other_model")
def test_another_model_than_was_requested_is_reported(
    services: Services, photos: PhotoServer, rounds: Callable, fake: FakeTripo
) -> None:
    fake.faults["task"] = ["other model"] * 9
    send(services, chair(photos, dimensions=CUBE))
    rounds()
    found = {i.code: i for i in model(services).report.issues}["provider.other_model"]
    assert (found.measured, found.limit) == ("v9.9-later", "v3.1-20260211")


def test_a_lost_answer_is_not_asked_for_again_and_the_next_generator_goes_on(
    services: Services, photos: PhotoServer, rounds: Callable, rules: Callable, fake: FakeTripo
) -> None:
    rules("tripo", "local")
    fake.faults["submit"] = ["lost"]
    send(services, chair(photos, dimensions=CUBE))
    rounds()
    assert model(services).provenance["generator"] == "local" and fake.billed == 1
    assert [(task["provider"], task["sku"]) for task in services.spend.tasks_in_state("unknown")] == [
        ("tripo", "CH123")
    ]
    assert services.spend.spent("tripo")["day"] == PRICE  # until a person says otherwise


@pytest.mark.usefixtures("rules")
def test_a_photo_that_the_storage_lacks_for_a_while_fails_no_task(
    services: Services,
    photos: PhotoServer,
    rounds: Callable,
    fake: FakeTripo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load, lacking = ProviderOrder.to_request, [1, 2]

    def lack(order: ProviderOrder, services: Services, key: str, **options: bool) -> GenerationRequest:
        if options.get("with_pictures", True) and lacking:
            lacking.pop()
            raise FileMissing("storage", "get", "s3://bucket/files does not have it")
        return load(order, services, key, **options)

    monkeypatch.setattr(ProviderOrder, "to_request", lack)
    send(services, chair(photos, dimensions=CUBE))
    rounds(8)
    assert not lacking and model(services).provenance["generator"] == "tripo" and fake.billed == 1


@pytest.mark.usefixtures("rules")
def test_what_proves_that_nothing_was_begun_is_tried_again(
    services: Services, photos: PhotoServer, rounds: Callable, fake: FakeTripo
) -> None:
    fake.faults = {"upload": ["500", "closed"], "submit": ["rate", "busy"], "poll": ["500"]}
    send(services, chair(photos, dimensions=CUBE))
    rounds(8)
    assert model(services).provenance["generator"] == "tripo" and fake.billed == 1


@pytest.mark.usefixtures("rules")
def test_an_empty_account_lets_the_run_wait_until_there_is_credit(
    services: Services, photos: PhotoServer, rounds: Callable, fake: FakeTripo
) -> None:
    fake.credits = 0
    send(services, chair(photos, dimensions=CUBE))
    rounds(2)
    (run,) = [r for r in services.runs.page() if r.deliverable == "model"]
    assert run.state == "parked" and "2010" in run.error and services.spend.spent("tripo")["day"] == 0
    assert "2010" in services.notes.get("paused:tripo")
    fake.credits = 100
    rounds(3, pause_s=1000)
    assert services.notes.get("paused:tripo") == ""
    assert model(services).provenance["generator"] == "tripo" and fake.billed == 1


def test_a_cap_lets_the_run_wait_too(
    services: Services, photos: PhotoServer, rounds: Callable, rules: Callable, fake: FakeTripo
) -> None:
    rules("tripo", max_usd_per_day=0.5)
    place(services, 1)
    rounds(1)
    send(services, chair(photos, dimensions=CUBE))
    rounds(2)
    (run,) = [r for r in services.runs.page() if r.deliverable == "model"]
    assert run.state == "parked" and "the cap of $0.5 a day is reached" in run.error and fake.billed == 1
    rules("tripo", max_usd_per_day=5)
    rounds(3, pause_s=1000)
    assert model(services).provenance["generator"] == "tripo" and fake.billed == 2


@pytest.mark.usefixtures("rules")
def test_a_task_that_never_ends_times_out(
    services: Services, photos: PhotoServer, rounds: Callable, fake: FakeTripo
) -> None:
    fake.seconds = 1e6
    send(services, chair(photos, dimensions=CUBE))
    rounds(5, pause_s=1000)
    (run,) = [r for r in services.runs.page() if r.deliverable == "model"]
    assert run.state == "failed" and "did not end in time" in run.error and fake.billed == 1


def test_a_cap_for_a_batch_holds_up_that_batch_alone(
    services: Services, broker: Broker, rules: Callable, fake: FakeTripo
) -> None:
    rules("tripo", max_usd_per_batch=0.6)
    for n in range(6):
        place(services, n, batch_id="bat_1" if n < 4 else "bat_2")
    run_broker(broker, 3)
    assert services.spend.totals_by("batch") == [("bat_1", 2, 0.6), ("bat_2", 2, 0.6)] and fake.billed == 4
    assert [t["error"] for t in services.spend.tasks_in_state("waiting")] == [
        "tripo submit: the cap of $0.6 a batch is reached: $0.60 are spent or reserved"
    ] * 2


@pytest.mark.usefixtures("rules")
def test_what_waits_for_a_slot_gets_one_when_a_task_ended(
    services: Services, broker: Broker, fake: FakeTripo, clock: TestClock, rules: Callable
) -> None:
    rules("tripo", concurrency=3)
    fake.concurrency, fake.seconds = 3, 0.0
    for n in range(8):
        place(services, n)
    flown = []
    for _ in range(6):
        run_broker(broker)
        flown.append(services.tasks.count("tripo", *IN_FLIGHT_STATES))
        clock.forward(30)
    assert (
        max(flown) == 3
        and fake.billed == 8
        and services.spend.totals_by("state") == [("settled", 8, pytest.approx(8 * PRICE))]
    )
    assert not [1 for operation, _ in fake.requests if operation == "submit"][8:]  # nobody was turned away


def test_nobody_looks_before_the_time_within_which_no_task_ended_lately(
    services: Services, broker: Broker, fake: FakeTripo, clock: TestClock, rules: Callable
) -> None:
    rules("tripo")
    for n in range(8):
        place(services, n)
    run_broker(broker)
    clock.forward(5)
    run_broker(broker)
    assert services.spend.totals_by("state") == [("settled", 8, pytest.approx(8 * PRICE))]
    place(services, 9)
    run_broker(broker)
    looks = [operation for operation, _ in fake.requests].count("poll")
    clock.forward(4.4)  # the others were seen to end after five seconds
    run_broker(broker)
    assert [operation for operation, _ in fake.requests].count("poll") == looks
    clock.forward(1)
    run_broker(broker)
    assert services.tasks.newest("run_9", "tripo").state is TaskState.SETTLED


def test_what_waited_long_for_a_slot_is_neither_late_nor_yesterdays(
    services: Services, broker: Broker, fake: FakeTripo, clock: TestClock, rules: Callable
) -> None:
    rules("tripo", concurrency=1, max_usd_per_day=2 * PRICE)
    fake.seconds = 1e6
    first, second = place(services, 1), place(services, 2)
    run_broker(broker)
    for _ in range(3):
        clock.forward(3000)  # the first one is given up in that time, and frees its slot
        run_broker(broker)
    assert (
        services.tasks.get(first.id).state is TaskState.UNKNOWN
        and services.tasks.get(second.id).state is TaskState.SUBMITTED
    )
    place(services, 3)
    clock.forward(86_400 - 3000)
    fake.seconds = 0.0
    for _ in range(4):
        run_broker(broker)
        clock.forward(30)
    assert services.spend.spent("tripo")["day"] == PRICE  # ordered yesterday, spent today


def test_what_was_made_is_not_ordered_again_by_the_same_run(
    services: Services, broker: Broker, fake: FakeTripo, clock: TestClock, rules: Callable
) -> None:
    rules("tripo")
    first = place(services, 1)
    run_broker(broker)
    clock.forward(60)
    run_broker(broker)
    services.tasks.acknowledge(services.tasks.get(first.id))  # and the worker dies before its checkpoint
    assert place(services, 1).id == first.id and fake.billed == 1


def test_a_provider_that_left_the_rules_is_passed_over(
    services: Services,
    photos: PhotoServer,
    rounds: Callable,
    rules: Callable,
    write_rules: Callable,
    fake: FakeTripo,
) -> None:
    rules("tripo", "local")
    delivery, _ = send(services, chair(photos, dimensions=CUBE))
    intake.handle_delivery(services, delivery)  # the run is planned, by rules that name tripo
    write_rules()
    rounds()
    assert model(services).provenance["generator"] == "local" and not fake.billed


def test_an_order_of_a_superseded_run_is_dropped(
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    broker: Broker,
    rules: Callable,
    fake: FakeTripo,
    clock: TestClock,
) -> None:
    rules("tripo")
    fake.credits = 0
    send(services, chair(photos, dimensions=CUBE))
    drain()
    (run,) = [r for r in services.runs.page() if r.deliverable == "model"]
    run_broker(broker)
    send(
        services, chair(photos, dimensions={**CUBE, "height": 31}), message="msg_2"
    )  # newer facts: the run is not wanted any more
    drain()
    clock.forward(5)
    run_broker(broker)
    assert services.tasks.newest(run.id, "tripo").state is TaskState.RELEASED


def test_a_run_that_was_not_parked_yet_is_woken_later(
    services: Services,
    photos: PhotoServer,
    rounds: Callable,
    rules: Callable,
    fake: FakeTripo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules("tripo")
    wake, woken = services.runs.wake, []
    monkeypatch.setattr(
        services.runs,
        "wake",
        lambda run_id: (woken.append(run_id), wake(run_id))[1] if woken else woken.append(run_id),
    )
    send(services, chair(photos, dimensions=CUBE))
    rounds(6)
    assert len(woken) == 2 and model(services).provenance["generator"] == "tripo"


@pytest.mark.usefixtures("rules")
def test_a_webhook_wakes_the_look(
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    broker: Broker,
    rules: Callable,
    fake: FakeTripo,
    clock: TestClock,
) -> None:
    rules("tripo", webhook_secret="env/TRIPO_WEBHOOK_SECRET")
    send(services, chair(photos, dimensions=CUBE))
    drain()
    run_broker(broker)
    (task,) = fake.tasks.values()
    client = create_app(services).test_client()
    headers, body = fake.webhook(task, at=int(clock.now().timestamp()))
    assert (
        client.post(
            "/webhooks/tripo", data=body, headers={**headers, "tripo-webhook-signature": "t=1,v1=00"}
        ).status_code
        == 401
    )
    first, again = (client.post("/webhooks/tripo", data=body, headers=headers) for _ in range(2))
    assert first.status_code == 202 and first.json["new"] and not again.json["new"]
    drain()
    run_broker(broker)  # at once, though its next look was seconds away
    drain()
    assert model(services).provenance["generator"] == "tripo"
    (delivery,) = [d for d in services.inbox.page() if d.connection == "tripo"]
    assert delivery.state == "handled" and delivery.summary == "tripo: the task is polled now"
    late, late_body = fake.webhook(task, at=int(clock.now().timestamp()), delivery="dlv_2")
    client.post("/webhooks/tripo", data=late_body, headers=late)
    drain()
    assert services.inbox.page()[0].summary == "tripo: not one of our tasks"
