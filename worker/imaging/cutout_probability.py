"""Weights of the probability that a cut-out is usable. Written by benchmarks/cutout_probability.py."""

INTERCEPT = -1.3769
WEIGHTS = {
    "classical": 0.5122,
    "own_outline": 1.0900,
    "visible_share": 10.0509,
    "unsure_px": -0.4520,
    "left_out": -16.5445,
    "complexity": -1.9086,
}
MEANS = {
    "classical": 0.0635,
    "own_outline": 1.4086,
    "visible_share": 0.9804,
    "unsure_px": 2.8691,
    "left_out": 0.0219,
    "complexity": 3.8006,
}
