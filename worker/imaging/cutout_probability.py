"""Weights of the probability that a cut-out is usable. Written by benchmarks/cutout_probability.py."""

INTERCEPT = -7.6328
WEIGHTS = {
    "own_outline": 1.0624,
    "visible_share": 8.3044,
    "unsure_px": -0.4205,
    "narrow_gaps": -1.0306,
    "complexity": -1.3596,
}
MEANS = {
    "own_outline": 1.4769,
    "visible_share": 0.9836,
    "unsure_px": 2.8691,
    "narrow_gaps": -5.2816,
    "complexity": 3.8019,
}
