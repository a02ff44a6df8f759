"""The effect of applying a plugin.json to the catalog, and its words."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LEAST_PROBABILITY = "/imaging/min_probability"
MAX_CHANGED = 12  # differences that are shown


@dataclass(kw_only=True)
class RulesEffect:
    """What the application of rules does to the catalog as it is now."""

    # Of the rules.
    fingerprint: str
    # Whether these rules wait, so that nothing is made by them yet.
    is_pending: bool
    # JSON pointers of what differs from the rules in force.
    changed: list[str] = field(default_factory=list)
    # Products that were looked at, and all that there are.
    products: int = 0
    all_products: int = 0
    # Versions of assets that were never made, by deliverable.
    new: Counter[str] = field(default_factory=Counter)
    # Versions of assets that exist, by deliverable.
    anew: Counter[str] = field(default_factory=Counter)
    # Versions for which the rules leave no generator, by deliverable.
    not_made: Counter[str] = field(default_factory=Counter)
    # Live assets that a channel gets, and that it loses, by channel.
    published: Counter[str] = field(default_factory=Counter)
    withdrawn: Counter[str] = field(default_factory=Counter)
    # Undecided assets that leave review, and live ones that leave their channels, since the rules no longer
    # want them; by deliverable and slot.
    surplus: Counter[str] = field(default_factory=Counter)
    surplus_live: Counter[str] = field(default_factory=Counter)
    # By the price lists of the providers that are asked first.
    usd: float = 0.0
    # Providers whose prices are not known, since they are not in the rules in force.
    unpriced: set[str] = field(default_factory=set)
    # CPU-seconds that models from spins and walks take longer than others.
    capture_s: float = 0.0
    # Until all is made, on the workers that run.
    seconds: float = 0.0

    @property
    def is_nothing(self) -> bool:
        """Return whether there is nothing to do."""
        made = self.new or self.anew or self.not_made
        return not (made or self.published or self.withdrawn or self.surplus)

    def as_json(self) -> dict[str, Any]:
        """Return the effect as JSON values."""
        return {
            "fingerprint": self.fingerprint,
            "is_pending": self.is_pending,
            "changed": self.changed,
            "products": self.products,
            "all_products": self.all_products,
            "new": dict(self.new),
            "anew": dict(self.anew),
            "not_made": dict(self.not_made),
            "published": dict(self.published),
            "withdrawn": dict(self.withdrawn),
            "surplus": dict(self.surplus),
            "surplus_live": dict(self.surplus_live),
            "usd": round(self.usd, 4),
            "unpriced": sorted(self.unpriced),
            "seconds": round(self.seconds),
        }


def effect_lines(effect: RulesEffect) -> Iterator[str]:
    """Yield the effect for people, e.g. `412 versions made anew: packshot 412`."""
    if effect.changed:
        more = ", ..." if len(effect.changed) > MAX_CHANGED else ""
        yield f"Changed: {', '.join(effect.changed[:MAX_CHANGED])}{more}"
    if LEAST_PROBABILITY in effect.changed and effect.anew:
        yield (
            f"{LEAST_PROBABILITY} decides which versions are blocked, and counts as a change of all that is "
            "made from photos: they are made and reviewed anew, not only judged again"
        )
    if effect.products < effect.all_products:
        yield f"Of the newest {effect.products} of {effect.all_products} products:"
    if effect.is_nothing:
        yield f"Nothing to do: the assets of {effect.products} products are as plugin.json says."
        return
    for counts, words in (
        (effect.anew, "made anew"),
        (effect.new, "made for the first time"),
        (effect.not_made, "not made, since the rules leave no generator"),
    ):
        if counts:
            yield f"{counts.total()} versions {words}: {_counts(counts)}"
    for counts, words in ((effect.published, "published to"), (effect.withdrawn, "taken off")):
        for channel, count in sorted(counts.items()):
            yield f"{count} assets {words} {channel}"
    for counts, words in (
        (effect.surplus, "taken out of review, since plugin.json no longer asks for them"),
        (effect.surplus_live, "no longer asked for, so the channels lose them"),
    ):
        if counts:
            slots = ", ".join(f"{slot} ({count})" for slot, count in sorted(counts.items()))
            yield f"{counts.total()} assets {words}: {slots}"
    unpriced = f", without {', '.join(sorted(effect.unpriced))}" if effect.unpriced else ""
    hours, minutes = divmod(round(effect.seconds / 60), 60)
    yield f"Estimated: ${effect.usd:.2f}{unpriced}, {hours} h {minutes} min"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
