"""Endpoints of the API for connections, reconciliation, providers and spending."""

from typing import Any

from flask import abort

from dam_connector.errors import AdapterError, ConfigError
from dam_connector.store.users import UserRole
from dam_connector.usecases import connection_tests, reconciliation
from dam_connector.usecases.connections import PORTS, WEBHOOK_PORTS, last_deliveries
from dam_connector.usecases.provider_overview import all_providers
from dam_connector.web.api.blueprint import bp
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import api_admin as s


@bp.get("/connections")
@requires(UserRole.VIEWER)
@bp.response(200, s.ConnectionOut(many=True))
def list_connections() -> list[dict[str, Any]]:
    """List the connections of plugin.json, with the newest webhook and the last test of each."""
    contacts, rules = last_deliveries(services()), services().rules.current()
    tests = connection_tests.last_tests(services())
    base = services().settings.base_url
    return [
        {
            "port": port,
            "name": name,
            "adapter": connection.adapter,
            "webhook_url": f"{base}/webhooks/{name}" if port in WEBHOOK_PORTS else "",
            "last_delivery": contacts.get(name),
            "last_test": tests.get(name),
        }
        for port in PORTS
        for name, connection in getattr(rules, port).items()
    ]


@bp.post("/connections/<name>/test")
@requires(UserRole.ADMIN)
@bp.arguments(s.ConnectionTestIn, required=False)
@bp.response(200, s.ConnectionTestOut)
def test_connection(data: dict[str, Any], name: str) -> dict[str, Any]:
    """Make a round trip over a connection and clean up after it; `good` says whether it works."""
    rules = services().rules.current()
    if not any(name in getattr(rules, port) for port in PORTS):
        abort(404, "plugin.json has no connection of this name; see GET /connections")
    done: list[str] = []
    error = ""
    try:
        for line in connection_tests.run_test(services(), name, by=signed_in_user().name, sku=data["sku"]):
            done.append(line)
    except (AdapterError, ConfigError) as failure:
        error = str(failure)
    return {"connection": name, "good": not error, "done": done, "error": error}


@bp.get("/reconciliation")
@requires(UserRole.VIEWER)
@bp.response(200, s.ReconciliationOut)
def reconciliation_result() -> dict[str, Any]:
    """Return the differences that the last comparison of PIMs, DAMs and channels found."""
    return _result()


@bp.post("/reconciliation")
@requires(UserRole.ADMIN)
@bp.response(202, s.ReconciliationOut)
def start_reconciliation() -> dict[str, Any]:
    """Compare everything soon, as if it were time by plugin.json; ask until `is_requested` is false."""
    reconciliation.request_reconciliation(services(), by=signed_in_user().name)
    return _result()


def _result() -> dict[str, Any]:
    at, count, differences = reconciliation.last_result(services())
    requested = reconciliation.is_requested(services())
    return {"at": at, "is_requested": requested, "count": count, "differences": differences}


@bp.post("/reconciliation/repairs")
@requires(UserRole.ADMIN)
@bp.arguments(s.DriftIn)
@bp.response(200, s.RepairOut)
def repair_difference(data: dict[str, Any]) -> dict[str, Any]:
    """Repair one difference that the last comparison found. 404: it did not find this one."""
    where, ref, kind = data["where"], data["ref"], data["kind"]
    outcome = reconciliation.repair_found(services(), where, ref, kind, by=signed_in_user().name)
    return {"outcome": outcome}


@bp.get("/providers")
@requires(UserRole.MERCHANDISER)
@bp.response(200, s.ProviderOut(many=True))
def list_providers() -> Any:
    """List the providers of plugin.json with their load, spending and caps."""
    return all_providers(services())


@bp.get("/spend")
@requires(UserRole.MERCHANDISER)
@bp.response(200, s.SpendOut)
def spend() -> dict[str, Any]:
    """Return the cost of providers this month, and the tasks that need a look."""
    spent = services().spend
    groups = {
        f"by_{by}": [{"name": n, "tasks": c, "usd": usd} for n, c, usd in rows]
        for by, rows in spent.totals("provider", "batch", "category", "deliverable", "state").items()
    }
    tasks = {state: spent.tasks_in_state(state) for state in ("unknown", "waiting")}
    return {**groups, **tasks, "providers": all_providers(services())}
