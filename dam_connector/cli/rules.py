"""Commands for changes of plugin.json: rules plan, rules apply."""

import json
from pathlib import Path

import click

from dam_connector.cli.common import data_dir_option, json_option, open_services, report_errors
from dam_connector.domain.rules_effect import RulesEffect, effect_lines
from dam_connector.usecases import rules_change
from dam_connector.wiring import Services


@click.group()
def rules() -> None:
    """Show and apply changes of plugin.json."""


@rules.command("plan")
@data_dir_option
@json_option
@report_errors
def rules_plan(data_dir: Path | None, json_output: bool) -> None:
    """Show what plugin.json does to the assets that exist, before it is applied. Nothing changes."""
    services = open_services(data_dir)
    effect = _plan(services)
    if json_output:
        click.echo(json.dumps(effect.as_json()))
        return
    click.echo("\n".join(effect_lines(effect)))
    if rules_change.is_applying(services):
        click.echo("It is being applied: the running service makes this, one after the other.")
    elif not effect.is_nothing or effect.is_pending:
        click.echo("Apply it with `dam-connector rules apply`.")


@rules.command("apply")
@click.option("--yes", is_flag=True, help="Do not ask before applying.")
@data_dir_option
@report_errors
def rules_apply(yes: bool, data_dir: Path | None) -> None:
    """Apply plugin.json: make what exists anew where it must be, and bring the channels in line.

    The running service does it in the background, behind single products.
    """
    services = open_services(data_dir)
    effect = _plan(services)
    click.echo("\n".join(effect_lines(effect)))
    if effect.is_nothing and not effect.is_pending:
        return
    if not yes and not click.confirm("Apply this?"):
        return
    rules_change.apply_rules(services, by="command line", fingerprint=effect.fingerprint)
    click.echo("plugin.json is being applied. `dam-connector rules plan` shows what is left.")


def _plan(services: Services) -> RulesEffect:
    effect = rules_change.plan_change(services)
    if services.rules.problem:
        raise services.rules.problem
    return effect
