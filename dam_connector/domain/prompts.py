"""Prompts: what a provider is told about a product, from the admin's template and the product's facts."""

import re
from collections.abc import Callable, Mapping

from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable
from dam_connector.domain.run import RunKind

MAX_PROMPT_CHARS = 4000
MAX_FACT = 300  # characters: a fact is a phrase, and no place for orders
_FIELD = re.compile(r"\{([a-z_]+(?:\.[A-Za-z0-9_ -]+)?)\}")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f{}]+")
PROMPT_FIELDS: Mapping[str, Callable[[Product, Deliverable], str]] = {
    "name": lambda p, d: p.name,
    "brand": lambda p, d: p.brand,
    "color": lambda p, d: p.color,
    "material": lambda p, d: p.material,
    "category": lambda p, d: p.category,
    "style_tags": lambda p, d: p.style_tags,
    "description": lambda p, d: p.description,
    "prompt": lambda p, d: p.request.prompt,
    "background": lambda p, d: "" if d.background == "transparent" else d.background,
}
_SAME = "Keep the product exactly as in the photo: shape, proportions, colours, labels and text unchanged."
_CLEAN = "Photorealistic, centred, clean edges, no watermark, no extra text."
STUDIO = f"Hero product photo of {{name}}. Brand: {{brand}}. {{style_tags}}. On a plain background, {{background}}. {{prompt}}. {_SAME} {_CLEAN}"
CUTOUT = f"Hero product photo of {{name}}. Brand: {{brand}}. {{style_tags}}. On a transparent background. {{prompt}}. {_SAME} {_CLEAN}"
LIFESTYLE = f"Lifestyle photo of {{name}} in use, in a real room. Brand: {{brand}}. {{style_tags}}. {{prompt}}. {_SAME} {_CLEAN}"
MODEL = "{name}, {material}, {color}. {style_tags}. {prompt}."


def build_prompt(deliverable: Deliverable, product: Product, note: str = "") -> str:
    """What is asked for, in words. note: a reviewer's, about the version before.

    Sentences whose facts are all missing are left out. Facts are phrases: line breaks and braces in them are blanks.
    """
    template = deliverable.prompt or _usual(deliverable)
    sentences = [_filled(sentence, product, deliverable) for sentence in _SENTENCE.split(template)]
    if avoid := _filled(deliverable.avoid, product, deliverable):
        sentences.append(f"Do not show: {avoid.rstrip('.')}.")
    if note:
        sentences.append(
            f"A reviewer said of the last picture: {_phrase(note, 600).rstrip('.')}. Correct that."
        )
    return " ".join(filter(None, sentences))[:MAX_PROMPT_CHARS]


def unknown_field(template: str) -> str:
    """The first field of a template that means nothing, or an empty text."""
    return next(
        (
            name
            for name in _FIELD.findall(template)
            if name not in PROMPT_FIELDS and not name.startswith("attributes.")
        ),
        "",
    )


def _usual(deliverable: Deliverable) -> str:
    if deliverable.kind is RunKind.MODEL:
        return MODEL
    if deliverable.style == "lifestyle":
        return LIFESTYLE
    return CUTOUT if deliverable.background == "transparent" else STUDIO


def _filled(sentence: str, product: Product, deliverable: Deliverable) -> str:
    """The sentence with its facts; empty when it names facts and has none of them."""
    names = _FIELD.findall(sentence)
    facts = {name: _phrase(_fact(name, product, deliverable), MAX_FACT) for name in names}
    if names and not any(facts.values()):
        return ""
    text = _FIELD.sub(lambda found: facts[found[1]], sentence)
    return (
        re.sub(r"(?:\s*,)+\s*(?=[,.])|\s+(?=[,.])", "", " ".join(text.split())).strip(" ,").replace("..", ".")
    )


def _fact(name: str, product: Product, deliverable: Deliverable) -> str:
    if name in PROMPT_FIELDS:
        return PROMPT_FIELDS[name](product, deliverable)
    return product.attributes.get(name.partition(".")[2], "")


def _phrase(text: str, most: int) -> str:
    return " ".join(_CONTROLS.sub(" ", text).split())[:most]
