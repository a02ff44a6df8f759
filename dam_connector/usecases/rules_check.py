"""The check of a plugin.json that need not be in force."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dam_connector.domain.rules import Rules
from dam_connector.errors import ConfigError
from dam_connector.net_file import missing_net
from dam_connector.settings import GENERATED_SECRETS
from dam_connector.store.users import User
from dam_connector.wiring import PLACEHOLDER_SECRET, Services, check_rules, with_placeholders
from schemas.common import json_pointer
from schemas.rules_loader import load_rules
from schemas.rules_notes import rules_notes


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesCheck:
    """The result of a check."""

    # One line for each mistake, with its place.
    problems: tuple[str, ...]
    # What may be meant otherwise.
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Return whether the rules could be in force."""
        return not self.problems


def check_rules_text(
    services: Services,
    text: str,
    users: Iterable[User] | None = None,
    data_dir: Path | None = None,
) -> RulesCheck:
    """Check the text of a plugin.json, its connections too. Nothing is sent, and nothing changes.

    Args:
        services: the services.
        text: the text.
        users: all who may log in; None: nobody knows, and people in the rules are not compared with them.
        data_dir: the data directory in use; None: that of the services.
    """
    try:
        rules = load_rules(text)
        notes = remarks(services, rules, users, data_dir)
        problems = check_rules(rules, with_placeholders(services))
        absent = () if problems else _absent_secrets(services, rules, notes)
        return RulesCheck(problems=tuple(problems), notes=(*notes, *absent))
    except ConfigError as error:
        return RulesCheck(problems=error.problems)


def _absent_secrets(services: Services, rules: Rules, notes: Iterable[str]) -> Iterator[str]:
    """Yield a line for each secret that an adapter wants by itself, though the rules do not name it."""
    noted = " ".join(notes)
    names = {**dict.fromkeys(GENERATED_SECRETS, PLACEHOLDER_SECRET), **services.settings.environ}
    settings = replace(services.settings, environ=names)
    context = replace(services.adapter_context, secret=settings.secret)
    for line in check_rules(rules, replace(services, adapter_context=context)):
        if not any(f" {name} is not set here" in noted for name in re.findall(r"[A-Z][A-Z0-9_]{3,}", line)):
            yield line


def remarks(
    services: Services,
    rules: Rules,
    users: Iterable[User] | None = None,
    data_dir: Path | None = None,
) -> tuple[str, ...]:
    """Return remarks on good rules. users, data_dir: see `check_rules_text`."""
    net = missing_net(rules, data_dir or services.settings.data_dir)
    return (
        *rules_notes(rules),
        *([net] if net else ()),
        *missing_variables(rules, services.settings.environ),
        *(unknown_people(rules, users) if users is not None else ()),
    )


def missing_variables(rules: Rules, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each environment variable that rules name and that is not set.

    Those that the first start sets are left out.
    """
    connections = {
        port: {name: dict(c.options) for name, c in getattr(rules, port).items()}
        for port in ("pim", "dam", "provider", "channel")
    }
    sections = {
        "connections": connections,
        "notify": asdict(rules.notify),
        "sign_on": asdict(rules.sign_on) if rules.sign_on else {},
    }
    for place, name in secret_references(sections):
        if not environ.get(name) and name not in GENERATED_SECRETS:
            yield f"{json_pointer(place)}: the environment variable {name} is not set here"


def unknown_people(rules: Rules, users: Iterable[User]) -> Iterator[str]:
    """Yield a line for each person of a review stage who is no user, or who may not decide."""
    roles = {user.name: user.role for user in users}
    for category, stages in rules.review.stages.items():
        for number, stage in enumerate(stages):
            for index, name in enumerate(stage.people):
                place = json_pointer(("review", "stages", category, number, "people", index))
                if name not in roles:
                    known = f"; known: {', '.join(sorted(roles))}" if roles else ""
                    later = ", unless single sign-on adds it at its first login" if rules.sign_on else ""
                    yield f"{place}: there is no user {name!r}{later}{known}"
                elif "reviewer" not in roles[name].included:
                    yield f"{place}: {name!r} is a {roles[name].value}, who may not decide"


def secret_references(
    value: object, place: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the places and names of all references to environment variables, at any depth."""
    if isinstance(value, str):
        if value.startswith("env/"):
            yield place, value.removeprefix("env/")
        return
    below: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, Mapping):
        below = value.items()
    elif isinstance(value, list | tuple):
        below = enumerate(value)
    for key, each in below:
        yield from secret_references(each, (*place, key))
