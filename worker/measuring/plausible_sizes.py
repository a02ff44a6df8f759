"""What sizes products have: the least and the greatest longest side, in metres, by words in their category and name.

Bounds are wide on purpose: they find wrong units, not unusual products. Source: this project's own judgement.
"""

import re

UNKNOWN = (0.002, 20.0)
LONGEST_SIDE_M = {
    "ring|earring": (0.005, 0.1),
    "watch": (0.02, 0.4),
    "mug|cup|glass|tumbler": (0.03, 0.4),
    "bottle|jar|vase|carafe": (0.04, 1.2),
    "plate|bowl|pan|pot": (0.05, 1.0),
    "shoe|sneaker|boot|sandal": (0.08, 0.8),
    "bag|backpack|handbag|wallet": (0.06, 1.2),
    "phone|headphone|camera|speaker": (0.03, 1.5),
    "lamp|light": (0.08, 3.0),
    "chair|stool|armchair": (0.25, 2.0),
    "table|desk|bench": (0.25, 5.0),
    "sofa|couch|bed": (0.8, 5.0),
    "shelf|cabinet|wardrobe|dresser": (0.2, 5.0),
}
_WORDS = [(re.compile(rf"\b({words})s?\b"), span) for words, span in LONGEST_SIDE_M.items()]
FACTORS = {
    "millimetres": 1000.0,
    "centimetres": 100.0,
    "inches": 39.3701,
    "feet": 3.28084,
    "kilometres": 0.001,
}


def longest_side(text: str) -> tuple[float, float]:
    """What the longest side of such a product can be, in metres."""
    return next((span for words, span in _WORDS if words.search(text.lower())), UNKNOWN)


def unit_of(ratio: float, tolerance: float) -> str:
    """The unit that a model was made in, when it is `ratio` times too large in metres; empty where none fits."""
    return next((name for name, factor in FACTORS.items() if abs(ratio / factor - 1) <= tolerance), "")
