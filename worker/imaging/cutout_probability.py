"""Weights of the probability that a cut-out is usable. Written by benchmarks/cutout_probability.py."""

INTERCEPT = -56.2444
WEIGHTS = {
    "own_outline": 0.8433,
    "edge_share": 47.8340,
    "unsure_px": -0.1533,
    "narrow_gaps": -1.9409,
}
MEANS = {
    "own_outline": 1.5174,
    "edge_share": 0.9808,
    "unsure_px": 2.8691,
    "narrow_gaps": -5.2741,
}
