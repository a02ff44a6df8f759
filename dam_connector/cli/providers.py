"""Commands for providers and their cost: provider list, balance, test; spend."""

import json
from pathlib import Path
from typing import Any

import click

from dam_connector.cli.common import data_dir_option, json_option, open_services, report_errors
from dam_connector.errors import AdapterError, ConfigError, Unsupported
from dam_connector.usecases.provider_overview import provider_overview
from dam_connector.wiring import Services

GROUPINGS = ("provider", "batch", "category", "deliverable", "state")


@click.group()
def provider() -> None:
    """Manage the providers that generate remotely."""


@provider.command("list")
@data_dir_option
@json_option
@report_errors
def provider_list(data_dir: Path | None, json_output: bool) -> None:
    """List the providers in plugin.json with their slots, spend and caps."""
    services = open_services(data_dir)
    found = [_provider_facts(services, name) for name in services.rules.current().provider]
    if json_output:
        click.echo(json.dumps(found))
        return
    for p in found:
        slots = f"{p['in_flight']} of {p['slots']} slots"
        line = [p["name"], p["adapter"], p["model"], ", ".join(p["makes"]), slots, _budget_text(p)]
        click.echo("\t".join(line))
    if not found:
        click.echo("plugin.json names no provider: the connector makes everything itself")


def _provider_facts(services: Services, name: str) -> dict[str, Any]:
    """Return a provider's capabilities, load and budgets for JSON output."""
    found = provider_overview(services, name)
    return {
        "name": name,
        "adapter": found.adapter,
        "model": found.model,
        "slots": found.slots,
        "makes": list(found.makes),
        "in_flight": found.in_flight,
        "budget": [{"of": b.period, "spent_usd": b.spent, "cap_usd": b.cap} for b in found.budgets],
    }


def _budget_text(provider: dict[str, Any]) -> str:
    """Return e.g. `$1.20 this day of $5, $8.00 this month`."""
    return ", ".join(
        f"${b['spent_usd']:.2f} this {b['of']}"
        + (f" of ${b['cap_usd']:g}" if b["cap_usd"] is not None else "")
        for b in provider["budget"]
    )


@provider.command("balance")
@click.argument("name")
@data_dir_option
@json_option
@report_errors
def provider_balance(name: str, data_dir: Path | None, json_output: bool) -> None:
    """Print the balance of the account with a provider."""
    usd = open_services(data_dir).provider(name).balance()
    click.echo(json.dumps({"provider": name, "balance_usd": usd}) if json_output else f"{name}: ${usd:.2f}")


@provider.command("test")
@click.argument("name")
@data_dir_option
@json_option
@report_errors
def provider_test(name: str, data_dir: Path | None, json_output: bool) -> None:
    """Test a provider and its key at no cost. Exit code 1 when it fails."""
    adapter = open_services(data_dir).provider(name)
    try:
        detail = f"it answers and accepts the key; the balance is ${adapter.balance():.2f}"
    except Unsupported:
        detail = "it cannot be tested: it has no balance to ask for"
    except AdapterError as error:
        raise ConfigError(f"/connections/provider/{name}: {error}") from error
    click.echo(
        json.dumps({"provider": name, "good": True, "detail": detail}) if json_output else f"{name}: {detail}"
    )


@click.command("spend")
@data_dir_option
@json_option
@report_errors
def spend(data_dir: Path | None, json_output: bool) -> None:
    """Print the cost of providers this month.

    By provider, batch, category, deliverable and state; then the tasks whose answer
    was lost and those that wait.
    """
    services = open_services(data_dir)
    facts: dict[str, Any] = {
        by: [{"name": n, "tasks": c, "usd": u} for n, c, u in services.spend.totals_by(by)]
        for by in GROUPINGS
    }
    facts["budget"] = {
        name: _provider_facts(services, name)["budget"] for name in services.rules.current().provider
    }
    for state in ("unknown", "waiting"):
        facts[state] = [
            {**task, "created_at": task["created_at"].isoformat()}
            for task in services.spend.tasks_in_state(state)
        ]
    if json_output:
        click.echo(json.dumps(facts))
        return
    for by in GROUPINGS:
        for row in facts[by]:
            click.echo(f"{by}\t{row['name']}\t{row['tasks']} tasks\t${row['usd']:.2f}")
    for task in facts["unknown"]:
        click.echo(
            f"lost answer\t{task['provider']} {task['sku']} {task['deliverable']}"
            f"\tperhaps ${task['estimate_usd']:.2f}\t{task['error']}"
        )
    for task in facts["waiting"]:
        click.echo(
            f"waiting\t{task['provider']} {task['sku']} {task['deliverable']}"
            f"\tabout ${task['estimate_usd']:.2f}\t{task['error']}"
        )
    if not facts["provider"]:
        click.echo("nothing was spent this month")
