"""Output and refusals that all tools share: text for people, JSON with --json, exit codes."""

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click
from marshmallow import ValidationError

from dam_connector.domain.issue import Issue, Severity
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.picture_names import unread_reason
from dam_connector.domain.product import Product, View
from dam_connector.domain.rules import ImagingRules, Rules
from dam_connector.errors import ConfigError, InputError
from dam_connector.net_file import NETS, NO_NET
from dam_connector.rules_file import read_rules_text
from dam_connector.settings import Settings
from schemas.common import problem_lines
from schemas.product import ProductSchema, load_product
from schemas.rules_loader import load_rules
from worker.imaging.salient_net import KINDS, SHIPPED, SalientNet, find_net

EXIT_ISSUES = 1  # the input was used, and the result has a fault
EXIT_UNUSABLE = 2  # the input cannot be used at all
# Where the usual remedy needs a page.
TOOL_REMEDIES: Mapping[IssueCode, str] = {
    "cutout.uncertain": "Look at the mask: dam-worker cutout PHOTO --out MASK.png. If its edges are wrong, "
    "give a photo on a plain, contrasting background, or a transparent PNG.",
}
MAX_PIXELS = 200_000_000  # of a photo: by hand, photos may be larger than those that a PIM sends


class _InputFolder(click.Path):
    """A folder; a file in its place is refused with the reason why it is not read, e.g. a video."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the folder. Raises: click.BadParameter."""
        path = Path(value)
        if path.is_file() and (reason := unread_reason(path.name)):
            self.fail(f"{path.name} {reason}. Give a folder of pictures.", param, ctx)
        return super().convert(value, param, ctx)


class OutputFile(click.Path):
    """A file to write; a name with another ending than the format's is refused."""

    def __init__(self, *endings: str) -> None:
        """Take the endings that a name may have, e.g. `.glb`."""
        super().__init__(dir_okay=False, path_type=Path)
        self.endings = endings

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. Raises: click.BadParameter."""
        path = Path(value)
        if path.suffix.lower() not in self.endings:
            self.fail(f"{path.name} does not end in {' or '.join(self.endings)}.", param, ctx)
        return super().convert(value, param, ctx)


INPUT_DIR = _InputFolder(exists=True, file_okay=False, path_type=Path)
INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT_DIR = click.Path(file_okay=False, path_type=Path)
net_option = click.option("--net", help="The net's file, or none; otherwise the one that plugin.json names.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/tools.md).")


def print_result(as_json: bool, result: dict[str, Any], lines: Iterable[str]) -> None:
    """Print a command's result: as one JSON object, or as lines of text."""
    click.echo(json.dumps(result) if as_json else "\n".join(lines))


def issue_lines(issues: Collection[Issue]) -> list[str]:
    """Return a line of text for each issue, below an error its remedy; first, that an error blocks it."""
    lines = ["blocked by an error:"] if is_blocked(issues) else []
    for found in issues:
        lines.append(f"  {found.severity.value}: {found.code}: {found.message}")
        if found.severity is Severity.ERROR:
            lines.append(f"    {TOOL_REMEDIES.get(found.code, found.remedy)}")
    return lines


def is_blocked(issues: Iterable[Issue]) -> bool:
    """Return whether an issue is an error."""
    return any(found.severity is Severity.ERROR for found in issues)


def exit_by_issues(issues: Iterable[Issue]) -> NoReturn:
    """Exit with EXIT_ISSUES if an issue is an error, else with 0."""
    sys.exit(EXIT_ISSUES if is_blocked(issues) else 0)


def stop(as_json: bool, code: str, message: str, remedy: str = "") -> NoReturn:
    """Print why the input cannot be used, and exit with EXIT_UNUSABLE."""
    if as_json:
        click.echo(json.dumps({"error": {"code": code, "message": message, "remedy": remedy}}))
    else:
        click.echo(f"{code}: {message}" + (f"\n  {remedy}" if remedy else ""), err=True)
    sys.exit(EXIT_UNUSABLE)


@contextmanager
def stop_on_input_error(as_json: bool) -> Iterator[None]:
    """Stop the command when the block raises InputError."""
    try:
        yield
    except InputError as error:
        found = error.to_issue()
        stop(as_json, found.code, found.message, found.remedy)


def load_rules_or_stop(as_json: bool) -> Rules:
    """Return the rules of plugin.json. Stop the command when they are not valid."""
    try:
        return load_rules(read_rules_text(Settings.from_env().plugin_json))
    except ConfigError as error:
        stop(as_json, "config", "; ".join(error.problems), "Run dam-connector check-config.")


def imaging_rules_or_stop(net: str | None, as_json: bool) -> ImagingRules:
    """Return the rules for cut-outs of plugin.json, or with another net."""
    imaging = load_rules_or_stop(as_json).imaging
    return replace(imaging, net=net) if net else imaging


def find_net_or_stop(net: str, as_json: bool) -> SalientNet | None:
    """Return a net of the data directory, or the one at a path; None for `none`, or if it is not there.

    Stop the command when the name begins with no kind of net.
    """
    path = Path(net)
    if net != NO_NET and not path.name.startswith(tuple(KINDS)):
        known = ", ".join(KINDS)
        stop(as_json, "net", f"{net} is of no kind that can be run.", f"Its name must begin with {known}.")
    nets = (Settings.from_env().data_dir / NETS,)
    found = SalientNet(path) if path.is_file() else find_net(net, nets)
    try:
        if found is not None and found.path.parent != SHIPPED:
            found.check()
    except ConfigError as error:
        stop(as_json, "net", "; ".join(error.problems))
    return found


def read_product_or_stop(path: Path, as_json: bool) -> Product:
    """Return the product of a JSON file. Stop when it is not valid."""
    try:
        return load_product(json.loads(path.read_text()))
    except (ValueError, ValidationError) as error:
        lines = (
            list(problem_lines(error.messages, ProductSchema()))
            if isinstance(error, ValidationError)
            else [str(error)]
        )
        stop(as_json, "product", "; ".join(lines), "See docs/configuration.md for the product record.")


def read_photos_or_stop(options: tuple[str, ...], as_json: bool) -> dict[str, bytes]:
    """Return the photos' bytes by view, from options such as `front=chair.jpg`. Stop on a wrong one."""
    photos = {}
    for option in options:
        view, _, path = option.partition("=")
        if view not in set(View) or not Path(path).is_file():
            message = f"{option!r} is not VIEW=FILE with a file that exists"
            stop(as_json, "photo", message, f"Views: {', '.join(View)}.")
        photos[view] = Path(path).read_bytes()
    return photos
