"""At 100,000 assets on PostgreSQL, no query of a page or of the sweeper reads a whole table.

The pages and the loops run as they are, against a real server. Each statement that they send is explained
and executed again by the server, which says how many rows it touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dam_connector.app import create_app
from dam_connector.store.users import UserRole
from dam_connector.usecases import maintenance
from dam_connector.usecases.broker import Broker
from dam_connector.usecases.dam_sync.inbound import poll_dams
from dam_connector.usecases.expiry import warn_before_expiry, withdraw_expired
from dam_connector.usecases.metrics import Metrics
from dam_connector.wiring import Services
from tests.conftest import open_services
from tests.stress.many_records import fill
from tests.support import TestClock

pytestmark = pytest.mark.stress
MAX_ROWS = 12_000  # of one table in one statement: a count stops at MAX_COUNT, 10,000
PAGES = [
    "/review",
    "/review?state=blocked",
    "/gallery",
    "/gallery?category=cat7",
    "/gallery?text=chair",
    "/gallery?deliverable=packshot",
    "/gallery?channel=viewer",
    "/gallery?sku=S77",
    "/gallery?state=published",
    "/compare?v=ver_00000020&v=ver_00000040",
    "/products",
    "/products?category=cat7",
    "/products?flagged=1",
    "/products/prd_00000077",
    "/versions/ver_00000020",
    "/runs",
    "/runs?state=failed",
    "/runs?sku=S77",
    "/deliveries",
    "/deliveries?state=failed",
    "/deliveries/dlv_00000077",
    "/spend",
    "/batches",
    "/batches/bat_1",
    "/batches/bat_1/now",
    "/audit",
    "/connections",
    "/rules",
    "/account",
    "/ar/S80",
    "/api/v1/products",
    "/api/v1/versions",
    "/api/v1/runs",
    "/api/v1/deliveries",
    "/api/v1/batches",
    "/api/v1/spend",
]


@dataclass(frozen=True)
class Statement:
    """A statement as it was sent."""

    text: str
    values: Any
    page: str  # or the loop that sent it


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory, queue_url: str, migrated_postgres: Any, migrated_sqlite: Path
) -> Iterator[Services]:
    with open_services(
        tmp_path_factory.mktemp("many"),
        clock=TestClock(),
        queue_url=queue_url,
        allow_hosts="127.0.0.1",
        migrated_sqlite=migrated_sqlite,
        database_url=migrated_postgres(),
    ) as opened:
        fill(opened.db)
        with opened.db.write() as c:  # rows of batches are to be counted anew
            changed = "state = 'done' AND id < 'run_00000200'"
            c.execute(sa.text(f"UPDATE runs SET state = 'queued' WHERE {changed}"))
        yield opened


def record_statements(services: Services) -> list[Statement]:
    """Everything that the pages and loops send, each text once."""
    seen: dict[str, Statement] = {}
    where = [""]

    def note(_: Any, __: Any, text: str, values: Any, ___: Any, many: bool) -> None:
        if not many and text.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            seen.setdefault(text, Statement(text, values, where[0]))

    sa.event.listen(services.db._reader, "before_cursor_execute", note)
    token = services.users.add_token(services.users.add("ann", UserRole.ADMIN), "test")
    client = create_app(services).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    statuses = {}
    for page in PAGES:
        where[0] = page
        statuses[page] = client.get(page).status_code
    assert {page: status for page, status in statuses.items() if status != 200} == {
        "/ar/S80": 404
    }  # it has no GLB
    broker = Broker(services, "me")
    loops = {
        "sweep": lambda: maintenance.sweep(services, "me"),
        "metrics": Metrics(services).text,
        "broker": broker.tick,
        "dams": lambda: poll_dams(services),
        "expiry": lambda: (withdraw_expired(services), warn_before_expiry(services)),
        "lease": lambda: services.runs.lease("run_00001001", "me", 20),
    }
    for name, loop in loops.items():
        where[0] = name
        loop()
    broker.close()
    sa.event.remove(services.db._reader, "before_cursor_execute", note)
    return list(seen.values())


def touched(plan: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Rows that each node read, and the node."""
    loops = plan.get("Actual Loops", 0)
    rows = plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)
    rows += plan.get("Rows Removed by Index Recheck", 0)
    if "Relation Name" in plan:
        yield int(rows * loops), f"{plan['Node Type']} on {plan['Relation Name']}"
    for child in plan.get("Plans", []):
        yield from touched(child)


def test_no_query_of_a_page_or_a_loop_reads_a_table(services: Services) -> None:
    statements = record_statements(services)
    assert len(statements) > 80
    problems = []
    with services.db._writer.connect() as connection:
        for each in statements:
            with connection.begin() as transaction:
                cursor = connection.connection.cursor()
                cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) " + each.text, each.values)
                plan = cursor.fetchone()[0][0]["Plan"]
                transaction.rollback()
            rows, node = max(touched(plan), default=(0, ""))
            if rows > MAX_ROWS:
                problems.append(f"{each.page}: {rows} rows by {node}: {' '.join(each.text.split())[:400]}")
    assert not problems, "\n".join(problems)
