"""Prompts for providers, made from the admin's template and the facts of the product."""

import re
from collections.abc import Callable, Mapping

from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable
from dam_connector.domain.run import RunKind

MAX_PROMPT_CHARS = 4000
MAX_FACT_CHARS = 300  # a fact is a phrase; a longer text could hold instructions to the provider
MAX_NOTE_CHARS = 600
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
STUDIO = (
    "Hero product photo of {name}. Brand: {brand}. {style_tags}. On a plain background, {background}. "
    f"{{prompt}}. {_SAME} {_CLEAN}"
)
CUTOUT = (
    "Hero product photo of {name}. Brand: {brand}. {style_tags}. On a transparent background. {prompt}. "
    f"{_SAME} {_CLEAN}"
)
LIFESTYLE = (
    "Lifestyle photo of {name} in use, in a real room. Brand: {brand}. {style_tags}. {prompt}. "
    f"{_SAME} {_CLEAN}"
)
MODEL = "{name}, {material}, {color}. {style_tags}. {prompt}."


def build_prompt(deliverable: Deliverable, product: Product, note: str = "") -> str:
    """Return the prompt for a deliverable of a product.

    Sentences whose facts are all missing are left out. Line breaks and braces in facts become spaces.

    Args:
        deliverable: What is to be made; its `prompt` is the template, if it has one.
        product: The product that the facts come from.
        note: A reviewer's note about the version before.
    """
    template = deliverable.prompt or _default_template(deliverable)
    sentences = [_fill_sentence(sentence, product, deliverable) for sentence in _SENTENCE.split(template)]
    if avoid := _fill_sentence(deliverable.avoid, product, deliverable):
        sentences.append(f"Do not show: {avoid.rstrip('.')}.")
    if note:
        sentences.append(
            f"A reviewer said of the last picture: {_phrase(note, MAX_NOTE_CHARS).rstrip('.')}. Correct that."
        )
    return " ".join(filter(None, sentences))[:MAX_PROMPT_CHARS]


def unknown_field(template: str) -> str:
    """Return the first field of a template that does not exist, or an empty string."""
    return next(
        (
            name
            for name in _FIELD.findall(template)
            if name not in PROMPT_FIELDS and not name.startswith("attributes.")
        ),
        "",
    )


def _default_template(deliverable: Deliverable) -> str:
    if deliverable.kind is RunKind.MODEL:
        return MODEL
    if deliverable.style == "lifestyle":
        return LIFESTYLE
    return CUTOUT if deliverable.background == "transparent" else STUDIO


def _fill_sentence(sentence: str, product: Product, deliverable: Deliverable) -> str:
    """Return a sentence with its facts; empty if it names facts and the product has none of them."""
    names = _FIELD.findall(sentence)
    facts = {name: _phrase(_fact(name, product, deliverable), MAX_FACT_CHARS) for name in names}
    if names and not any(facts.values()):
        return ""
    text = " ".join(_FIELD.sub(lambda found: facts[found[1]], sentence).split())
    without_gaps = re.sub(
        r"(?:\s*,)+\s*(?=[,.])|\s+(?=[,.])", "", text
    )  # commas and spaces around missing facts
    return without_gaps.strip(" ,").replace("..", ".")


def _fact(name: str, product: Product, deliverable: Deliverable) -> str:
    if name in PROMPT_FIELDS:
        return PROMPT_FIELDS[name](product, deliverable)
    return product.attributes.get(name.partition(".")[2], "")


def _phrase(text: str, max_chars: int) -> str:
    return " ".join(_CONTROLS.sub(" ", text).split())[:max_chars]
