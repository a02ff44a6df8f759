"""The OpenAPI document: it says what the API does, and the API does what it says."""

import re
from collections import Counter
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings

from dam_connector.store.batch_records import BatchState, RowState
from dam_connector.store.users import UserRole
from dam_connector.usecases.connections import PORTS
from dam_connector.usecases.reconciliation import DriftKind
from dam_connector.wiring import Services
from schemas import api_admin, api_batches


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    return app.test_client().get("/api/openapi.json").json


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        operation
        for path in document["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    ]


def test_no_request_that_the_specification_allows_or_forbids_makes_a_5xx(
    app: Flask, services: Services
) -> None:
    """Every answer has a status, a type and a body that the document names, whatever is sent."""
    import schemathesis  # takes a second, which the other test processes are spared
    from schemathesis.specs.openapi import checks as known

    checks = [
        known.status_code_conformance,
        known.content_type_conformance,
        known.response_schema_conformance,
    ]
    token = services.users.add_token(services.users.add("fuzz", UserRole.ADMIN), "fuzz")
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    statuses: Counter[int] = Counter()

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=4,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(case=operation.as_strategy())
        def probe(case: Any) -> None:
            headers = {"Authorization": f"Bearer {token}"}
            answer = case.call(headers=headers)
            statuses[answer.status_code] += 1
            assert answer.status_code < 500, (case.method, case.path, answer.text[:300])
            case.validate_response(answer, checks=checks, headers=headers)

        probe()
    assert statuses[200] > 30 and statuses[422] > 30, statuses


def test_operations_have_unique_names_tags_and_descriptions(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(document)]
    assert len(names) == len(set(names)) > 60
    assert not [name for name in names if not re.fullmatch("[a-z_]+", name)]
    assert all(operation["summary"] and len(operation["tags"]) == 1 for operation in operations(document))
    used = {tag for operation in operations(document) for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"] if tag["description"]} and len(used) == len(
        document["tags"]
    )
    assert all("Role: " in operation["description"] for operation in operations(document))


def test_errors_have_the_shape_that_the_document_shows(document: dict[str, Any]) -> None:
    for operation in operations(document):
        assert {"401", "403", "404", "422"} <= set(operation["responses"])
    assert all(
        "409" in o["responses"] for path in document["paths"].values() for o in [path.get("post")] if o
    )
    refs = [r["$ref"] for o in operations(document) for s, r in o["responses"].items() if s >= "400"]
    for ref in set(refs):
        shown = document["components"]["responses"][ref.rpartition("/")[2]]["content"]["application/json"]
        assert shown["schema"] == {"$ref": "#/components/schemas/ErrorOut"}, ref


def test_the_key_header_is_shown_where_it_is_taken(document: dict[str, Any]) -> None:
    key = {"$ref": "#/components/parameters/IDEMPOTENCY_KEY"}
    taking = {o["operationId"] for o in operations(document) if key in o.get("parameters", [])}
    assert {"decide", "add_product", "begin_batch", "comment", "decide_many"} <= taking
    assert not taking & {"upload", "check_sheet", "put_user"}
    assert document["components"]["parameters"]["IDEMPOTENCY_KEY"]["in"] == "header"


def test_the_document_shows_how_to_get_in(document: dict[str, Any]) -> None:
    assert "dam-connector token add" in document["info"]["description"]
    assert set(document["components"]["securitySchemes"]) == {"token", "session", "csrf"}
    assert document["security"] == [{"token": []}, {"session": [], "csrf": []}]


def test_values_of_enums_are_those_of_the_domain() -> None:
    assert set(api_admin.ROLES) == {role.value for role in UserRole}
    assert set(api_admin.PORTS) == set(PORTS)
    assert set(api_admin.DRIFT_KINDS) == {kind.value for kind in DriftKind}
    assert set(api_batches.BATCH_STATES) == {s.value for s in BatchState} - {"storing"}
    assert set(api_batches.ROW_STATES) == {s.value for s in RowState}
