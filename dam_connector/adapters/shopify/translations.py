"""Texts in Shopify in further languages: alt texts of our pictures, name and description of the product."""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.graphql import nodes
from dam_connector.adapters.shopify.client import ShopifyClient, found_translations, translation_fields
from dam_connector.domain.listing import Listing, MediaFile

MAX_RESOURCES = 50  # that are read at once
MAX_POINTS = 900  # that a query for them may cost: each costs 2, and 1 for each language
_REGISTER = """mutation Translate($id: ID!, $texts: [TranslationInput!]!) {
  translationsRegister(resourceId: $id, translations: $texts) { userErrors { field message } } }"""
_SINGLE_QUERY = "query Single($id: ID!) { product(id: $id) { variantsCount { count } } }"

Texts = Mapping[str, Mapping[str, str]]  # locale -> Shopify's key of a text -> the text


def write_translations(
    client: ShopifyClient, product_id: str, listing: Listing, files: Sequence[MediaFile], ids: Sequence[str]
) -> None:
    """Write the texts of a listing in its further languages, unless they are there.

    The product's own texts are written only where it has a single variant: else they are of several SKUs.

    Args:
        client: the shop.
        product_id: the product's id there.
        listing: what is live, with the texts.
        files: our media.
        ids: the id of each there.

    Raises:
        Refused: the shop does not have a language, or the token may not write translations.
    """
    texts: dict[str, Texts] = {
        id: {locale: {"alt": text} for locale, text in file.alt_texts.items()}
        for file, id in zip(files, ids, strict=True)
        if file.file.mime.startswith("image/")
    }
    if _has_one_sku(client, product_id):
        texts[product_id] = {
            locale: {"title": product.name, "body_html": _as_html(product.description)}
            for locale, product in listing.translated.items()
        }
    locales, all_ids = list(listing.translated), list(texts)
    at_once = min(MAX_RESOURCES, MAX_POINTS // (2 + len(locales)))
    for first in range(0, len(all_ids), at_once):
        variables = {"ids": all_ids[first : first + at_once]}
        data = client.query(_content_query(locales, at_once), variables, "publish")
        for resource in nodes(data.get("translatableResourcesByIds")):
            id = str(resource.get("resourceId"))
            if changed := list(_changed(resource, texts.get(id, {}))):
                result = client.query(_REGISTER, {"id": id, "texts": changed}, "publish")
                client.mutation_result(result, "translationsRegister", "publish", errors="userErrors")


def _has_one_sku(client: ShopifyClient, product_id: str) -> bool:
    product = client.query(_SINGLE_QUERY, {"id": product_id}, "publish").get("product") or {}
    return (product.get("variantsCount") or {}).get("count") == 1


def _content_query(locales: Sequence[str], at_once: int) -> str:
    """Return the query for the texts of resources, and for their translations into these languages."""
    return f"""query Content($ids: [ID!]!) {{
  translatableResourcesByIds(first: {at_once}, resourceIds: $ids) {{ nodes {{
    resourceId translatableContent {{ key digest }} {translation_fields(locales)} }} }} }}"""


def _changed(resource: Mapping[str, Any], texts: Texts) -> Iterator[dict[str, str]]:
    """Yield the translations that a resource lacks, of texts that the shop has, as the API takes them."""
    digests = {each.get("key"): each.get("digest") for each in resource.get("translatableContent") or ()}
    present = {
        (each.get("locale"), each.get("key")): each.get("value")
        for each in found_translations(resource)
        if not each.get("outdated")
    }
    for locale, by_key in texts.items():
        for key, text in by_key.items():
            if text and digests.get(key) and present.get((locale, key)) != text:
                digest = str(digests[key])
                yield {"locale": locale, "key": key, "value": text, "translatableContentDigest": digest}


def _as_html(text: str) -> str:
    """Return a plain text as HTML, a paragraph for each part between empty lines."""
    parts = [part.strip() for part in text.split("\n\n") if part.strip()]
    return "".join(f"<p>{html.escape(part, quote=False).replace(chr(10), '<br>')}</p>" for part in parts)
