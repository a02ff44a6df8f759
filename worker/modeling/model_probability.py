"""Weights of the probability that a model is good. Written by benchmarks/model_confidence.py."""

INTERCEPT = 4.8551
WEIGHTS = {
    "has_side": 1.0224,
    "has_top": 0.6524,
    "is_perspective": 0.2343,
    "has_shared_camera": 1.8215,
    "camera_error": -5.8318,
    "is_corner": -1.4752,
    "is_turned": 1.6817,
    "is_guess": -2.3073,
    "is_furniture_guess": -0.8530,
    "has_even_sides": 2.1172,
    "misfit": -7.6887,
    "complexity": -0.8923,
    "guessed_complexity": -0.2042,
    "emptiness": -9.3669,
    "doubt": -1.3148,
}
