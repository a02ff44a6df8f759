"""Loading of plugin.json: its text becomes `Rules`, or a list of every problem with its place."""

import difflib
import hashlib
from collections.abc import Iterator
from typing import Any

from marshmallow import ValidationError

from dam_connector.domain.categories import doubled_categories
from dam_connector.domain.channel_names import UNVERSIONED_ADAPTERS
from dam_connector.domain.file_names import file_stem
from dam_connector.domain.ids import Sku
from dam_connector.domain.photo_sources import read_photo_sources
from dam_connector.domain.picture_profiles import PICTURE_PROFILES, profile_conflicts
from dam_connector.domain.product import Product
from dam_connector.domain.review_rules import ReviewRules, ReviewStage
from dam_connector.domain.rules import (
    LOCAL,
    PHOTO,
    ChangeRules,
    CheckRules,
    Connection,
    ImagingRules,
    NamingRules,
    ProductRules,
    ReconcileRules,
    Rules,
    ViewerRules,
)
from dam_connector.domain.run import RunKind
from dam_connector.errors import ConfigError
from schemas.adoption import build_adoption
from schemas.common import json_pointer, lists_to_tuples, problem_lines
from schemas.deliverable import build_deliverable
from schemas.notify import build_notify
from schemas.plugin import PluginSchema
from schemas.problem_context import with_context
from schemas.profile import build_profile
from schemas.sign_on import build_sign_on
from schemas.strict_json import load_json


def load_rules(text: str) -> Rules:
    """Load rules from the text of a plugin.json.

    Raises:
        ConfigError: The text is not valid. It has every problem with its JSON pointer and a suggestion.
    """
    try:
        raw = load_json(text.removeprefix("\ufeff"), allow_nan=True)
    except ValueError as error:
        where = "the file is empty" if not text.strip() else str(error)
        raise ConfigError(
            f"/: not JSON: {where}; start from the plugin.json that ships with the package"
        ) from error
    schema = PluginSchema()
    try:
        data = schema.load(raw)
    except ValidationError as error:
        raise ConfigError(*with_context(problem_lines(error.messages, schema), raw)) from error
    rules = _build(data, text)
    if found := [*_reference_problems(rules), *_contradictions(rules, raw)]:
        raise ConfigError(*with_context(found, raw))
    return rules


def _contradictions(rules: Rules, raw: dict[str, Any]) -> Iterator[str]:
    """Yield limits that contradict each other, and patterns for deliverables that do not exist."""
    names = [d.name for d in rules.deliverables]
    for name in rules.naming.patterns:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f', did you mean "{near[0]}"?' if near else f"; known: {', '.join(names)}"
            yield f"{json_pointer(('naming', 'patterns', name))}: there is no deliverable of this name{hint}"
    for channel, pattern in rules.naming.channels.items():
        yield from _channel_naming_problems(rules, channel, pattern)
    for number, d in enumerate(rules.deliverables):
        if d.kind is not RunKind.MODEL:
            continue
        written = raw["deliverables"][number]
        for key, limit in (("max_triangles", "max_triangles"), ("texture_px", "max_texture_px")):
            made, most = getattr(d, key), getattr(rules.checks, limit)
            if key in written and limit in raw.get("checks", {}) and made > most:
                yield (
                    f"/deliverables/{number}/{key}: {made} is more than /checks/{limit} ({most}), "
                    "so that every model could be blocked; lower this or raise that"
                )


def _channel_naming_problems(rules: Rules, channel: str, pattern: str) -> Iterator[str]:
    where = json_pointer(("naming", "channels", channel))
    if channel not in rules.channel:
        yield f"{where}: there is no channel of this name; known: {', '.join(rules.channel) or 'none'}"
    elif rules.channel[channel].adapter not in UNVERSIONED_ADAPTERS and "{version" not in pattern:
        yield (
            f"{where}: names without {{version}} are for {' and '.join(UNVERSIONED_ADAPTERS)} only: a "
            f"{rules.channel[channel].adapter} channel knows files by their names"
        )


def _build(data: dict[str, Any], text: str) -> Rules:
    products = data.get("products", {})
    checks = dict(data.get("checks", {}))
    dimensions = checks.pop("dimensions", {})
    if "tolerance_pct" in dimensions:
        checks["dimensions_tolerance_pct"] = dimensions["tolerance_pct"]
    connections = data["connections"]
    of_products = {name: value for name, value in lists_to_tuples(products).items() if name != "categories"}
    by_category = {name: tuple(c.get("required", ())) for name, c in products.get("categories", {}).items()}
    return Rules(
        name=data["name"],
        version=data["version"],
        fingerprint=hashlib.sha256(text.encode()).hexdigest()[:16],
        **{
            port: {name: _connection(c) for name, c in connections.get(port, {}).items()}
            for port in ("pim", "dam", "provider", "channel")
        },
        products=ProductRules(**of_products, required_by_category=by_category),
        deliverables=tuple(build_deliverable(d) for d in data["deliverables"]),
        naming=NamingRules(**data.get("naming", {})),
        checks=CheckRules(**checks),
        review=_review(data.get("review", {})),
        notify=build_notify(data.get("notify", {})),
        viewer=ViewerRules(**data.get("viewer", {})),
        imaging=ImagingRules(**data.get("imaging", {})),
        changes=ChangeRules(**data.get("changes", {})),
        reconcile=ReconcileRules(**data.get("reconcile", {})),
        adopt=build_adoption(data.get("adopt", {})),
        sign_on=build_sign_on(data["sign_on"]) if "sign_on" in data else None,
        profiles={name: build_profile(p) for name, p in data.get("profiles", {}).items()},
    )


