"""Kinds of products by their shape, read from the words of name and category.

The words are English, German, French, Spanish and Italian. A kind says what a model from photos is like: a
round vessel is known from one outline, a folding chair from no three.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache, lru_cache


class ProductKind(StrEnum):
    """A kind of products that have shapes of one sort."""

    ROUND = "round"  # round about an upright axis; a mug's handle does not count
    BOX = "box"  # flat sides at right angles: cabinets, shelves, speakers, ovens
    SEAT = "seat"
    TABLE = "table"
    THIN = "thin"  # rods, wires and sheets: lamps, racquets, racks
    SOFT = "soft"  # soft, grown or of many forms: bags, shoes, plants, watering cans
    UNKNOWN = "unknown"  # no word is known


WORDS: Mapping[ProductKind, str] = {
    ProductKind.ROUND: "drinkware|trinkgefäße?|bottles?|flaschen?|bouteilles?|botellas?|bottigli[ae]|vases?|"
    "vasen|jarr[oó]n(?:es)?|florer[oa]s?|vasos?|vas[oi]|mugs?|cups?|tassen?|becher|tasses?|tazas?|"
    "tazz[ae]|tumblers?|goblets?|(?:wine|drinking) glass(?:es)?|weinglas|trinkglas|gläser|verres?|"
    "bicchier[ei]|bowls?|schalen?|schüsseln?|saladiers?|cuencos?|ciotol[ae]|plates?|teller|"
    "assiettes?|platos?|piatt[oi]|jars?|canisters?|cans?|tins?|dosen?|pots?|töpfe|topf|ollas?|"
    "pentol[ae]|candles?|candle ?holders?|candlesticks?|kerzen(?:halter|ständer)?|bougies?|"
    "bougeoirs?|portavelas|velas?|candel[ae]|portacandel[ae]|planters?|macetas?|maceteros?|balls?|"
    "bälle|balles?|ballons?|pelotas?|pall[ae]|thermos|urns?|buckets?|eimer|seaux?",
    ProductKind.BOX: "bookcases?|bookshel(?:f|ves)|shel(?:f|ves)|shelving|regale?|étagères?|"
    "bibliothèques?|estanter[ií]as?|scaffal[ei]|libreri[ae]|storage|aufbewahrung|rangement|"
    "almacenaje|cabinets?|drawers?|dressers?|sideboards?|wardrobes?|cupboards?|nightstands?|lockers?|"
    "crates?|box(?:es)?|chests?|trunks?|schränke?|schrank|kommoden?|truhen?|kisten?|schachteln?|"
    "kartons?|nachttische?|armoires?|commodes?|buffets?|coffres?|boîtes?|chevets?|armarios?|cómodas?|"
    "aparador(?:es)?|cajas?|baúl(?:es)?|armadi?o?|cassettier[ae]|credenz[ae]|scatol[ae]|comodin[oi]|"
    "speakers?|lautsprecher|enceintes?|altavo(?:z|ces)|altoparlant[ei]|radios?|boom ?box(?:es)?|"
    "microwaves?|mikrowellen?|ovens?|backöfen|backofen|refrigerators?|toasters?|books?|bücher|buch|"
    "livres?|libr[oi]s?",
    ProductKind.SEAT: "chairs?|armchairs?|stools?|sofas?|couch(?:es)?|bench(?:es)?|seats?|seating|"
    "loveseats?|recliners?|ottomans?|stühle?|stuhl|sessel|hocker|bänke|bank|chaises?|fauteuils?|"
    "canapés?|tabourets?|bancs?|banquettes?|poufs?|sillas?|sill[oó]n(?:es)?|sofás?|taburetes?|"
    "bancos?|butacas?|sedi[ae]|poltron[ae]|divan[oi]|sgabell[oi]|panc[ah]e?|panchin[ae]",
    ProductKind.TABLE: r"\btables?|desks?|tische?|bureaux?|bureau|mesas?|mesitas?|escritorios?|tavol[oi]|"
    "tavolin[oi]|scrivani[ae]|consoles?|konsolen?",
    ProductKind.THIN: "lighting|beleuchtung|luminaires?|iluminación|illuminazione|lamps?|lights?|lampen?|"
    "leuchten?|lampes?|lampadaires?|suspensions?|lámparas?|lampad[ae]|chandeliers?|pendants?|"
    "sconces?|rac(?:k|qu)ets?|schläger|raquettes?|raquetas?|racchett[ae]|guitars?|gitarren?|"
    "guitares?|guitarras?|chitarr[ae]|violins?|geigen?|violons?|bikes?|bicycles?|fahrrad|fahrräder|"
    "vélos?|bicicletas?|biciclett[ae]|ladders?|leitern?|échelles?|escaleras?|racks?|ständer|"
    "garderoben?|tripods?|stative?|easels?|hangers?|umbrellas?|parasols?|schirme?|sombrillas?|"
    "ombrellon[ei]|mirrors?|spiegel|miroirs?|espejos?|specchio|sunglasses|eyeglasses|eyewear|"
    "brillen?|lunettes|gafas|occhiali|fans?|ventilator(?:en)?|ventilateurs?|ventilador(?:es)?|"
    "cutlery|besteck|couverts|cubiertos|posate|fork|forks|spoons?",
    ProductKind.SOFT: "bags?|handbags?|backpacks?|purses?|taschen?|rucks[aä]cke?|sacs?|bolsos?|mochilas?|"
    "bors[ae]|zain[oi]|shoes?|sneakers?|boots?|sandals?|footwear|schuhe?|stiefel|chaussures?|"
    "zapat\\w+|scarp[ae]|plants?|pflanzen?|plantes?|plantas?|piant[ae]|flowers?|blumen?|fleurs?|"
    "flores|fiori|cushions?|pillows?|kissen|coussins?|coj[ií]n(?:es)?|cuscin[oi]|beds?|betten|bett|"
    "lits?|camas?|lett[oi]|matt?ress(?:es)?|bettgestelle?|matratzen?|matelas|colch[oó]n(?:es)?|"
    "materass[oi]|clothing|kleidung|dress(?:es)?|jackets?|jacken?|shirts?|hats?|caps?|toys?|"
    "spielzeug|jouets?|juguetes?|giocattol[oi]|baskets?|körbe|korb|paniers?|cestas?|cest[oi]|"
    "watering cans?|giesskannen?|arrosoirs?|regaderas?|annaffiato[io]|tea ?pots?|kettles?|kannen?|"
    "théières?|teteras?|teier[ae]|(?:frying )?pans?|skillets?|pfannen?|poêles?|sart[eé]n(?:es)?|"
    "padell[ae]|rugs?|carpets?|teppiche?|blankets?|decken?|towels?|handtücher|handtuch|curtains?|"
    "vorhänge|vorhang|power ?banks?",
}
MIN_TAIL = 4  # letters of a known word at the end of a longer one, e.g. "stuhl" in "Küchenstuhl"
# What follows says what a thing is for, or has: "lampe de bureau", "chair with cushion", "table, oak".
_REST = re.compile(r"[,;:(|/]| [-–—] | (?:de|du|des|del|da|di|en|für|for|mit|with|avec|con|pour|para|per) ")


def product_kind(name: str, category: str) -> ProductKind:
    """Return the kind of a product: by its name, else by its category.

    The last known word of a name decides, since a "chair cushion" is a cushion; what follows a comma or a
    preposition counts only where nothing before it is known.
    """
    return _kind(name[:300], category[:300])


@lru_cache(maxsize=4096)
def _kind(*texts: str) -> ProductKind:
    for text in texts:
        words = " ".join(text.casefold().replace("_", " ").split())
        for part in (_REST.split(words, maxsplit=1)[0], words):
            if found := _last_known(part):
                return found
    return ProductKind.UNKNOWN


def _last_known(text: str) -> ProductKind | None:
    """Return the kind that the last known word of a text names; of two that end there, the longer."""
    found = [
        (
            match.end(),
            match.end() - match.start(),
            kind,
            match.start() == 0 or not text[match.start() - 1].isalnum(),
        )
        for kind, pattern in _patterns().items()
        for match in pattern.finditer(text)
    ]
    whole = [each for each in found if each[3]] or [each for each in found if each[1] >= MIN_TAIL]
    return max(whole)[2] if whole else None


@cache
def _patterns() -> dict[ProductKind, re.Pattern[str]]:
    return {kind: re.compile(rf"(?:{words.casefold()})\b") for kind, words in WORDS.items()}
