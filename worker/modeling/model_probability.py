"""Weights of the probability that a model is good. Written by benchmarks/model_confidence.py."""

INTERCEPT = 10.6350
WEIGHTS = {
    "has_side": 1.8049,
    "has_top": 1.2459,
    "is_perspective": -0.6684,
    "has_shared_camera": 0.0,
    "camera_error": 0.0,
    "is_corner": -1.9275,
    "is_turned": 1.1894,
    "is_guess": -2.2036,
    "is_furniture_guess": -1.9932,
    "has_even_sides": 2.1965,
    "misfit": -6.7065,
    "complexity": -1.8291,
    "guessed_complexity": -0.3226,
    "emptiness": -11.0775,
    "doubt": -1.3650,
}
