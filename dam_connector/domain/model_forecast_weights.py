"""Weights of the forecast of models. Written by benchmarks/model_forecast.py."""

INTERCEPT = -2.2804
WEIGHTS = {
    "has_side": 0.3815,
    "has_top": 0.4853,
    "is_corner": -0.6078,
    "lacks_size": -1.3171,
    "is_round": 2.7921,
    "is_box": 0.8194,
    "is_seat": -0.9334,
    "is_table": -0.8395,
    "is_thin": -0.7825,
    "is_soft": -1.0562,
}
CAPTURES = {
    "spin": {"plain": 0.35, "open": 0.10, "unknown": 0.23},
    "walk": {"plain": 0.11, "open": 0.11, "unknown": 0.08},
}
