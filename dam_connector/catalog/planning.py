"""Planning: which runs a product needs, each under the hash of all that goes into it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from dam_connector.catalog.ids import Sha256
from dam_connector.catalog.product import Product
from dam_connector.catalog.rules import Deliverable, Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One slot of one deliverable, and the hash of its input: the same input never runs twice."""

    deliverable: Deliverable
    slot: int
    input_hash: str


def plan(product: Product, sources: Mapping[str, Sha256], rules: Rules) -> Iterator[PlannedRun]:
    """The runs a complete product needs; `sources` maps each view to the hash of its picture."""
    for deliverable in rules.deliverables:
        if deliverable.wanted_for(product.category):
            for slot in range(1, deliverable.count + 1):
                yield PlannedRun(deliverable=deliverable, slot=slot, input_hash=input_hash(product, sources, deliverable, slot, rules))


def input_hash(product: Product, sources: Mapping[str, Sha256], deliverable: Deliverable, slot: int, rules: Rules) -> str:
    """SHA-256 over the product's facts, its pictures and the rules for making; not over pictures' addresses,
    so that a moved picture with the same bytes makes nothing again."""
    facts = asdict(product)
    facts.pop("images")
    made_by = {"deliverable": asdict(deliverable), "naming": asdict(rules.naming), "checks": asdict(rules.checks)}
    text = json.dumps([facts, dict(sources), made_by, slot], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
