"""Words of a prompt or a note that choose the set of a lifestyle picture and its colour.

Our own code knows these words in English, German, French, Spanish and Italian. It reads nothing else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

# By theme of a set (worker/imaging/scene_sets.py): the words that ask for it.
THEME_WORDS: Mapping[str, str] = {
    "plinth": "plinths?|podiums?|pedestals?|podest|sockel|socle|pedestal|piedistallo",
    "shelf": "shel(?:f|ves)|regal|regalbrett|étagère|estante|mensola",
    "window": "windows?|fenster|fenêtre|ventana|finestra",
    "kitchen": "kitchens?|küche|cuisine|cocina|cucina|tiles?|tiled|kacheln?|gekachelt|carrelage|azulejos?|"
    "piastrelle|countertops?|worktop",
    "outdoor": "outdoors?|outside|gardens?|patio|terrace|nature|draußen|im freien|garten|terrasse|balkon|"
    "extérieur|jardin|jardín|exterior|terraza|giardino|esterno|terrazza",
    "floor": "living ?room|wooden floor|parquet|wohnzimmer|holzboden|parkett|dielen|salon|salón|soggiorno",
    "wood": "wood(?:en)?|oak|holz|eiche|hölzern|bois|chêne|madera|roble|legno|rovere",
    "linen": "linen|fabrics?|textile|cloth|leinen|stoff|lin|tissu|lino|tela|tessuto",
    "concrete": "concrete|industrial|loft|cement|beton|industriell|béton|hormigón|cemento|calcestruzzo",
    "terrazzo": "terrazzo",
    "marble": "marble|marmor|marbre|mármol|marmo|bathroom|badezimmer|salle de bain|baño|bagno",
    "stone": "stones?|slate|steine?|schiefer|naturstein|pierre|ardoise|piedra|pietra",
    "plaster": "plaster|putz|wand|plain wall|plâtre|yeso|intonaco|mediterranean|mediterran",
    "arch": "arch(?:es|ed)?|niches?|bogen|rundbogen|nische|arche|arco|nicho|nicchia",
    "block": r"two[- ]tone|colou?r[- ]?block\w*|zweifarbig|bicolore?|bitono",
    "blinds": "blinds?|jalousien?|lamellen|store|persiana|veneziana",
    "gradient": "gradient|spotlight|farbverlauf|verlauf|dégradé|degradado|gradiente|sfumatura",
    "studio": "studio|plain|minimal(?:ist(?:ic)?)?|backdrop|schlicht|einfarbig|minimalistisch|fond uni|"
    "sobre|liso|minimalista|tinta unita",
}
# German puts a colour's shade before it in one word, e.g. "salbeigrün", "dunkelblau".
_FIRST_HALF = (
    "(?:(?:hell|dunkel|blass|zart|pastell|salbei|oliv|moos|tannen|mint|flaschen|himmel|marine|stahl|tauben|"
    "eis|royal|wein|ziegel|rost|kirsch|rosen|zitronen|sonnen|senf|mais|silber|stein|schiefer|perl|alt|creme|"
    "woll|reh|nuss|schoko)[ -]?)?"
)
COLOUR_WORDS: Mapping[str, tuple[str, str]] = {  # by name: the words, and the colour
    "white": (f"white|{_FIRST_HALF}wei(?:ß|ss)(?:e[nrm]?)?|blanc(?:he)?|blanco|bianco", "#f1efec"),
    "cream": ("cream|ivory|creme(?:farben)?|crème|crema", "#ede3d1"),
    "beige": ("beige|sand|beis|sable|arena", "#d8c6ae"),
    "grey": (f"gr[ea]y|{_FIRST_HALF}grau(?:e[nrms]?)?|gris|grigio", "#b9b8b6"),
    "black": ("black|schwarz(?:e[nrms]?)?|noire?|negro|nero", "#33312f"),
    "blue": (f"blue|navy|{_FIRST_HALF}blau(?:e[nrms]?)?|bleue?|azul|blu|azzurro", "#8fa6bb"),
    "green": (f"green|sage|mint|olive|{_FIRST_HALF}grün(?:e[nrms]?)?|salbei|verte?|verde|salvia", "#a3b097"),
    "yellow": (f"yellow|mustard|{_FIRST_HALF}gelb(?:e[nrms]?)?|senf|jaune|amarillo|giallo", "#dcbb6f"),
    "orange": (f"{_FIRST_HALF}orange|terracotta|apricot|terrakotta|naranja|arancione", "#cc8a64"),
    "red": (f"red|burgundy|{_FIRST_HALF}rot(?:e[nrms]?)?|rouge|rojo|rosso", "#a8534a"),
    "pink": (f"pink|rose|blush|{_FIRST_HALF}rosa", "#e0bdb6"),
    "purple": ("purple|lilac|lavender|lila|violett|lavendel|violet|mauve|morado|viola", "#aea1bd"),
    "brown": (f"brown|walnut|{_FIRST_HALF}braun(?:e[nrms]?)?|brun|marrón|marrone", "#8d6c52"),
}
# Alone, a word for dark asks for black; beside a colour, both kinds make it darker or lighter.
DARK_WORDS = r"dark|deep|dunk(?:el|l)\w*|foncée?|sombre|oscur[oa]|scur[oa]"
LIGHT_WORDS = r"light|pale|pastel|hell\w*|blass\w*|zart\w*|claire?|pâle|clar[oa]|chiar[oa]"
BESIDE = 8  # characters before and after a colour in which such a word is sought
SHADE_SHARE = 0.4  # of black or white that a darker or lighter colour has
MAX_TEXT = 2000  # characters that are read


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneWish:
    """The set that words ask for."""

    themes: tuple[str, ...] = ()  # in the order of the words
    colour: str = ""  # `#rrggbb`
    words: tuple[str, ...] = ()  # as they are in the text
    has_text: bool = False  # somebody wrote something

    def __bool__(self) -> bool:
        """Return whether there is anything to follow."""
        return bool(self.themes or self.colour)


NO_WISH = SceneWish()


def read_scene_words(*texts: str) -> SceneWish:
    """Return the wish of the first text that has known words.

    A word after "no", "not" or "without" is no wish.
    """
    wishes = [_read(text[:MAX_TEXT]) for text in texts]
    has_text = any(text.strip() for text in texts)
    found = next((wish for wish in wishes if wish), NO_WISH)
    return SceneWish(themes=found.themes, colour=found.colour, words=found.words, has_text=has_text)


def _read(text: str) -> SceneWish:
    themes, colours = _patterns()
    places = sorted(
        (m.start(), theme, m["word"]) for theme, p in themes for m in p.finditer(text) if not m["no"]
    )
    named = sorted(
        (m.start(), _shaded(code, text, m), m["word"])
        for code, p in colours
        for m in p.finditer(text)
        if not m["no"]
    )
    if not named and (dark := _pattern(DARK_WORDS).search(text)) and not dark["no"]:
        named = [(dark.start(), COLOUR_WORDS["black"][1], dark["word"])]
    return SceneWish(
        themes=tuple(dict.fromkeys(theme for _, theme, _ in places)),
        colour=named[0][1] if named else "",
        words=tuple(dict.fromkeys(word.casefold() for *_, word in sorted([*places, *named[:1]]))),
    )


def _shaded(code: str, text: str, found: re.Match[str]) -> str:
    """Return a colour, darker or lighter where a word beside it, or its own first half, says so."""
    around = text[max(0, found.start("word") - BESIDE) : found.end("word") + BESIDE]
    for words, target in ((DARK_WORDS, 0), (LIGHT_WORDS, 255)):
        if re.search(rf"\b(?:{words})\b", around, re.IGNORECASE):
            parts = (int(code[at : at + 2], 16) for at in (1, 3, 5))
            return "#" + "".join(f"{round(part + SHADE_SHARE * (target - part)):02x}" for part in parts)
    return code


@cache
def _patterns() -> tuple[list[tuple[str, re.Pattern[str]]], list[tuple[str, re.Pattern[str]]]]:
    themes = [(theme, _pattern(words)) for theme, words in THEME_WORDS.items()]
    return themes, [(code, _pattern(words)) for words, code in COLOUR_WORDS.values()]


def _pattern(words: str) -> re.Pattern[str]:
    no = r"(?:no|not|without|kein\w*|nicht|ohne|sans|pas de|sin|senza)"
    return re.compile(rf"(?P<no>\b{no}\s+(?:an?\s+|the\s+|any\s+)?)?\b(?P<word>{words})\b", re.IGNORECASE)
