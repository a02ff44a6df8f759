"""Templates of requests whose shape the admin knows and we do not: JSON with `{{prompt}}`, `{{seed}}`, `{{image:front}}` and the like in its texts."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dam_connector.errors import BadOutput, ConfigError
from dam_connector.ports import GenerationRequest

_MARK = re.compile(r"\{\{([a-z_]+(?::[a-z]+)?)\}\}")
PLACEHOLDERS: Mapping[str, Callable[[GenerationRequest], Any]] = {
    "prompt": lambda order: order.prompt,
    "seed": lambda order: order.seed,
    "width": lambda order: order.width,
    "height": lambda order: order.height,
    "max_triangles": lambda order: order.max_triangles,
    "texture_px": lambda order: order.texture_px,
    "sku": lambda order: order.product.sku,
    "name": lambda order: order.product.name,
    "key": lambda order: order.key,
}


def check_template(template: Any, where: str) -> None:
    """Raises: ConfigError for a mark that means nothing."""
    for mark in placeholders(template):
        if mark not in PLACEHOLDERS and mark != "images" and mark.partition(":")[0] != "image":
            raise ConfigError(
                f"{where}: {{{{{mark}}}}} means nothing; known: {', '.join(PLACEHOLDERS)}, image, image:VIEW, images"
            )


def placeholders(template: Any) -> Iterator[str]:
    """The marks in a template's texts."""
    yield from _MARK.findall(json.dumps(template))


def fill_template(template: Any, order: GenerationRequest, pictures: Mapping[str, str]) -> Any:
    """The template with this order's facts in it. pictures: what stands for a picture, by view; `image` is the first, `images` all of them.

    A text that is nothing but a mark becomes the fact itself, a number or a list too. A key whose picture there is not is left out.
    """
    if isinstance(template, dict):
        return {
            key: value
            for key, each in template.items()
            if (value := fill_template(each, order, pictures)) is not None
        }
    if isinstance(template, list):
        return [value for each in template if (value := fill_template(each, order, pictures)) is not None]
    if not isinstance(template, str):
        return template
    if whole := _MARK.fullmatch(template):
        return _fact(whole[1], order, pictures)
    return _MARK.sub(lambda found: str(_fact(found[1], order, pictures) or ""), template)


def _fact(mark: str, order: GenerationRequest, pictures: Mapping[str, str]) -> Any:
    if mark == "images":
        return list(pictures.values())
    name, _, view = mark.partition(":")
    if name == "image":
        return pictures.get(view) if view else next(iter(pictures.values()), None)
    return PLACEHOLDERS[mark](order)


def extract(data: Any, path: str, vendor: str) -> list[str]:
    """The texts at a path such as `images.*.url`. Raises: BadOutput when there is none."""
    here = [data]
    for step in path.split("."):
        below = []
        for each in here:
            if step == "*" and isinstance(each, list):
                below += each
            elif isinstance(each, list) and step.isdigit() and int(step) < len(each):
                below.append(each[int(step)])
            elif isinstance(each, dict) and step in each:
                below.append(each[step])
        here = below
    texts = [each for each in here if isinstance(each, str)]
    if not texts:
        raise BadOutput(vendor, "fetch", f"the answer has nothing at {path}")
    return texts
