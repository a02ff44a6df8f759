"""The known columns of sheets, and other names for them."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dam_connector.domain.transliteration import ascii_words
from schemas.combined_sizes import is_combined_size
from schemas.numbers_and_units import METRES_PER_UNIT, UNITS, unit_name

MAX_IMAGES = 4
AXES = ("height", "width", "depth")
DEFAULT_UNIT = "in"  # if a row names none, as the template says


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the template."""

    meaning: str  # what a cell holds
    example: str = ""  # in the template
    aliases: tuple[str, ...] = ()  # other names that people give it
    in_template: bool = True


COLUMNS: Mapping[str, Column] = {
    "sku": Column(
        "The SKU of the product. Required.",
        "CH123",
        (
            "item",
            "item number",
            "item no",
            "article",
            "article no",
            "article number",
            "product sku",
            "product id",
            "id",
            "code",
            "Artikelnummer",
            "Artikel-Nr",
            "Référence",
            "Réf",
            "Référence produit",
            "Referencia",
            "Codice",
            "Codice articolo",
            "Artikelcode",
            "Artikelnummer leverancier",
            "Kod produktu",
            "Nr katalogowy",
            "Código",
            "Código do produto",
        ),
    ),
    "product_name": Column(
        "The product's name.",
        "Modern Dining Chair",
        (
            "name",
            "title",
            "product",
            "product title",
            "Titel",
            "Bezeichnung",
            "Produktname",
            "Artikelbezeichnung",
            "Désignation",
            "Nom",
            "Nom du produit",
            "Nombre",
            "Nombre del producto",
            "Nome",
            "Nome prodotto",
            "Nome do produto",
            "Naam",
            "Productnaam",
            "Nazwa",
            "Nazwa produktu",
        ),
    ),
    "image_url": Column(
        "The front photo: a public URL, the name of a file uploaded with the sheet, "
        "or `dam:FILE` for a file in the DAM.",
        "https://example.com/ch123-front.jpg",
        (
            "image",
            "front",
            "image url front",
            "product image url",
            "picture",
            "photo",
            "image file name",
            "image file",
            "images",
            "image s",
            "image urls",
            "Bild",
            "Bild URL",
            "URL image",
            "Image principale",
            "URL imagen",
            "Imagen",
            "Immagine",
            "URL immagine",
            "Afbeelding",
            "Zdjęcie",
            "Imagem",
        ),
    ),
    "image_url_back": Column("The photo of its back.", "", ("back", "image back")),
    "image_url_left": Column("The photo of its left side.", "", ("left", "image left")),
    "image_url_right": Column(
        "The photo of its right side.",
        "https://example.com/ch123-right.jpg",
        ("right", "image right", "side"),
    ),
    "image_url_top": Column("The photo from above.", "", ("top", "image top")),
    "image_url_hero": Column("A three-quarter photo.", "", ("hero", "three quarter", "perspective")),
    "image_url_detail": Column("A photo of a detail.", "", ("detail", "image detail")),
    "spin_images": Column(
        "The frames of a spin, 8 to 72 pictures of a full turn in equal steps, the first from the front: "
        "the name of a folder uploaded with the sheet, or public URLs with blanks between them.",
        "",
        ("spin", "spin folder", "spin frames", "spin urls", "360", "360 images", "360 spin", "turntable"),
        in_template=False,
    ),
    "walk_images": Column(
        "The photos of a walk, 12 to 72 taken while walking around the product, the first from the front: "
        "the name of a folder uploaded with the sheet, or public URLs with blanks between them.",
        "",
        ("walk", "walk folder", "walk photos", "walk urls", "walk around", "walkaround", "photogrammetry"),
        in_template=False,
    ),
    "inspiration_image": Column(
        "A picture whose colours lifestyle pictures take on.",
        "",
        ("inspiration", "mood image", "inspiration image url"),
    ),
    "model_url": Column(
        "A model that was made elsewhere: an address, or a file beside the sheet (GLB, USDZ, OBJ, STEP).",
        "",
        ("3d model", "model file", "3d file", "glb", "usdz", "3d model url"),
    ),
    "parent": Column(
        "What products share that differ in colour alone, e.g. the code of their model.",
        "",
        ("parent sku", "parent id", "parent code", "item group id", "product group", "style code"),
        in_template=False,
    ),
    "swatch": Column(
        "Its colour, for a model that is recoloured: #rrggbb, or a picture of the cloth or paint alone.",
        "",
        ("swatch url", "swatch image", "colour code", "color code", "hex", "color hex"),
        in_template=False,
    ),
    "height": Column(
        "Height, in `unit`.",
        "33.5",
        (
            "dimensions height",
            "product height",
            "h",
            "Höhe",
            "Hauteur",
            "Altura",
            "Alto",
            "Altezza",
            "Hoogte",
            "Wysokość",
        ),
    ),
    "width": Column(
        "Width, in `unit`.",
        "18.1",
        (
            "dimensions width",
            "product width",
            "w",
            "Breite",
            "Largeur",
            "Anchura",
            "Ancho",
            "Larghezza",
            "Breedte",
            "Szerokość",
            "Largura",
        ),
    ),
    "depth": Column(
        "Depth, in `unit`.",
        "19.3",
        (
            "dimensions depth",
            "product depth",
            "d",
            "length",
            "product length",
            "Tiefe",
            "Länge",
            "Profondeur",
            "Profundidad",
            "Profundidade",
            "Fondo",
            "Profondità",
            "Diepte",
            "Głębokość",
        ),
    ),
    "dimensions": Column(
        "Width, depth and height in one cell, instead of the columns above: 40W x 30D x 12H cm, or "
        "40 x 30 x 12 below the name Dimensions (W x D x H, cm).",
        in_template=False,
    ),
    "unit": Column(
        f"{', '.join(METRES_PER_UNIT)}; if empty, that of the cell, its header or "
        f"another size's header, or else {DEFAULT_UNIT}.",
        "in",
        ("units", "dimension unit", "Einheit", "Unité", "Unidad", "Unità", "Eenheid", "Jednostka"),
    ),
    "category": Column(
        "The product's category.",
        "furniture",
        ("type", "product type", "product category", "Kategorie", "Warengruppe", "Catégorie", "Categoría"),
    ),
    "brand": Column(
        "The product's brand.",
        "Norrvik",
        ("vendor", "manufacturer", "Marke", "Hersteller", "Marque", "Marca", "Merk", "Marka"),
    ),
    "material": Column(
        "What it is made of.", "oak, wool", ("Werkstoff", "Matière", "Matériau", "Materiale", "Materiaal")
    ),
    "color": Column(
        "The product's colour.", "teal", ("colour", "Farbe", "Couleur", "Colore", "Kleur", "Kolor", "Cor")
    ),
    "description": Column(
        "What shops say about the product. Texts in other languages: `description_de`, `name_fr` and so on.",
        "",
        (
            "product description",
            "long description",
            "Beschreibung",
            "Produktbeschreibung",
            "Descripción",
            "Descrizione",
            "Descrição",
            "Beschrijving",
            "Opis",
        ),
    ),
    "gtin": Column(
        "Its GTIN, EAN or UPC. Further facts of it: columns such as `attributes.season`.",
        "",
        (
            *("ean", "upc", "barcode", "gtin 8", "gtin 12", "gtin 13", "gtin 14", "ean 8", "ean 13"),
            *(
                "ean code",
                "upc code",
                "upc ean",
                "ean upc",
                "gtin upc ean or isbn",
                "EAN-Nummer",
                "codice ean",
            ),
            *("código ean", "code ean", "code barres", "kod ean", "Strichcode"),
        ),
        in_template=False,
    ),
    "asin": Column("Its number at Amazon.", "", ("amazon asin",), in_template=False),
    "style_tags": Column("Words for its style, with commas.", "scandinavian, calm", ("tags", "style")),
    "prompt": Column(
        "Words for the set of lifestyle pictures; a provider gets all of it.",
        "",
        ("description prompt", "instructions"),
    ),
    "number_of_images": Column(
        f"Lifestyle pictures, 1 to {MAX_IMAGES}.", "2", ("number of images", "image count", "count", "n")
    ),
    "aspect_ratio": Column(
        "Aspect ratio of lifestyle pictures, width to height.", "4:5", ("aspect", "ratio")
    ),
    "request_type": Column(
        "Studio, Lifestyle, Model; several with commas. All if empty.",
        "Studio, Lifestyle, Model",
        ("request", "request type"),
    ),
    "target_format": Column(
        "File formats, with commas. Those of the rules if empty.",
        "glb, usdz",
        ("format", "formats", "target file type"),
    ),
    "channel": Column(
        "Channels, with commas. Those of the rules if empty.",
        "",
        ("channels", "destination", "publishing channel", "publishing channel destination"),
    ),
    "live_from": Column(
        "No asset of it goes live before this date, e.g. 2026-12-01, in UTC.",
        "",
        ("embargo", "embargo until", "release date", "launch date"),
    ),
    "live_until": Column(
        "All its assets go offline at this date, e.g. 2027-12-01, in UTC.",
        "",
        ("expiry", "expiry date", "expires", "licence end", "license end"),
    ),
}


