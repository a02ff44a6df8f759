"""Weights of the probability that a model is good. Written by benchmarks/model_confidence.py."""

INTERCEPT = 6.1230
WEIGHTS = {
    "has_side": 1.3614,
    "has_top": 0.9573,
    "is_perspective": -0.4456,
    "is_corner": -2.5270,
    "is_turned": 0.4186,
    "is_guess": -1.8314,
    "is_furniture_guess": -1.4093,
    "has_even_sides": 2.1846,
    "misfit": -4.1758,
    "complexity": -1.2000,
    "guessed_complexity": -0.2481,
    "emptiness": -6.7887,
    "doubt": -1.2096,
}
