"""The check of a plugin.json that need not be in force."""

from dataclasses import dataclass, replace

from dam_connector.errors import ConfigError
from dam_connector.wiring import Services, check_rules
from schemas.rules_loader import load_rules, rules_notes

PLACEHOLDER_SECRET = "whsec_cGxhY2Vob2xkZXItcGxhY2Vob2xkZXI="


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


def check_rules_text(services: Services, text: str) -> RulesCheck:
    """Check the text of a plugin.json, its connections too. Nothing is sent, and nothing changes."""
    try:
        rules = load_rules(text)
        notes = tuple(rules_notes(rules))
        return RulesCheck(problems=tuple(check_rules(rules, _with_placeholders(services))), notes=notes)
    except ConfigError as error:
        return RulesCheck(problems=error.problems)


def _with_placeholders(services: Services) -> Services:
    """Return services for which each secret that the environment lacks is a placeholder.

    The other options of a connection are checked so, too, where the secrets are not at hand.
    """

    def secret(reference: str) -> str:
        if not reference.startswith("env/") or services.settings.environ.get(reference.removeprefix("env/")):
            return services.settings.secret(reference)
        return PLACEHOLDER_SECRET

    return replace(services, adapter_context=replace(services.adapter_context, secret=secret))