def _review(data: dict[str, Any]) -> ReviewRules:
    stages = {
        category: tuple(ReviewStage(category=category, **lists_to_tuples(stage)) for stage in listed)
        for category, listed in data.get("stages", {}).items()
    }
    return ReviewRules(**{**lists_to_tuples(data), "stages": stages})


def _connection(data: dict[str, Any]) -> Connection:
    return Connection(adapter=data["adapter"], options={k: v for k, v in data.items() if k != "adapter"})


def _reference_problems(rules: Rules) -> list[str]:
    """Return problems with names: connections and profiles that do not exist, and names given twice."""
    found = [
        problem for number in range(len(rules.deliverables)) for problem in _of_deliverable(rules, number)
    ]
    for name, connection in rules.dam.items():
        try:  # a product's photos depend on it, so that no wrong one may be in force
            read_photo_sources(connection.options)
        except ValueError as error:
            found.append(f"{json_pointer(('connections', 'dam', name))}/{error}")
    for name, rule in rules.adopt.items():
        where = json_pointer(("adopt", name))
        if rules.deliverable(name) is None:
            known = ", ".join(d.name for d in rules.deliverables)
            found.append(f"{where}: there is no deliverable {name!r}; known: {known}")
        if rule.channel and rule.channel not in rules.channel:
            found.append(f"{where}/channel: there is no channel {rule.channel!r} under /connections/channel")
        if rule.dam and rule.dam not in rules.dam:
            found.append(f"{where}/dam: there is no DAM {rule.dam!r} under /connections/dam")
    if rules.review.dam not in rules.dam:
        found.append(f"/review/dam: there is no DAM {rules.review.dam!r} under /connections/dam")
    found += _doubled_categories(rules)
    found += [
        f"/connections/{port}/{name}: /connections/{other} has the same name; webhooks need one name each"
        for port, other in (("dam", "pim"), ("provider", "pim"), ("provider", "dam"))
        for name in getattr(rules, port)
        if name in getattr(rules, other)
    ]
    return found or list(_name_clashes(rules))


def _doubled_categories(rules: Rules) -> Iterator[str]:
    """Yield sections that name a category twice; their case and blanks do not count."""
    for place, named in (
        (("products", "categories"), rules.products.required_by_category),
        (("review", "owners"), rules.review.owners),
        (("review", "stages"), rules.review.stages),
    ):
        for first, second in doubled_categories(named):
            yield f"{json_pointer((*place, second))}: {first!r} is the same category; keep one of them"


def _of_deliverable(rules: Rules, number: int) -> Iterator[str]:
    """Yield problems with the names that one deliverable refers to."""
    d, here = rules.deliverables[number], ("deliverables", number)
    if d.name in [e.name for e in rules.deliverables[:number]]:
        yield f"{json_pointer((*here, 'name'))}: {d.name!r} is given twice"
    for channel in d.channels:
        if channel not in rules.channel:
            where = json_pointer((*here, "channels"))
            yield f"{where}: there is no channel {channel!r} under /connections/channel"
    models = sorted({m.name for m in rules.deliverables if m.kind is RunKind.MODEL})
    if d.made_from != PHOTO and d.made_from not in models:
        yield (
            f"{json_pointer((*here, 'made_from'))}: there is no model deliverable {d.made_from!r}; "
            f"known: {', '.join(models) or 'none'}, {PHOTO}"
        )
    model = rules.deliverable(d.made_from)
    if d.is_joined and model and model.colours is None:
        where = json_pointer((*here, "made_from"))
        yield f"{where}: {d.made_from} has no `colours`, so there is nothing to join"
    is_model = d.kind is RunKind.MODEL
    known = rules.model_profiles if is_model else PICTURE_PROFILES
    for n, profile in enumerate(d.profiles):
        if profile not in known:
            yield (
                f"{json_pointer((*here, 'profiles', n))}: there is no profile {profile!r} of "
                f"{'models' if is_model else 'pictures'}; known: {', '.join(known)}"
            )
    for profile in d.profiles:
        if profile in PICTURE_PROFILES and d.kind is RunKind.IMAGE:
            for field, reason in profile_conflicts(d, profile):
                yield f"{json_pointer((*here, field))}: {reason}"
    for generator in d.generator:
        if generator != LOCAL and generator not in rules.provider:
            where = json_pointer((*here, "generator"))
            yield f"{where}: there is no provider {generator!r} under /connections/provider"


def _name_clashes(rules: Rules) -> Iterator[str]:
    """Yield a problem if two files of one product would get the same name."""
    taken: dict[str, str] = {}
    for number, d in enumerate(rules.deliverables):
        for slot in range(1, d.count + 1):
            for format in d.formats:
                name = f"{file_stem(format, Product(sku=Sku('s'), name='n'), d, slot, 1, rules)}.{format}"
                if name in taken:
                    yield (
                        f"/deliverables/{number}: its {format} would have the same name as that of "
                        f"{taken[name]}; put {{deliverable}} or {{slot}} into a pattern under "
                        f"/naming/patterns/{d.name}"
                    )
                    return
                taken[name] = f"{d.name} slot {slot}"
