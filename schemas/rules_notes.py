"""Remarks on rules that are good: what has no effect, and what may be meant otherwise."""

from collections.abc import Collection, Iterator
from dataclasses import fields

from dam_connector.domain.categories import category_key
from dam_connector.domain.model_forecast import MAX_FORECAST
from dam_connector.domain.rules import LOCAL, PHOTO, Deliverable, Motion, Rules
from dam_connector.domain.run import RunKind
from schemas.common import json_pointer

_ALL_WORDS = ("all", "any", "default", "else", "other", "others", "rest")
# Fields that nothing reads where a model, or a picture, is made; kinds of deliverables by field.
_OF_PICTURES = ("views", "background", "fill", "aspect", "size_px", "sizes", "shadow", "reflection")
_OF_MODELS = ("max_triangles", "texture_px")
_DEFAULTS = {field.name: field.default for field in fields(Deliverable)}


def rules_notes(rules: Rules) -> list[str]:
    """Return remarks on good rules: what they leave out, and an admin may not have meant."""
    notes = []
    folder = rules.naming.folder
    if folder.startswith("/") or {".", ".."} & set(folder.split("/")):
        notes.append(
            f"/naming/folder: {folder} lies below the channel's folder; a slash before it is dropped"
        )
    if not rules.channel:
        notes.append("/connections/channel: there is no channel, so no approved version goes live")
    elif unpublished := [d.name for d in rules.deliverables if not d.channels]:
        notes.append(f"/deliverables: no channel is named for {', '.join(unpublished)}: they go live nowhere")
    for number, deliverable in enumerate(rules.deliverables):
        place = f"/deliverables/{number}"
        notes += [f"{place}/{line}" for line in _of_deliverable(deliverable, rules)]
    notes += _repeated("/products/required", rules.products.required)
    notes += _repeated("/review/reasons", rules.review.reasons)
    notes += _repeated("/review/checklist", rules.review.checklist)
    for section, named in (
        (("review", "stages"), rules.review.stages),
        (("review", "owners"), rules.review.owners),
        (("products", "categories"), rules.products.required_by_category),
    ):
        other = ', "*" means all others' if section[1] == "stages" else ""
        notes += [f"{json_pointer((*section, c))}: {text}{other}" for c, text in _odd_categories(named)]
    return [*notes, *_owner_notes(rules)]


def _of_deliverable(d: Deliverable, rules: Rules) -> Iterator[str]:
    """Yield remarks on one deliverable, each with the field in front."""
    is_model = d.kind is RunKind.MODEL
    for field in _OF_PICTURES if is_model else _OF_MODELS:
        if getattr(d, field) != _DEFAULTS[field]:
            yield f"{field}: it has no effect on a {'model' if is_model else 'rendition'}"
    for field in ("categories", "channels", "profiles", "views", "generator", "sizes", "formats"):
        yield from _repeated(field, getattr(d, field))
    for category, text in _odd_categories(d.categories):
        yield f"categories: {category!r}: {text}"
    if not is_model and d.motion == Motion.STILL:
        for size in sorted({size for size in d.sizes if size >= d.size_px}):
            yield f"sizes: {size} is not made: the picture itself has {d.size_px} px"
    if set(d.generator) == {LOCAL}:
        for field in ("prompt", "avoid"):
            if getattr(d, field):
                yield f"{field}: it has no effect: the generator local reads none"
    yield from _forecast_notes(d)
    model = rules.deliverable(d.made_from) if d.made_from != PHOTO else None
    if model and model.categories:
        if missing := [c for c in d.categories if not model.is_for_category(c)]:
            yield f"categories: nothing is made for {', '.join(missing)}: {model.name} is not made for them"
        elif not d.categories:
            yield f"categories: it is made for {', '.join(model.categories)} only, as {model.name} is"


def _forecast_notes(d: Deliverable) -> Iterator[str]:
    """Yield remarks on conditions that our own generator must meet to make a model."""
    if d.min_confidence and d.kind is RunKind.MODEL and d.generator[-1] == LOCAL:
        yield (
            f"min_confidence: no generator follows local: a model below {d.min_confidence:g} is made and "
            "flagged all the same; name a provider after local to have it made there"
        )
    least = d.when[LOCAL].min_forecast if LOCAL in d.when else 0.0
    if least and d.generator[-1] == LOCAL:
        yield (
            f"when/local/min_forecast: no generator follows local: below a forecast of {least:g} no model "
            "is made, and the product says what would help; name a provider to have it made"
        )
    if least > MAX_FORECAST:
        yield (
            f"when/local/min_forecast: no product reaches {least:g}, so local makes no model; "
            f"the highest forecast is {MAX_FORECAST:g}"
        )


def _repeated(place: str, values: Collection[object]) -> Iterator[str]:
    seen: set[object] = set()
    for value in values:
        key = category_key(value) if place.endswith("categories") and isinstance(value, str) else value
        if key in seen:
            yield f"{place}: {value!r} is given twice"
        seen.add(key)


def _odd_categories(named: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield categories that are probably meant otherwise, with the reason."""
    for category in named:
        if category_key(category) in _ALL_WORDS:
            yield category, "this is one category of this name, not all of them"
        elif "," in category or ";" in category:
            yield category, "this is one category; write several as several"


def _owner_notes(rules: Rules) -> Iterator[str]:
    """Yield remarks on the addresses of digests that do not fit the owners of categories."""
    digest, owners = rules.notify.digest, set(rules.review.owners.values())
    if digest is None:
        return
    for name in digest.addresses:
        if name != "*" and name not in owners:
            known = f"; owners are {', '.join(sorted(owners))}" if owners else ""
            yield f"{json_pointer(('notify', 'digest', 'addresses', name))}: it owns no category{known}"
    for name in sorted(owners - set(digest.addresses)):
        to = "their e-mails go to *" if "*" in digest.addresses else "nobody gets their e-mails"
        yield f"/review/owners: {name} has no address under /notify/digest/addresses; {to}"
