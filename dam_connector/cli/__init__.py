"""The command line `dam-connector`: one file per group of commands, assembled here."""

import click

from dam_connector import __version__
from dam_connector.cli import (
    batches,
    connections,
    first_steps,
    products,
    providers,
    rules,
    service,
    storage,
    users,
)


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Turn product records into approved, published pictures and 3D models."""


for command in (
    first_steps.init,
    first_steps.webhook,
    service.up,
    service.migrate,
    service.web,
    service.demo,
    service.doctor_command,
    service.check_command,
    service.run_command,
    service.replay_command,
    service.docs,
    storage.backup_command,
    storage.restore_command,
    storage.gc_command,
    storage.check_files_command,
    storage.claim_command,
    products.product,
    products.name,
    batches.template_command,
    batches.import_command,
    batches.export_command,
    batches.batch,
    connections.connect,
    connections.connection,
    connections.backfill,
    connections.reconcile,
    providers.provider,
    rules.rules,
    providers.spend,
    users.user,
    users.token,
    users.audit_command,
):
    main.add_command(command)
