"""The choice of generators: which of a deliverable's may make it of a product, before anything is made."""

from collections.abc import Collection
from dataclasses import dataclass

from dam_connector.domain.ids import Sha256
from dam_connector.domain.model_forecast import ModelForecast, forecast_model
from dam_connector.domain.product import Product, named_photos
from dam_connector.domain.rules import LOCAL, Deliverable
from dam_connector.domain.run import RunKind

_ANY = Sha256("")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorChoice:
    """The generators that may make a deliverable of a product."""

    names: tuple[str, ...]  # in the order of the rules; their prices are not looked at
    left_out: ModelForecast | None = None  # the forecast for which `local` is not among them
    min_forecast: float = 0.0  # the one that the rules ask for

    @property
    def refusal(self) -> str:
        """Return why our own code makes no model, and what would help; empty: not for the forecast."""
        if not self.left_out:
            return ""
        found = self.left_out
        return (
            f"The forecast of our own model is {found.probability:.2f}, and the rules ask for "
            f"{self.min_forecast:g}: {found.reason}."
            + (f" What would help: {found.remedy}." if found.remedy else "")
        )


def choose_generators(
    deliverable: Deliverable, product: Product, pictures: Collection[str]
) -> GeneratorChoice:
    """Return the generators that the conditions of the rules leave.

    Args:
        deliverable: What is to be made.
        product: The product's record.
        pictures: The keys of its pictures; they need not be fetched.
    """
    views = len(named_photos(dict.fromkeys(pictures, _ANY)))
    names = tuple(
        n for n in deliverable.generator if deliverable.can_use_generator(n, product.category, views)
    )
    least = deliverable.when[LOCAL].min_forecast if LOCAL in deliverable.when else 0.0
    if LOCAL in names and least and deliverable.kind is RunKind.MODEL:
        forecast = forecast_model(product, pictures)
        if forecast.probability < least:
            others = tuple(name for name in names if name != LOCAL)
            return GeneratorChoice(names=others, left_out=forecast, min_forecast=least)
    return GeneratorChoice(names=names)


def choice_key(
    deliverable: Deliverable, product: Product, pictures: Collection[str]
) -> tuple[tuple[str, float | None], ...]:
    """Return the generators that may make a deliverable of a product, each with the price it may ask.

    Arguments: see `choose_generators`.
    """
    names = choose_generators(deliverable, product, pictures).names
    return tuple(
        (name, deliverable.when[name].max_usd if name in deliverable.when else None) for name in names
    )
