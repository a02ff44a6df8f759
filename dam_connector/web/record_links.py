"""Links within texts that name records: SKUs, versions, batches and deliveries."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from flask import url_for
from markupsafe import Markup, escape

from dam_connector.wiring import Services

_ID = re.compile(r"\b(ver|bat|dlv)_[0-9a-z]{20,40}\b")

_SKU_END = re.compile(rf": |; |{_ID.pattern}|\Z")
MAX_SKU = 500  # characters, as in the table
MAX_SKU_ENDS = 9  # of the places where a SKU may end; a SKU may hold some of them itself


class RecordLinks:
    """The links of the texts of one page, looked up with two queries."""

    def __init__(self, services: Services, texts: Iterable[str]) -> None:
        """Look up the records that the texts name.

        Args:
            services: The services.
            texts: E.g. `CH123: 5 runs planned; LA207: flagged`, or `CH123 ver_01m7...`.
        """
        listed = list(texts)
        skus = {sku for text in listed for part in _parts(text) for sku in _possible_skus(part)}
        self._product_ids = services.products.ids_by_sku(skus)
        versions = {m[0] for text in listed for m in _ID.finditer(text) if m[1] == "ver"}
        self._versions = {
            str(card.id): f"{card.asset.deliverable} V{card.number}"
            for card in services.gallery.cards(versions)
        }

    def markup(self, text: str) -> Markup:
        """Return a text with links to the records that exist."""
        result, rest = Markup(), text
        while rest:
            sku = next((each for each in _possible_skus(rest) if each in self._product_ids), "")
            if sku:
                address = url_for("products.product", product_id=self._product_ids[sku])
                result += Markup('<a href="{}">{}</a>').format(address, sku)
            before, semicolon, after = rest[len(sku) :].partition("; ")
            result += self._ids(before) + semicolon
            rest = after
        return result

    def _ids(self, text: str) -> Markup:
        """Return a text with links instead of the ids in it."""
        result, end = Markup(), 0
        for found in _ID.finditer(text):
            result += escape(text[end : found.start()]) + self._link(found[1], found[0])
            end = found.end()
        return result + escape(text[end:])

    def _link(self, kind: str, record_id: str) -> Markup:
        if kind == "ver":
            name = self._versions.get(record_id)
            address = url_for("versions.version", version_id=record_id)
            return Markup('<a href="{}">{}</a>').format(address, name) if name else escape(record_id)
        if kind == "bat":
            address, text = url_for("batches.batch", batch_id=record_id), "batch"
        else:
            address, text = url_for("admin.delivery", delivery_id=record_id), "delivery"
        return Markup('<a href="{}">{}</a>').format(address, text)


def _parts(text: str) -> Iterator[str]:
    """Yield a text, and what follows each semicolon in it: a SKU may begin there."""
    while text:
        yield text
        text = text.partition("; ")[2]


def _possible_skus(text: str) -> list[str]:
    """Return the SKUs with which a text may begin, the longest first.

    They end before a colon, a semicolon or an id, or with the text: of `A1: 9: flagged`, `A1` and `A1: 9`.
    """
    ends = [found.start() for found in islice(_SKU_END.finditer(text), MAX_SKU_ENDS)]
    skus = [text[:end].rstrip() for end in reversed(ends)]
    return [sku for sku in skus if sku and len(sku) <= MAX_SKU]
