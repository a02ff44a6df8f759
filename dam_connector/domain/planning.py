"""Planning: the runs that a product needs, each with the hash of its whole input."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import INSPIRATION, SWATCH, Product, capture_of_key, named_photos
from dam_connector.domain.row_request import apply_request
from dam_connector.domain.rules import (
    PHOTO,
    Deliverable,
    GeneratorCondition,
    ImagingRules,
    NamingRules,
    Rules,
    WebBudget,
)
from dam_connector.domain.run import RunKind
from dam_connector.domain.scene_words import read_scene_words
from dam_connector.domain.shapes import OF_ITS_OWN, SHAPE, Shapes, colour_inputs
from dam_connector.domain.used_photos import unused_photos

# Fields that deliverables got in later releases. They are hashed only where they are set, so that an update
# does not make existing assets again.
HASHED_IF_SET = ("when", "prompt", "avoid", "sizes", "budgets")
# Fields that change nothing of what is made from photos; a recolouring has the shape among its inputs.
_FIELDS_NOT_HASHED = ("colours",)
# What earlier releases hashed of the patterns of names. An asset keeps its name until its next version, so
# the patterns in force are no longer hashed; the constant keeps the hashes of those who never changed them.
_NAMING_IN_HASH = {
    "default": "{sku}_{name:pascal}_V{version}_{format:upper}",
    "patterns": {},
    "folder": "{category:slug}/{sku}",
}
# Facts of a product that do not change what is made; the bytes of its pictures are hashed instead of their
# URLs.
_NOT_HASHED = (
    "images",
    "spin_images",
    "walk_images",
    "inspiration_image",
    "model_url",
    "parent",
    "swatch",
    "request",
    "live_from",
    "live_until",
    "translations",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One slot of one deliverable that is to be made."""

    deliverable: Deliverable
    slot: int  # from 1 on
    inputs: Mapping[str, Sha256]  # the pictures by view, or the model by its deliverable
    input_hash: str  # the same input is not made twice
    former_hashes: tuple[str, ...] = ()  # those that an earlier release gave to the same input
    # The same run by more of the photos, the last one by all: for where the photo in `inputs` cannot be used.
    by_more_photos: tuple["PlannedRun", ...] = ()


def planned_runs(
    product: Product,
    sources: Mapping[str, Sha256],
    models: Mapping[str, Sha256],
    rules: Rules,
    former_namings: Iterable[NamingRules] = (),
    shapes: Shapes = OF_ITS_OWN,
) -> Iterator[PlannedRun]:
    """Yield the runs that a complete product needs.

    Args:
        product: The product.
        sources: The SHA-256 of its pictures, by view.
        models: The SHA-256 of its GLBs, by the name of the model deliverable. A rendition of a model that
            does not exist yet is planned when the model is made.
        rules: The rules in force.
        former_namings: Patterns of names that were in force, for `PlannedRun.former_hashes`.
        shapes: What its models share with those of other products.
    """
    for deliverable, made_from in makeable_deliverables(product, sources, models, rules, shapes):
        unused = unused_photos(deliverable, made_from) if deliverable.made_from == PHOTO else [set()]
        for slot in range(1, deliverable.count + 1):
            wider: tuple[PlannedRun, ...] = ()
            for left_out in unused[::-1]:
                used = {key: sha256 for key, sha256 in made_from.items() if key not in left_out}
                run = _planned_run(product, used, deliverable, slot, rules, former_namings)
                former = {
                    *run.former_hashes,
                    *(h for w in wider[:1] for h in (w.input_hash, *w.former_hashes)),
                }
                run = replace(run, former_hashes=tuple(sorted(former)), by_more_photos=wider)
                wider = (run, *wider)
            yield run


def _planned_run(
    product: Product,
    made_from: Mapping[str, Sha256],
    deliverable: Deliverable,
    slot: int,
    rules: Rules,
    former_namings: Iterable[NamingRules],
) -> PlannedRun:
    hashed = input_hash(product, made_from, deliverable, slot, rules)
    former = {
        input_hash(product, made_from, deliverable, slot, rules, naming, count)
        for naming in (None, *former_namings)
        for count in {1, deliverable.count}
    }
    if product.description and deliverable.is_local_only:
        # Our own code reads no description: one that is new makes nothing again.
        plain = replace(product, description="")
        former |= {
            input_hash(plain, made_from, deliverable, slot, rules, count=n) for n in {1, deliverable.count}
        }
    return PlannedRun(
        deliverable=deliverable,
        slot=slot,
        inputs=made_from,
        input_hash=hashed,
        former_hashes=tuple(sorted(former - {hashed})),
    )


