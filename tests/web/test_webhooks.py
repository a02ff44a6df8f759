"""The receiver's answers."""

import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from dam_connector.app import create_app
from dam_connector.queue import BackgroundQueue, RqQueue
from dam_connector.settings import Settings
from dam_connector.usecases import intake
from dam_connector.web import rate_limit
from dam_connector.wiring import Services, build_services
from tests.support import ENVIRON, TestClock, event_body, record, signed


def post(
    client: FlaskClient,
    clock: TestClock,
    body: bytes | None = None,
    *,
    connection: str = "main",
    **headers: str,
):
    body = body if body is not None else event_body(record(), at=clock.now())
    return client.post(
        f"/webhooks/{connection}", data=body, headers={**signed(body, at=clock.now()), **headers}
    )


def test_a_signed_delivery_is_202_and_a_repeat_has_the_same_id(client: FlaskClient, clock: TestClock) -> None:
    first, second = post(client, clock), post(client, clock)
    assert first.status_code == second.status_code == 202
    assert first.json["delivery_id"] == second.json["delivery_id"] and (
        first.json["new"],
        second.json["new"],
    ) == (True, False)


def test_the_answer_names_the_address_that_tells_its_fate(
    client: FlaskClient, clock: TestClock, services: Services
) -> None:
    answer = post(client, clock, event_body(record(images={"front": ""}, dimensions=7), at=clock.now()))
    assert answer.json["delivery"].endswith(f"/api/v1/deliveries/{answer.json['delivery_id']}")
    intake.handle_delivery(services, answer.json["delivery_id"])
    found = services.inbox.get(answer.json["delivery_id"])
    assert found.state == "failed" and "/data/dimensions" in found.error


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"webhook-signature": "v1,AAAA"}, 401),
        ({"webhook-timestamp": "x"}, 400),
        ({"webhook-timestamp": "1"}, 401),
        ({"content-type": "text/html"}, 415),
    ],
)
def test_refusals_have_one_shape(
    client: FlaskClient, clock: TestClock, change: dict[str, str], status: int
) -> None:
    answer = post(client, clock, **change)
    assert answer.status_code == status
    assert (
        answer.json["error"]["code"] == status
        and answer.json["error"]["message"]
        and answer.json["error"]["problems"] == []
    )


def test_an_unknown_connection_is_404(client: FlaskClient, clock: TestClock) -> None:
    assert post(client, clock, connection="nobody").status_code == 404


def test_a_body_over_the_limit_is_413(client: FlaskClient, clock: TestClock, services: Services) -> None:
    answer = post(client, clock, b'"' + b"x" * services.settings.max_delivery_bytes + b'"')
    assert answer.status_code == 413 and b"DAM_CONNECTOR_MAX_DELIVERY_BYTES" in answer.data


def test_get_and_head_are_200(client: FlaskClient) -> None:
    assert client.get("/webhooks/main").status_code == client.head("/webhooks/main").status_code == 200


def test_other_methods_are_405_in_the_same_shape(client: FlaskClient) -> None:
    answer = client.put("/webhooks/main")
    assert answer.status_code == 405 and answer.json["error"]["name"] == "method_not_allowed"


def test_too_many_are_429_with_retry_after(services: Services, clock: TestClock) -> None:
    import dataclasses

    app = create_app(
        dataclasses.replace(services, settings=dataclasses.replace(services.settings, webhooks_per_minute=3))
    )
    client = app.test_client()
    answers = [post(client, clock) for _ in range(5)]
    assert [a.status_code for a in answers] == [202, 202, 202, 429, 429]
    assert answers[-1].headers["Retry-After"] and answers[-1].json["error"]["code"] == 429


def test_the_minute_of_an_address_begins_with_its_first_request_and_counts_hold_under_many_threads() -> None:
    limiter = rate_limit.RateLimiter()
    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(lambda _: limiter.allow("login", "1.2.3.4", 100, 59.0), range(400)))
    assert sum(allowed) == 100 and not limiter.allow("login", "1.2.3.4", 100, 118.0)
    assert limiter.allow("login", "5.6.7.8", 1, 118.0) and limiter.allow("link", "1.2.3.4", 1, 118.0)
    assert limiter.allow("login", "1.2.3.4", 100, 119.0)
    assert not limiter.allow("login", "5.6.7.8", 1, 170.0)  # its minute is another one


def test_many_at_once_are_all_taken_and_each_once(services: Services, clock: TestClock) -> None:
    app = create_app(services)
    bodies = [event_body(record(f"S{n % 40}"), at=clock.now()) for n in range(120)]

    def send(n: int):
        return app.test_client().post(
            "/webhooks/main", data=bodies[n], headers=signed(bodies[n], at=clock.now(), message=f"m{n % 40}")
        )

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(send, range(120)))
    assert {a.status_code for a in answers} == {202}
    assert sum(a.json["new"] for a in answers) == 40 == len({a.json["delivery_id"] for a in answers})


def test_a_connection_whose_secret_is_not_set_is_503_and_says_what_to_set(
    client: FlaskClient, clock: TestClock, write_rules
) -> None:
    rules = json.loads(client.application.extensions["services"].settings.plugin_json.read_text())
    write_rules(
        connections={
            **rules["connections"],
            "pim": {"new": {"adapter": "standard", "secrets": ["env/NOT_SET"]}},
        }
    )
    answer = post(client, clock, connection="new")
    assert answer.status_code == 503 and "NOT_SET" in answer.json["error"]["message"]


def test_an_answer_does_not_wait_for_redis(
    tmp_path: Path, clock: TestClock, services: Services, eventually: Callable[..., None]
) -> None:
    """Redis is away, and trying to reach it takes until after the answer."""
    settings = Settings.from_env(
        ENVIRON,
        data_dir=tmp_path / "data",
        plugin_json=services.settings.plugin_json,
        redis_url=f"unix://{tmp_path}/nobody.sock",
    )
    answered, was_answered_first = threading.Event(), []

    class SlowQueue(RqQueue):
        def wake(self, job: str, ids: Iterable[str]) -> bool:
            was_answered_first.append(answered.wait(30))
            return super().wake(job, ids)

    queue = BackgroundQueue(SlowQueue(settings.effective_redis_url))
    without_redis = build_services(settings, clock=clock, queue=queue)
    assert post(create_app(without_redis).test_client(), clock).status_code == 202
    answered.set()
    eventually(lambda: was_answered_first == [True])
    assert len(without_redis.inbox.page()) == 1
    without_redis.db.close()


def test_the_body_is_stored_as_it_came(client: FlaskClient, clock: TestClock, services: Services) -> None:
    body = b'{"type":  "product.created" ,"weird": "\xc3\xbc"}'
    answer = post(client, clock, body)
    assert services.inbox.get(answer.json["delivery_id"]).inbound.body == body
