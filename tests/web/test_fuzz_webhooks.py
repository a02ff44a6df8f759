"""Whatever arrives at a webhook's address, signed or not, the answer is never a 5xx, and handling it never
breaks.
"""

import json

from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import TestClock, record, signed

NO_LIMITS = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
    "database": None,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(), x, max_size=4),
    max_leaves=12,
)
HEADER = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)


def test_unsigned_rubbish(client: FlaskClient) -> None:
    @settings(max_examples=80, **NO_LIMITS)
    @given(
        body=st.binary(max_size=300),
        name=st.sampled_from(["main", "mem", "nobody", "..", "%00"]),
        stamp=HEADER,
        signature=HEADER,
        kind=st.sampled_from(["application/json", "application/cloudevents+json", "text/plain", ""]),
    )
    def probe(body: bytes, name: str, stamp: str, signature: str, kind: str) -> None:
        headers = {
            "webhook-id": "x",
            "webhook-timestamp": stamp,
            "webhook-signature": signature,
            "content-type": kind,
            "ce-id": stamp,
        }
        assert client.post(f"/webhooks/{name}", data=body, headers=headers).status_code in (
            400,
            401,
            404,
            413,
            415,
            429,
            308,
        )

    probe()


def test_signed_rubbish_is_taken_and_fails_by_itself(
    client: FlaskClient, services: Services, clock: TestClock
) -> None:
    counter = iter(range(10_000))

    @settings(max_examples=80, **NO_LIMITS)
    @given(data=JSON, envelope=st.booleans())
    def probe(data: object, envelope: bool) -> None:
        body = json.dumps(
            {"type": "product.created", "timestamp": clock.now().isoformat(), "data": data}
            if envelope
            else data
        ).encode()
        answer = client.post(
            "/webhooks/main", data=body, headers=signed(body, at=clock.now(), message=f"m{next(counter)}")
        )
        assert answer.status_code == 202
        intake.handle_delivery(services, answer.json["delivery_id"])
        assert services.inbox.get(answer.json["delivery_id"]).state in ("handled", "failed")

    probe()


def test_signed_products_with_odd_values(client: FlaskClient, services: Services, clock: TestClock) -> None:
    counter = iter(range(10_000))
    fields = st.fixed_dictionaries(
        {},
        optional={
            "sku": st.text(max_size=80),
            "name": st.text(max_size=50),
            "category": st.text(max_size=20) | st.none(),
            "images": st.dictionaries(
                st.sampled_from(["front", "back", "x"]), st.text(max_size=60), max_size=2
            ),
            "dimensions": st.dictionaries(
                st.sampled_from(["width", "height", "depth", "unit"]),
                st.floats() | st.integers() | st.sampled_from(["cm", "in", "x"]),
                max_size=4,
            ),
            "attributes": JSON,
        },
    )

    @settings(max_examples=80, **NO_LIMITS)
    @given(changes=fields)
    def probe(changes: dict) -> None:
        body = json.dumps(
            {"type": "product.updated", "timestamp": clock.now().isoformat(), "data": {**record(), **changes}}
        ).encode()
        answer = client.post(
            "/webhooks/main", data=body, headers=signed(body, at=clock.now(), message=f"p{next(counter)}")
        )
        assert answer.status_code == 202
        intake.handle_delivery(services, answer.json["delivery_id"])
        assert services.inbox.get(answer.json["delivery_id"]).state in ("handled", "failed", "received")

    probe()
