"""dam-connector: the command line of the service. Each command is a few lines; what it does stands elsewhere."""

import json
import os
import shutil
import socket
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click
from marshmallow import ValidationError

from dam_connector import __version__, logs
from dam_connector.cli import backfill as backfill_command
from dam_connector.cli import batches as batch_commands
from dam_connector.cli import connections as connection_commands
from dam_connector.cli import providers as provider_commands
from dam_connector.cli.common import as_json, clear_errors, data_dir, services_on, settings_on
from dam_connector.errors import ConfigError, InputError
from dam_connector.ops import docgen, doctor
from dam_connector.ops.demo import Demo, print_summary
from dam_connector.ops.supervisor import Supervisor, web_command
from dam_connector.rules_file import rules_text
from dam_connector.settings import with_secrets
from dam_connector.store.users import UserRole
from dam_connector.usecases import batches, exports, intake
from dam_connector.wiring import build_services, check_rules
from schemas.common import problems
from schemas.plugin import load_rules
from schemas.product import ProductSchema, load_product
from schemas.sheet_template import template


@click.group()
@click.version_option(__version__)
def main() -> None:
    """From product record to approved, published pictures and 3D models."""


@main.command()
@data_dir
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=os.cpu_count() or 2,
    show_default=True,
    help="Processes that make pictures and models.",
)
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on.")
@clear_errors
def up(data_dir: Path | None, workers: int, host: str | None, port: int | None) -> None:
    """Start everything, and look after it until Ctrl-C."""
    settings = with_secrets(settings_on(data_dir, host=host, port=port))
    logs.configure(settings.log_format)
    supervisor = Supervisor(settings, workers)

    def say() -> None:
        click.echo(
            f"Ready: {settings.public}/review  (data in {settings.data_dir}, logs in {settings.data_dir / 'logs'})"
        )
        if not build_services(settings).users.all():
            click.echo("Nobody can log in yet: dam-connector user add NAME --role admin")

    supervisor.on_ready = say
    supervisor.run()


@main.command()
@clear_errors
def web() -> None:
    """Start the web server alone, for containers. Migrates the database first."""
    settings = with_secrets(settings_on())
    logs.configure(settings.log_format)
    build_services(settings).db.migrate()
    command = web_command(settings)
    os.execve(command[0], command, {**settings.child_environ()})  # noqa: S606 - our own interpreter


@main.command()
@data_dir
@click.option("--headless", is_flag=True, help="Approve everything, print a JSON summary, stop.")
@click.option("--workers", type=click.IntRange(1, 64), default=os.cpu_count() or 2, show_default=True)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="The port to listen on; headless takes a free one."
)
@clear_errors
def demo(data_dir: Path | None, headless: bool, workers: int, port: int | None) -> None:
    """Show the main job on a sample catalog."""
    folder = data_dir or Path(tempfile.mkdtemp(prefix="dam-connector-demo-"))
    settings = with_secrets(settings_on(folder, port=port or (_free_port() if headless else None)))
    logs.configure(settings.log_format)
    show = Demo(settings, workers, headless)
    try:
        code = show.run()
    finally:
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    if headless:
        print_summary(show.summary)
    sys.exit(code)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@main.command("doctor")
@data_dir
@as_json
@clear_errors
def doctor_command(data_dir: Path | None, machine: bool) -> None:
    """Look at every part, and say what to do about what fails."""
    found = list(doctor.examine(settings_on(data_dir)))
    if machine:
        click.echo(
            json.dumps(
                [
                    {"part": f.part, "good": f.good, "detail": f.detail, "remedy": "" if f.good else f.remedy}
                    for f in found
                ]
            )
        )
    else:
        for f in found:
            click.echo(
                f"{'ok  ' if f.good else 'FAIL'} {f.part}: {f.detail}"
                + ("" if f.good else f"\n     {f.remedy}")
            )
    sys.exit(int(not all(f.good for f in found)))


@main.command("check-config")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@as_json
@clear_errors
def check_config(file: Path | None, machine: bool) -> None:
    """Check a plugin.json. Exit code 0: good, 1: not."""
    path = file or settings_on().plugin_json
    lines: list[str] = []
    try:
        if file is not None and not file.is_file():
            raise ConfigError(f"{file}: there is no such file")
        rules = load_rules(rules_text(path))
        with tempfile.TemporaryDirectory() as folder:
            lines = [
                line
                for line in check_rules(rules, build_services(settings_on(Path(folder))))
                if "environment variable" not in line
            ]
    except ConfigError as error:
        lines = list(error.problems)
    if machine:
        click.echo(json.dumps({"file": str(path), "good": not lines, "problems": lines}))
    else:
        click.echo("\n".join(lines) if lines else f"{path}: good")
    sys.exit(int(bool(lines)))


