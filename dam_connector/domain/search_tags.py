"""Tags: what a version is found by in the gallery. `kind:value`, and `word:` for each word of its SKU and name."""

from collections.abc import Iterable

from dam_connector.domain.naming import ascii_words

MAX_TAG = 120


def tag(kind: str, value: str) -> str:
    return f"{kind}:{value}"[:MAX_TAG]


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text as they are looked for: plain ASCII, lower case, each once."""
    return tuple(dict.fromkeys(word.lower() for word in ascii_words(text)))


def tags_of(
    *,
    sku: str,
    name: str,
    category: str,
    deliverable: str,
    codes: Iterable[str] = (),
    batches: Iterable[str] = (),
) -> tuple[str, ...]:
    """All tags of a version. codes: of its report's issues. batches: the ids of those whose rows hold its SKU."""
    words = dict.fromkeys([sku.lower(), *words_of(sku), *words_of(name)])
    found = [tag("deliverable", deliverable), *(tag("word", word) for word in words)]
    found += [tag("category", category)] if category else []
    return tuple(
        dict.fromkeys(
            [*found, *(tag("code", code) for code in codes), *(tag("batch", batch) for batch in batches)]
        )
    )
