"""Weights of the probability that a model is good. Written by benchmarks/model_confidence.py."""

INTERCEPT = 0.0
WEIGHTS = {
    "has_side": 0.0,
    "has_top": 0.0,
    "is_perspective": 0.0,
    "is_corner": 0.0,
    "is_turned": 0.0,
    "is_guess": 0.0,
    "is_furniture_guess": 0.0,
    "has_even_sides": 0.0,
    "misfit": 0.0,
    "complexity": 0.0,
    "guessed_complexity": 0.0,
    "emptiness": 0.0,
    "doubt": 0.0,
}