def guess_columns(header: tuple[str, ...]) -> dict[str, str]:
    """Return the sheet's column for each known column, by the names that people use for them.

    Known columns that are not found are left out. A column of a size may name its unit: `Width (cm)`.
    """
    plain = {_plain(name): name for name in reversed(header)}
    sizes = {_plain(_without_unit(name)): name for name in reversed(header) if header_unit(name)}
    found: dict[str, str] = {}
    for column, spec in COLUMNS.items():
        names = {**sizes, **plain} if column in AXES else plain
        known_names = (_plain(known) for known in (column, *spec.aliases))
        name = next((names[known] for known in known_names if known in names), None)
        if name is not None and name not in found.values():
            found[column] = name
    combined = next((name for name in header if is_combined_size(name) and name not in found.values()), None)
    return {**found, "dimensions": combined} if combined else found


def identifies_products(mapping: Collection[str]) -> bool:
    """Return whether rows with these known columns are products: by their SKU, or a name and a photo."""
    return "sku" in mapping or {"product_name", "image_url"} <= set(mapping)


def header_unit(name: str) -> str:
    """Return the unit that a column's name ends with, e.g. `cm` for `Width (cm)`; empty if it names none."""
    quotes = re.search(r"[(\[]\s*[\"″”]\s*[)\]]$", name.rstrip())
    if quotes and re.search(r"\w", name[: quotes.start()]):
        return "in"
    words = ascii_words(name)
    return unit_name(words[-1]) if len(words) > 1 and words[-1].lower() in UNITS else ""


def _without_unit(name: str) -> str:
    words = ascii_words(re.sub(r"[\"″”]", "", name))
    words = words[:-1] if words and words[-1].lower() in UNITS else words
    return " ".join(words[:-1] if len(words) > 1 and words[-1].lower() == "in" else words)


def _plain(name: str) -> str:
    return " ".join(ascii_words(name)).lower()
