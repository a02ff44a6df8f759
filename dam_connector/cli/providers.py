"""The command line of providers and what they cost: provider list, balance, test; spend."""

import json
from pathlib import Path
from typing import Any

import click

from dam_connector.cli.common import data_dir_option, json_option, open_services, report_errors
from dam_connector.errors import AdapterError, ConfigError, Unsupported
from dam_connector.store.tasks import IN_FLIGHT_STATES
from dam_connector.usecases.provider_orders import budget
from dam_connector.wiring import Services

GROUPINGS = ("provider", "batch", "category", "deliverable", "state")


@click.group()
def provider() -> None:
    """Whoever generates remotely."""


@provider.command("list")
@data_dir_option
@json_option
@report_errors
def provider_list(data_dir: Path | None, json_output: bool) -> None:
    """The providers in plugin.json, with what was spent and what may be."""
    services = open_services(data_dir)
    found = [_provider_facts(services, name) for name in services.rules.current().provider]
    lines = [
        f"{p['name']}\t{p['adapter']}\t{p['model']}\t{', '.join(p['makes'])}\t{p['in_flight']} of {p['slots']} slots\t{_budget_text(p)}"
        for p in found
    ]
    click.echo(
        json.dumps(found)
        if json_output
        else "\n".join(lines) or "plugin.json names no provider: everything is made by our own code"
    )


def _provider_facts(services: Services, name: str) -> dict[str, Any]:
    connection = services.rules.current().provider[name]
    provider = services.provider(name)
    about: dict[str, Any] = {
        "name": name,
        "adapter": connection.adapter,
        "model": provider.model,
        "slots": provider.capabilities.concurrency,
    }
    about |= {
        "makes": [kind.value for kind in provider.capabilities.kinds],
        "in_flight": services.tasks.count(name, *IN_FLIGHT_STATES),
    }
    return {
        **about,
        "budget": [{"of": b.of, "spent_usd": b.spent, "cap_usd": b.cap} for b in budget(services, name)],
    }


def _budget_text(told: dict[str, Any]) -> str:
    return ", ".join(
        f"${b['spent_usd']:.2f} this {b['of']}"
        + (f" of ${b['cap_usd']:g}" if b["cap_usd"] is not None else "")
        for b in told["budget"]
    )


@provider.command("balance")
@click.argument("name")
@data_dir_option
@json_option
@report_errors
def provider_balance(name: str, data_dir: Path | None, json_output: bool) -> None:
    """What is left of a provider's account."""
    usd = open_services(data_dir).provider(name).balance()
    click.echo(json.dumps({"provider": name, "balance_usd": usd}) if json_output else f"{name}: ${usd:.2f}")


@provider.command("test")
@click.argument("name")
@data_dir_option
@json_option
@report_errors
def provider_test(name: str, data_dir: Path | None, json_output: bool) -> None:
    """Ask a provider something that costs nothing: whether it is there and takes our key. Exit code 1: not."""
    adapter = open_services(data_dir).provider(name)
    try:
        said = f"it answers and takes the key; ${adapter.balance():.2f} are left"
    except Unsupported:
        said = "it has no balance to ask for: the first task will tell"
    except AdapterError as error:
        raise ConfigError(f"/connections/provider/{name}: {error}") from error
    click.echo(
        json.dumps({"provider": name, "good": True, "detail": said}) if json_output else f"{name}: {said}"
    )


@click.command("spend")
@data_dir_option
@json_option
@report_errors
def spend(data_dir: Path | None, json_output: bool) -> None:
    """What providers cost this month, by provider, batch, category, deliverable and state; tasks whose answer was lost, and those that wait."""
    services = open_services(data_dir)
    facts: dict[str, Any] = {
        by: [{"name": n, "tasks": c, "usd": u} for n, c, u in services.spend.totals_by(by)] for by in GROUPINGS
    }
    facts["budget"] = {
        name: _provider_facts(services, name)["budget"] for name in services.rules.current().provider
    }
    for state in ("unknown", "waiting"):
        facts[state] = [
            {**task, "created_at": task["created_at"].isoformat()} for task in services.spend.tasks_in_state(state)
        ]
    if json_output:
        click.echo(json.dumps(facts))
        return
    for by in GROUPINGS:
        for row in facts[by]:
            click.echo(f"{by}\t{row['name']}\t{row['tasks']} tasks\t${row['usd']:.2f}")
    for task in facts["unknown"]:
        click.echo(
            f"lost answer\t{task['provider']} {task['sku']} {task['deliverable']}\tperhaps ${task['estimate_usd']:.2f}\t{task['error']}"
        )
    for task in facts["waiting"]:
        click.echo(
            f"waiting\t{task['provider']} {task['sku']} {task['deliverable']}\tabout ${task['estimate_usd']:.2f}\t{task['error']}"
        )
    if not facts["provider"]:
        click.echo("nothing was spent this month")