def makeable_deliverables(
    product: Product,
    sources: Mapping[str, Sha256],
    models: Mapping[str, Sha256],
    rules: Rules,
    shapes: Shapes = OF_ITS_OWN,
) -> Iterator[tuple[Deliverable, dict[str, Sha256]]]:
    """Yield the deliverables that can be made of a product, each with what it is made from.

    They are as the product's request changes them. Arguments: see `planned_runs`.
    """
    for in_rules in rules.deliverables:
        deliverable = apply_request(in_rules, product.request)
        if deliverable is None:
            continue
        if "{slot" not in rules.naming.pattern_for(in_rules.name):  # more slots would get the same file names
            deliverable = replace(deliverable, count=min(deliverable.count, in_rules.count))
        made_from = _inputs(product, deliverable, sources, models, shapes)
        if made_from and deliverable.is_for_category(product.category):
            yield deliverable, made_from


def _inputs(
    product: Product,
    deliverable: Deliverable,
    sources: Mapping[str, Sha256],
    models: Mapping[str, Sha256],
    shapes: Shapes,
) -> dict[str, Sha256]:
    """Return the pictures or the model that a deliverable is made from; empty if they are missing.

    No model is made in place of one that the product brings along and that could not be fetched, nor in place
    of a shape that is not approved yet.
    """
    is_model = deliverable.kind is RunKind.MODEL
    if deliverable.is_joined:
        return dict(shapes.parts.get(deliverable.name, {}))
    if is_model and product.model_url and BROUGHT_MODEL not in sources:
        return {}
    if deliverable.name in shapes.made and BROUGHT_MODEL not in sources:
        return {}
    if deliverable.name in shapes.shared and BROUGHT_MODEL not in sources:
        shape = shapes.shared[deliverable.name]
        colour = colour_inputs(product, deliverable, sources, named_photos(sources)) if shape else {}
        return {SHAPE: shape, **colour} if shape and colour else {}
    if deliverable.made_from == PHOTO:
        inputs = named_photos(sources)
        if is_model:
            inputs |= {k: sha for k, sha in sources.items() if k == BROUGHT_MODEL or capture_of_key(k)}
    else:
        inputs = {name: sha256 for name, sha256 in models.items() if name == deliverable.made_from}
    if inputs and deliverable.style == "lifestyle" and INSPIRATION in sources:
        inputs[INSPIRATION] = sources[INSPIRATION]
    return inputs


def condition_in_hash(when: GeneratorCondition) -> dict[str, object]:
    """Return the fields of a condition that are hashed: the forecast only where it is asked for."""
    return {name: value for name, value in asdict(when).items() if name != "min_forecast" or value}


def _budget_in_hash(budget: WebBudget) -> dict[str, object]:
    """Return the fields of a budget that are hashed: how it is packed only where it is not as it was."""
    usual = WebBudget()
    later = ("geometry", "textures")
    return {
        name: value
        for name, value in asdict(budget).items()
        if name not in later or value != getattr(usual, name)
    }


def _reads_prompt(deliverable: Deliverable, prompt: str) -> bool:
    """Return whether a prompt can change a deliverable; our own code reads it for lifestyle pictures only."""
    if not deliverable.is_local_only:
        return True
    return deliverable.style == "lifestyle" and bool(read_scene_words(prompt))


def input_hash(
    product: Product,
    sources: Mapping[str, Sha256],
    deliverable: Deliverable,
    slot: int,
    rules: Rules,
    naming: NamingRules | None = None,
    count: int = 1,
) -> str:
    """Return the SHA-256 of the product's facts, its pictures and the rules for making the deliverable.

    URLs of pictures and the embargo are not hashed: a picture that moved without a change makes nothing
    again, nor does a changed pattern of names, nor another number of slots. The field names of `Product`,
    `Deliverable` and `CheckRules` are part of the hash; renaming one makes every asset again.

    Args:
        naming: Patterns of names, for the hash of an earlier release; None: that of this one.
        count: How many slots there were, for the hash of an earlier release.
    """
    facts = {name: value for name, value in asdict(product).items() if name not in _NOT_HASHED}
    if product.request.prompt and _reads_prompt(deliverable, product.request.prompt):
        facts["prompt"] = product.request.prompt
    if SHAPE in sources:
        facts["swatch"] = product.swatch if SWATCH in sources else ""
    fields = {
        name: value
        for name, value in asdict(replace(deliverable, count=count)).items()
        if name not in _FIELDS_NOT_HASHED and (value or name not in HASHED_IF_SET)
    }
    if deliverable.when:
        fields["when"] = {name: condition_in_hash(when) for name, when in deliverable.when.items()}
    if deliverable.web_budget:
        fields["web_budget"] = _budget_in_hash(deliverable.web_budget)
    if SHAPE in sources and deliverable.colours:
        fields["colours"] = asdict(deliverable.colours)
    names = {name: getattr(naming, name) for name in _NAMING_IN_HASH} if naming else _NAMING_IN_HASH
    made_by = {"deliverable": fields, "naming": names, "checks": asdict(rules.checks)}
    if deliverable.made_from == PHOTO and rules.imaging != ImagingRules():
        made_by["imaging"] = asdict(rules.imaging)
    text = json.dumps([facts, dict(sources), made_by, slot], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