@main.group()
def product() -> None:
    """Products by hand."""


@product.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_dir
@as_json
@clear_errors
def product_add(file: Path, data_dir: Path | None, machine: bool) -> None:
    """Take in the product record in FILE (JSON), as if its PIM had sent it."""
    try:
        loaded = load_product(json.loads(file.read_text()))
    except ValidationError as error:
        raise ConfigError(
            *(f"{file}: {line}" for line in problems(error.messages, ProductSchema()))
        ) from error
    except ValueError as error:
        raise ConfigError(f"{file}: not JSON: {error}") from error
    taken = intake.add_product(services_on(data_dir), loaded, by="command line")
    click.echo(
        json.dumps({"sku": loaded.sku, "outcome": taken.words, "planned": taken.planned})
        if machine
        else taken.words
    )


@main.command("template")
@click.option("--format", "form", type=click.Choice(["csv", "xlsx"]), default="csv", show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; standard output when absent.",
)
def template_command(form: str, out: Path | None) -> None:
    """The sheet to fill in for a bulk upload, with an example row."""
    data = template(form)
    if out:
        out.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)


@main.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="What the batch is called.")
@click.option(
    "--pictures",
    type=click.Path(exists=True, path_type=Path),
    help="A folder or ZIP with the pictures that the sheet names.",
)
@click.option(
    "--map",
    "given",
    multiple=True,
    metavar="COLUMN=NAME",
    help="Which column of the sheet holds one of ours, where its name does not tell.",
)
@click.option("--dry-run", is_flag=True, help="Only say what each row would do.")
@click.option("--wait", is_flag=True, help="Watch until everything is made; exit code 1 when a row failed.")
@data_dir
@as_json
@clear_errors
def import_command(
    file: Path,
    name: str,
    pictures: Path | None,
    given: tuple[str, ...],
    dry_run: bool,
    wait: bool,
    data_dir: Path | None,
    machine: bool,
) -> None:
    """Make a batch of products from a sheet: CSV or XLSX."""
    services = services_on(data_dir)
    pairs = dict(pair.partition("=")[::2] for pair in given)
    try:
        batch, said = batch_commands.run_import(
            services, file, name=name, owner="command line", given=pairs, pictures=pictures, dry_run=dry_run
        )
    except InputError as error:
        batch_commands.stop(error, machine)
        raise
    counts = batch_commands.watch(services, batch) if batch and wait else {}
    facts = {
        "batch": batch.id if batch else None,
        "rows": {s.value: n for s, n in said.counts.items()},
        "makes": said.makes,
        "progress": counts,
    }
    lines = [*batch_commands.told(said), *([f"batch {batch.name}: {batch.id}"] if batch else [])]
    batch_commands.say(facts, lines, machine)
    sys.exit(int(bool(counts.get("failed"))))


@main.command("export")
@click.option("--batch", "name", required=True, help="Name or id of the batch.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "zip", "folder"]),
    default="jsonl",
    show_default=True,
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file or folder to write; standard output when absent."
)
@click.option(
    "--follow", is_flag=True, help="With jsonl: go on while the batch does, a record as each row is settled."
)
@data_dir
@as_json
@clear_errors
def export_command(
    name: str, form: str, out: Path | None, follow: bool, data_dir: Path | None, machine: bool
) -> None:
    """What a batch made: a manifest, the sheet with each row's status, or the files, laid out by the naming rules."""
    services = services_on(data_dir)
    facts = batch_commands.export(services, batches.find(services, name), form, out, follow=follow)
    click.echo(
        json.dumps(facts) if machine else ", ".join(f"{k} {v}" for k, v in facts.items()), err=out is None
    )


@main.group()
def batch() -> None:
    """Bulk uploads."""


@batch.command("list")
@data_dir
@as_json
@clear_errors
def batch_list(data_dir: Path | None, machine: bool) -> None:
    """All batches with how far they are, newest first."""
    services = services_on(data_dir)
    found = [(b, asdict(services.batches.progress(b.id))) for b in services.batches.page(limit=200)]
    facts = [
        {"id": b.id, "name": b.name, "owner": b.owner, "state": b.state.value, "progress": p}
        for b, p in found
    ]
    lines = [
        f"{b.name}\t{b.state.value}\t" + ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in p.items() if n)
        for b, p in found
    ]
    batch_commands.say(facts, lines, machine)


