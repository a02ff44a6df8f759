"""Search tags of versions in the gallery: `kind:value`, and one `word:` tag for each word of SKU and name."""

from collections.abc import Iterable

from dam_connector.domain.transliteration import ascii_words

MAX_TAG_LENGTH = 120  # the width of the column `version_tags.tag`


def search_tag(kind: str, value: str) -> str:
    """Return a tag, e.g. `category:CHAIRS`."""
    return f"{kind}:{value}"[:MAX_TAG_LENGTH]


def search_words(text: str) -> tuple[str, ...]:
    """Return the words of a text in plain lower-case ASCII, each once."""
    return tuple(dict.fromkeys(word.lower() for word in ascii_words(text)))


def version_search_tags(
    *,
    sku: str,
    name: str,
    category: str,
    deliverable: str,
    codes: Iterable[str] = (),
    batches: Iterable[str] = (),
) -> tuple[str, ...]:
    """Return all tags of a version, each once.

    Args:
        sku: SKU of its product.
        name: Name of its product.
        category: Category of its product.
        deliverable: Name of its deliverable.
        codes: The issue codes of its report.
        batches: The ids of the batches that have a row with its SKU.
    """
    words = dict.fromkeys([sku.lower(), *search_words(sku), *search_words(name)])
    tags = [search_tag("deliverable", deliverable), *(search_tag("word", word) for word in words)]
    if category:
        tags.append(search_tag("category", category))
    tags += [search_tag("code", code) for code in codes]
    tags += [search_tag("batch", batch) for batch in batches]
    return tuple(dict.fromkeys(tags))
