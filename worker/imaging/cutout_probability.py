"""Weights of the probability that a cut-out is usable. Written by benchmarks/cutout_probability.py."""

INTERCEPT = -48.9391
WEIGHTS = {
    "own_outline": 0.7601,
    "edge_share": 39.9990,
    "unsure_px": -0.1818,
    "narrow_gaps": -2.0606,
}
MEANS = {
    "own_outline": 1.5114,
    "edge_share": 0.9810,
    "unsure_px": 2.8691,
    "narrow_gaps": -5.2750,
}
