"""Templates of requests whose shape only the admin knows: JSON with placeholders in its texts.

Placeholders are `{{prompt}}`, `{{seed}}` and the other names in `PLACEHOLDERS`; `{{image}}` (the first
picture), `{{image:front}}` (that of a view) and `{{images}}` (a list of all).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dam_connector.domain.outside_values import parse_integer
from dam_connector.errors import BadOutput, ConfigError
from dam_connector.ports import GenerationRequest

_PLACEHOLDER = re.compile(r"\{\{([a-z_]+(?::[a-z]+)?)\}\}")
PLACEHOLDERS: Mapping[str, Callable[[GenerationRequest], Any]] = {
    "prompt": lambda request: request.prompt,
    "seed": lambda request: request.seed,
    "width": lambda request: request.width,
    "height": lambda request: request.height,
    "max_triangles": lambda request: request.max_triangles,
    "texture_px": lambda request: request.texture_px,
    "sku": lambda request: request.product.sku,
    "name": lambda request: request.product.name,
    "key": lambda request: request.key,
}


def check_template(template: Any, where: str) -> None:
    """Check that a template holds only known placeholders.

    Raises:
        ConfigError: it holds an unknown one; the message begins with `where`.
    """
    for name in placeholders(template):
        if name not in PLACEHOLDERS and name != "images" and name.partition(":")[0] != "image":
            raise ConfigError(
                f"{where}: the placeholder {{{{{name}}}}} is unknown; "
                f"known: {', '.join(PLACEHOLDERS)}, image, image:VIEW, images"
            )


def placeholders(template: Any) -> Iterator[str]:
    """Yield the names of all placeholders in a template's texts."""
    yield from _PLACEHOLDER.findall(json.dumps(template))


def fill_template(template: Any, request: GenerationRequest, pictures: Mapping[str, str]) -> Any:
    """Return a template with its placeholders replaced by the facts of a request.

    A text that is one placeholder and nothing else becomes the fact itself, which may be a number or a list.
    A key or list entry whose picture is missing is left out.

    Args:
        template: JSON values.
        request: the request for one task.
        pictures: the text for each picture by view, e.g. its URL or its name on the server.
    """
    if isinstance(template, dict):
        return {
            key: filled
            for key, value in template.items()
            if (filled := fill_template(value, request, pictures)) is not None
        }
    if isinstance(template, list):
        entries = [fill_template(value, request, pictures) for value in template]
        return [entry for entry in entries if entry is not None]
    if not isinstance(template, str):
        return template
    if whole := _PLACEHOLDER.fullmatch(template):
        return _value(whole[1], request, pictures)
    return _PLACEHOLDER.sub(lambda match: str(_value(match[1], request, pictures) or ""), template)


def _value(name: str, request: GenerationRequest, pictures: Mapping[str, str]) -> Any:
    if name == "images":
        return list(pictures.values())
    base, _, view = name.partition(":")
    if base == "image":
        return pictures.get(view) if view else next(iter(pictures.values()), None)
    return PLACEHOLDERS[name](request)


def extract(data: Any, path: str, vendor: str) -> list[str]:
    """Return the texts at a path in JSON.

    Args:
        data: JSON values.
        path: keys, indexes and `*` (every entry of a list), joined by dots, e.g. `images.*.url`.
        vendor: the name in errors.

    Raises:
        BadOutput: there is no text at this path.
    """
    values = [data]
    for step in path.split("."):
        children = []
        for value in values:
            if step == "*" and isinstance(value, list):
                children += value
            elif isinstance(value, list) and (index := parse_integer(step, most=len(value) - 1)) is not None:
                children.append(value[index])
            elif isinstance(value, dict) and step in value:
                children.append(value[step])
        values = children
    texts = [value for value in values if isinstance(value, str)]
    if not texts:
        raise BadOutput(vendor, "fetch", f"the response has nothing at {path}")
    return texts
