"""Texts in Saleor in further languages: alt texts of our pictures, name and description of the product.

A hash of each written text is noted in the metadata of the medium or product. So it is written once, and a
correction by a person there stays until our text changes.
"""

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.saleor.client import METADATA_KEY, SaleorClient, language_code, metadata_value
from dam_connector.domain.listing import Listing, MediaFile
from dam_connector.domain.outside_values import decode_json
from dam_connector.domain.product import Product

NOTE_KEY = f"{METADATA_KEY}.texts"  # {language code: hash of the texts} as JSON
MAX_ALT_CHARACTERS = 250
_ERRORS = "errors { field message }"
_TRANSLATE_PRODUCT = f"""mutation Translate(
  $id: ID!, $language: LanguageCodeEnum!, $input: TranslationInput!) {{
  productTranslate(id: $id, languageCode: $language, input: $input) {{ {_ERRORS} }} }}"""
_TRANSLATE_MEDIUM = f"""mutation TranslateMedium(
  $id: ID!, $language: LanguageCodeEnum!, $input: ProductMediaTranslationInput!) {{
  productMediaTranslate(id: $id, languageCode: $language, input: $input) {{ {_ERRORS} }} }}"""

Texts = Mapping[str, Mapping[str, str]]  # language code -> field of the mutation's input -> text


def write_translations(
    client: SaleorClient,
    product: Mapping[str, Any],
    listing: Listing,
    files: Sequence[MediaFile],
    ours: Sequence[Mapping[str, Any]],
) -> None:
    """Write the texts of a listing in its further languages, unless they were written before.

    The product's own texts are written only where it has a single variant: else they are of several SKUs.

    Args:
        client: the shop.
        product: the product there, with its metadata.
        listing: what is live, with the texts.
        files: our media.
        ours: each of them there, with its metadata.

    Raises:
        Refused: the app may not write translations.
        BadOutput: the shop does not know a language, or no translations of alt texts.
    """
    for file, medium in zip(files, ours, strict=True):
        alts = {
            language_code(each): {"alt": text[:MAX_ALT_CHARACTERS]} for each, text in file.alt_texts.items()
        }
        _write(client, medium, alts, _TRANSLATE_MEDIUM, "productMediaTranslate")
    if len(product["variants"]) == 1:
        texts = {language_code(each): _texts(translated) for each, translated in listing.translated.items()}
        _write(client, product, texts, _TRANSLATE_PRODUCT, "productTranslate")


def _write(client: SaleorClient, holder: Mapping[str, Any], texts: Texts, mutation: str, name: str) -> None:
    """Write the texts of a medium or product that changed since they were written."""
    noted, hashes = _noted(holder), {code: _hash(fields) for code, fields in texts.items()}
    changed = [code for code in texts if noted.get(code) != hashes[code]]
    for code in changed:
        client.mutate(mutation, {"id": holder["id"], "language": code, "input": texts[code]}, name)
    if changed:
        client.write_metadata(str(holder["id"]), {NOTE_KEY: json.dumps({**noted, **hashes})})


def _hash(fields: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def _noted(holder: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hashes of the written texts; none if somebody overwrote the note."""
    try:
        found = decode_json(metadata_value(holder, NOTE_KEY) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _texts(product: Product) -> dict[str, str]:
    """Return the name and, where there is one, the description as blocks of Editor.js."""
    parts = [part.strip() for part in product.description.split("\n\n") if part.strip()]
    blocks = [{"type": "paragraph", "data": {"text": html.escape(part, quote=False)}} for part in parts]
    return {"name": product.name, **({"description": json.dumps({"blocks": blocks})} if blocks else {})}
