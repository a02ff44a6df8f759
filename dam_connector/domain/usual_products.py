"""Usual sizes, poses and places of products, by words of their category and name.

A scene needs a scale where the record has no dimensions. Sizes are this project's own judgement of usual
products, as are the places. The words are English, German, French, Spanish and Italian. The first line whose
word is found decides, so the more special words come first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

# Lists of themes (see scene_sets.py), the best first.
KITCHEN = ("kitchen", "marble", "window", "terrazzo", "wood", "shelf")
DESK = ("window", "concrete", "studio", "shelf", "plinth", "wood")
TECH = ("studio", "concrete", "block", "window", "plinth", "shelf")
BEAUTY = ("marble", "plinth", "arch", "linen", "terrazzo", "window")
DECOR = ("shelf", "window", "arch", "plaster", "terrazzo", "plinth")
LIVING = ("floor", "plaster", "studio", "concrete", "terrazzo", "gradient")
FASHION = ("studio", "plaster", "arch", "blinds", "plinth", "concrete")
SPORT = ("studio", "concrete", "block", "plinth", "wood", "terrazzo")
OUTDOOR = ("outdoor", "concrete", "studio", "plaster", "gradient", "terrazzo")
GARDEN = ("window", "outdoor", "shelf", "terrazzo", "plaster", "wood")
BOOKS = ("wood", "linen", "shelf", "window", "studio", "plinth")
FOOD = ("kitchen", "window", "marble", "wood", "terrazzo", "linen")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualProduct:
    """Size, places and pose that are usual for a kind of product."""

    longest_m: float  # the longer side that a photo shows
    places: tuple[str, ...]  # themes of sets, the best first
    pose: str = ""  # of `Pose`; empty: it stands where the photo allows it


def _usual(longest_m: float, places: tuple[str, ...], pose: str = "") -> UsualProduct:
    return UsualProduct(longest_m=longest_m, places=places, pose=pose)


USUAL: Mapping[str, UsualProduct] = {
    # what lies
    "jump ropes?|ropes?|springseil|seil|corde|cuerda|corda": _usual(0.5, SPORT, "lies"),
    "cables?|kabel|ladekabel|câble|cavo|straps?|gurt|sangle|leash|leine": _usual(0.35, TECH, "lies"),
    "rugs?|carpets?|teppich|tapis|alfombra|tappeto": _usual(1.8, LIVING, "lies"),
    "towels?|handtuch|serviettes?|toalla|scarf|scarves|schal|blankets?|decke": _usual(0.9, FASHION, "lies"),
    "rings?|earrings?|ohrringe?|bracelets?|armband|necklaces?|halskette|jewel\\w*|schmuck|bijoux": _usual(
        0.12, BEAUTY, "lies"
    ),
    "gloves?|handschuhe?|socks?|socken|ties?|krawatte|belts?|gürtel": _usual(0.35, FASHION, "lies"),
    "cutlery|besteck|forks?|gabel|spoons?|löffel|kni(?:fe|ves)|messer|scissors|schere": _usual(
        0.24, KITCHEN, "lies"
    ),
    "skateboards?|longboards?": _usual(0.8, OUTDOOR, "leans"),
    # what hangs or leans
    "paintings?|gemälde|posters?|prints?|wall ?art|wandbild|pictures?|bild|tableau|cuadro|quadro": _usual(
        0.7, LIVING, "hangs"
    ),
    "wall ?clocks?|wanduhr|wall ?lamps?|wandleuchte|sconces?|applique": _usual(0.35, LIVING, "hangs"),
    "pendants?|pendant lamps?|pendelleuchte|hängelampe|chandeliers?|kronleuchter|suspension": _usual(
        0.45, LIVING, "hangs"
    ),
    "surfboards?|snowboards?|skis?|ladders?|leiter|brooms?|besen|rakes?|yoga ?mats?|fishing rods?": _usual(
        1.6, OUTDOOR, "leans"
    ),
    "mirrors?|spiegel|miroir|espejo|specchio": _usual(1.2, LIVING, "leans"),
    "guitars?|gitarre|guitare|guitarra|chitarra|violins?|geige": _usual(1.0, LIVING, ""),
    # clothes
    "dress(?:es)?|kleid|robe|vestido|jackets?|jacke|coats?|mantel|shirts?|hemd|t-?shirts?|tees?|hoodies?|"
    "sweaters?|pullover|raglan|trousers|hosen?|jeans|leggings|skirts?|rock|blouses?|bluse|chemise": _usual(
        0.75, FASHION, "worn"
    ),
    "hats?|caps?|beanies?|mützen?|hut|chapeau|bonnet|gorra": _usual(0.28, FASHION),
    "shoes?|sneakers?|boots?|sandals?|pumps?|heels?|schuhe?|stiefel|chaussures?|zapat\\w+|scarp\\w+": _usual(
        0.3, FASHION
    ),
    "sunglasses|glasses frames?|eyewear|sonnenbrille|brille|lunettes|gafas|occhiali": _usual(0.15, BEAUTY),
    "smart ?watch(?:es)?|wrist ?watch(?:es)?|watch(?:es)?|armbanduhr|montre|reloj": _usual(0.2, BEAUTY),
    "backpacks?|rucksack|handbags?|bags?|taschen?|sacs?|bolsos?|borsa|pouch(?:es)?|wallets?": _usual(
        0.38, FASHION
    ),
    "suitcases?|koffer|valise|maleta|trolley": _usual(0.65, FASHION),
    # kitchen
    "mugs?|cups?|tassen?|becher|tumblers?|tazas?|tazza": _usual(0.11, KITCHEN),
    "kettles?|wasserkocher|bouilloire|toasters?|grille-pain|tostador|tostapane": _usual(0.27, KITCHEN),
    "blenders?|mixers?|mixeur|licuadora|frullatore|juicers?|entsafter|food processors?|standmixer": _usual(
        0.4, KITCHEN
    ),
    "(?:air )?fryers?|heißluftfritteuse|fritteuse|coffee (?:machines?|makers?)|kaffeemaschine|espresso\\w*|"
    "microwaves?|mikrowelle|ovens?|backofen|cafetière": _usual(0.36, KITCHEN),
    "pans?|pots?|pfannen?|töpfe?|topf|casserole|skillets?|bowls?|schüssel|schale|plates?|teller": _usual(
        0.3, KITCHEN
    ),
    "bottles?|flaschen?|bouteille|botella|bottiglia|drinks?|wines?|wein|juices?|saft|beers?|bier|"
    "cans?": _usual(0.26, FOOD),
    "jars?|glas|gläser|tins?|dosen?|tea|tee|coffee|kaffee|honey|honig|jam|sauces?|spices?|"
    "chocolates?": _usual(0.14, FOOD),
    # electronics
    "phones?|smartphones?|handys?|mobile|móvil|ipods?|mp3|players?|earbuds?|kopfhörer|headphones?": _usual(
        0.14, TECH
    ),
    "hard ?disks?|ssd|festplatte|mouse|mice|maus|souris|dongles?|usb|chargers?|ladegerät": _usual(0.13, TECH),
    "cameras?|kamera|appareil photo|cámara|lens(?:es)?|objektiv": _usual(0.15, TECH),
    "laptops?|notebooks?|computers?|rechner|imacs?|macbooks?|keyboards?|tastatur": _usual(0.4, DESK),
    "monitors?|screens?|displays?|bildschirm|televisions?|tvs?|fernseher": _usual(0.6, DESK),
    "speakers?|lautsprecher|radios?|enceinte|altavoz": _usual(0.25, DESK),
    "irons?|steam generators?|bügeleisen|dampf\\w+|fer à repasser|plancha": _usual(0.35, TECH),
    "hair ?dryers?|dryers?|föhn|haartrockner|sèche-cheveux|shavers?|rasierer|groom\\w*|trimmers?": _usual(
        0.25, BEAUTY
    ),
    "fans?|ventilator|ventilateur|ventilador|heaters?|heizer|vacuums?|staubsauger|aspirateur": _usual(
        0.45, LIVING
    ),
    # beauty
    "perfumes?|parfum|creams?|creme|lotions?|serums?|shampoos?|soaps?|seife|candles?|kerzen?|bougie|"
    "lipsticks?|lippenstift|cosmetics?|kosmetik|make-?up": _usual(0.14, BEAUTY),
    # books, toys, sport
    "books?|buch|bücher|livres?|libros?|libri|magazines?|dvds?|cds?|boxset|blu-?rays?|games?": _usual(
        0.24, BOOKS
    ),
    "tennis ?balls?": _usual(0.067, SPORT),
    "basketballs?|footballs?|soccer ?balls?|balls?|bälle?|ballons?|pelota": _usual(0.24, SPORT),
    "bricks?|blocks?|dumbbells?|hantel|kettlebells?|push-?up\\w*|yoga\\w*|fitness|rollers?|sports?": _usual(
        0.28, SPORT
    ),
    "toys?|spielzeug|jouets?|juguetes?|dolls?|puppen?|teddy": _usual(0.25, DECOR),
    # plants and decoration
    "cactus|cacti|kakt\\w+|succulents?|sukkulente|bonsai": _usual(0.22, GARDEN),
    "plants?|pflanzen?|plantes?|flowers?|blumen?|tulips?|tulpen?|bouquets?|strauß": _usual(0.42, GARDEN),
    "vases?|jarrón|vaso|planters?|blumentopf|figurines?|figur|sculptures?|skulptur|clocks?|uhr": _usual(
        0.27, DECOR
    ),
    "floor lamps?|stehlampe|stehleuchte|lampadaire": _usual(1.55, LIVING),
    "lamps?|lampen?|leuchten?|lights?|lampes?|lámpara|lampada": _usual(0.45, DECOR),
    "cushions?|pillows?|kissen|coussins?|cojín|cuscino": _usual(0.5, LIVING),
    "baskets?|korb|körbe|panier|cesta|box(?:es)?|schachtel|karton|boîte|caja|scatola": _usual(0.35, DECOR),
    # furniture
    "sofas?|couch(?:es)?|canapé|sofá|divano|loveseats?": _usual(2.0, LIVING),
    "beds?|bett|lit|cama|letto|matt?ress(?:es)?|matratze|matelas": _usual(2.0, LIVING),
    "armchairs?|sessel|fauteuil|butaca|poltrona": _usual(0.95, LIVING),
    "stools?|hocker|tabouret|taburete|sgabello": _usual(0.6, LIVING),
    "chairs?|st[uü]hle?|stuhl|chaise|silla|sedia": _usual(0.85, LIVING),
    "coffee tables?|couchtisch|side tables?|beistelltisch|nightstands?|nachttisch": _usual(0.75, LIVING),
    "tables?|tisch|desks?|schreibtisch|mesa|tavolo|bench(?:es)?|bank|banc": _usual(1.4, LIVING),
    "wardrobes?|schrank|cabinets?|armoire|armario|armadio|dressers?|kommode|sideboards?|bookcases?|"
    "bookshel(?:f|ves)|regal|étagère|estantería": _usual(1.5, LIVING),
    # outdoors
    "tents?|zelt|tente|tienda de campaña": _usual(2.2, OUTDOOR),
    "cars?|autos?|voiture|coche|macchina|vans?": _usual(4.2, OUTDOOR),
    "bikes?|bicycles?|fahrrad|fahrräder|vélo|bicicleta|bicicletta|scooters?|roller": _usual(1.7, OUTDOOR),
    "garden\\w*|garten\\w*|jardin|barbecues?|grills?|outdoor|camping": _usual(0.9, OUTDOOR),
}


MIN_TAIL = 4  # letters of a known word at the end of a longer one, e.g. "stuhl" in "Küchenstuhl"


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], UsualProduct], ...]:
    return tuple((re.compile(rf"(?:{words})\b"), usual) for words, usual in USUAL.items())


def usual_product(*texts: str) -> UsualProduct | None:
    """Return the usual size, places and pose of a product, or None if no word is known.

    Args:
        texts: The product's texts, e.g. name and category. The text that comes first decides first.
    """
    for text in texts:
        words = text.casefold().replace("_", " ")
        if found := _whole_words(words) or _tails(words):
            # the last known word of a name is its kind: a "chair cushion" is a cushion
            return max(found, key=lambda each: each[:3])[3]
    return None


Found = tuple[int, int, int, UsualProduct]  # where it ends, how long it is, how early in the table


def _whole_words(text: str) -> list[Found]:
    return [found for found, is_whole in _found(text) if is_whole]


def _tails(text: str) -> list[Found]:
    return [found for found, _ in _found(text) if found[1] >= MIN_TAIL]


def _found(text: str) -> list[tuple[Found, bool]]:
    """Return the known words in a text, each with whether nothing of its word is before it."""
    return [
        (
            (match.end(), match.end() - match.start(), -number, usual),
            match.start() == 0 or not text[match.start() - 1].isalnum(),
        )
        for number, (pattern, usual) in enumerate(_patterns())
        for match in pattern.finditer(text)
    ]