@batch.command("failed")
@click.argument("name")
@data_dir
@clear_errors
def batch_failed(name: str, data_dir: Path | None) -> None:
    """The rows that failed, as CSV with why: mend it and import it again."""
    services = services_on(data_dir)
    click.echo(exports.failed_csv(services, batches.find(services, name)), nl=False)


@batch.command("do")
@click.argument("name")
@click.argument("what", type=click.Choice(["pause", "resume", "cancel", "retry"]))
@data_dir
@clear_errors
def batch_do(name: str, what: str, data_dir: Path | None) -> None:
    """Pause, resume or cancel a batch, or try its failed rows again."""
    services = services_on(data_dir)
    click.echo(batches.control(services, batches.find(services, name), what))


@main.command("run")
@click.argument("sku")
@data_dir
@clear_errors
def run_command(sku: str, data_dir: Path | None) -> None:
    """Make what is missing for a SKU, and retry what failed."""
    click.echo(f"{sku}: {intake.run_again(services_on(data_dir), sku)} under way")


@main.command("replay")
@click.argument("delivery")
@data_dir
@clear_errors
def replay_command(delivery: str, data_dir: Path | None) -> None:
    """Handle a webhook delivery once more."""
    intake.replay(services_on(data_dir), delivery)
    click.echo(f"{delivery}: due again")


@main.group()
def user() -> None:
    """Who may come in."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice([r.value for r in UserRole]), default="reviewer", show_default=True)
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking."
)
@click.option("--no-password", is_flag=True, help="Let in by one-time link only.")
@data_dir
@clear_errors
def user_add(name: str, role: str, password_stdin: bool, no_password: bool, data_dir: Path | None) -> None:
    """Add a user, or change one's role and password."""
    password = (
        ""
        if no_password
        else sys.stdin.readline().strip()
        if password_stdin
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    services = services_on(data_dir)
    try:
        added = services.users.add(name, UserRole(role), password)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    click.echo(f"{added.name} is {added.role.value}")
    if no_password:
        click.echo(f"{services.settings.public}/login/link/{services.users.add_login_link(added)}")


@user.command("link")
@click.argument("name")
@data_dir
@clear_errors
def user_link(name: str, data_dir: Path | None) -> None:
    """Print a link that logs a user in once, within a day."""
    services = services_on(data_dir)
    found = next((u for u in services.users.all() if u.name == name), None)
    if found is None:
        raise ConfigError(f"there is no user {name!r}; dam-connector user list names them")
    click.echo(f"{services.settings.public}/login/link/{services.users.add_login_link(found)}")


@user.command("list")
@data_dir
@clear_errors
def user_list(data_dir: Path | None) -> None:
    """Name all users."""
    for found in services_on(data_dir).users.all():
        click.echo(f"{found.name}\t{found.role.value}")


@main.group()
def token() -> None:
    """API tokens."""


@token.command("add")
@click.argument("name")
@click.option("--label", default="api", show_default=True, help="What it is for.")
@click.option("--days", type=click.IntRange(1), help="How long it is good; for ever when absent.")
@data_dir
@clear_errors
def token_add(name: str, label: str, days: int | None, data_dir: Path | None) -> None:
    """Print a new API token of a user. It is shown this once."""
    services = services_on(data_dir)
    found = next((u for u in services.users.all() if u.name == name), None)
    if found is None:
        raise ConfigError(
            f"there is no user {name!r}; add one: dam-connector user add {name} --role merchandiser"
        )
    click.echo(services.users.add_token(found, label, days))


@main.command("docs", hidden=True)
@click.option("--check", is_flag=True, help="Fail when a generated document is out of date.")
def docs(check: bool) -> None:
    """Write the generated documents of this checkout."""
    root = Path(__file__).parent.parent.parent
    stale = (
        [
            p
            for p, text in docgen.documents().items()
            if not (root / p).exists() or (root / p).read_text() != text
        ]
        if check
        else docgen.write(root)
    )
    click.echo("\n".join(stale))
    sys.exit(int(check and bool(stale)))


main.add_command(provider_commands.provider)
main.add_command(provider_commands.spend)
main.add_command(backfill_command.backfill)
main.add_command(connection_commands.connect)
main.add_command(connection_commands.connection)
main.add_command(connection_commands.reconcile)
