"""Links within texts that name records: SKUs, versions, batches and deliveries."""

import re
from collections.abc import Iterable

from flask import url_for
from markupsafe import Markup, escape

from dam_connector.wiring import Services

_ID = re.compile(r"\b(ver|bat|dlv)_[0-9a-z]{20,40}\b")


class RecordLinks:
    """The links of the texts of one page, looked up with two queries."""

    def __init__(self, services: Services, texts: Iterable[str]) -> None:
        """Look up the records that the texts name.

        Args:
            services: The services.
            texts: E.g. `CH123: 5 runs planned; LA207: flagged`, or `CH123 ver_01m7...`.
        """
        listed = list(texts)
        skus = {_sku(part) for text in listed for part in text.split("; ")}
        self.product_ids = services.products.ids_by_sku(skus - {""})
        versions = {m[0] for text in listed for m in _ID.finditer(text) if m[1] == "ver"}
        self._versions = {
            str(card.id): f"{card.asset.deliverable} V{card.number}"
            for card in services.gallery.cards(versions)
        }

    def markup(self, text: str) -> Markup:
        """Return a text with links to the records that exist."""
        return Markup("; ").join(self._part(part) for part in text.split("; "))

    def _part(self, part: str) -> Markup:
        sku = _sku(part)
        product_id = self.product_ids.get(sku)
        if product_id is None:
            return self._ids(part)
        address = url_for("products.product", product_id=product_id)
        return Markup('<a href="{}">{}</a>{}').format(address, sku, self._ids(part[len(sku) :]))

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


def _sku(part: str) -> str:
    """Return the SKU with which a text begins, if it begins with one: all before a colon or an id."""
    return _ID.split(part.partition(": ")[0])[0].strip()
