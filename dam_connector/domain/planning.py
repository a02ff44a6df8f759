"""Planning: which runs a product needs, each under the hash of all that goes into it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import INSPIRATION, Product
from dam_connector.domain.row_request import tailored
from dam_connector.domain.rules import LOCAL, PHOTO, Deliverable, Rules

ADDED = (
    "when",
    "prompt",
    "avoid",
)  # to deliverables, later: where they say nothing, what was made before is not made again


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One slot of one deliverable, and the hash of its input: the same input never runs twice."""

    deliverable: Deliverable
    slot: int
    input_hash: str


def plan(
    product: Product, sources: Mapping[str, Sha256], models: Mapping[str, Sha256], rules: Rules
) -> Iterator[PlannedRun]:
    """The runs a complete product needs.

    sources: the hash of its picture by view. models: the hash of its GLB by model deliverable; what is rendered from a model
    that is not there yet is planned when it is.
    """
    for known in rules.deliverables:
        deliverable = tailored(known, product.request)
        if deliverable is None:
            continue
        if "{slot" not in rules.naming.pattern_for(
            known.name
        ):  # names of more slots than the rules foresee would be alike
            deliverable = replace(deliverable, count=min(deliverable.count, known.count))
        made_from = _origins(deliverable, sources, models)
        if made_from and deliverable.wanted_for(product.category):
            for slot in range(1, deliverable.count + 1):
                yield PlannedRun(
                    deliverable=deliverable,
                    slot=slot,
                    input_hash=input_hash(product, made_from, deliverable, slot, rules),
                )


def _origins(
    deliverable: Deliverable, sources: Mapping[str, Sha256], models: Mapping[str, Sha256]
) -> dict[str, Sha256]:
    """What a deliverable is made from, of all that there is; nothing when the thing itself is missing."""
    if deliverable.made_from == PHOTO:
        origins = {view: sha256 for view, sha256 in sources.items() if view != INSPIRATION}
    else:
        origins = {name: sha256 for name, sha256 in models.items() if name == deliverable.made_from}
    if origins and deliverable.style == "lifestyle" and INSPIRATION in sources:
        origins[INSPIRATION] = sources[INSPIRATION]
    return origins


def input_hash(
    product: Product, sources: Mapping[str, Sha256], deliverable: Deliverable, slot: int, rules: Rules
) -> str:
    """SHA-256 over the product's facts, its pictures and the rules for making; not over pictures' addresses or the
    day it may go live, so that a moved picture with the same bytes makes nothing again."""
    facts = asdict(product)
    for kept in ("images", "inspiration_image", "request", "live_from"):
        facts.pop(kept)
    if product.request.prompt and set(deliverable.generator) != {LOCAL}:  # our own code reads no prompts
        facts["prompt"] = product.request.prompt
    asked = {name: value for name, value in asdict(deliverable).items() if value or name not in ADDED}
    made_by = {"deliverable": asked, "naming": asdict(rules.naming), "checks": asdict(rules.checks)}
    text = json.dumps([facts, dict(sources), made_by, slot], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
