"""Weights of the forecast of models. Written by benchmarks/model_forecast.py."""

INTERCEPT = -2.2984
WEIGHTS = {
    "has_side": 0.3939,
    "has_top": 0.4890,
    "is_corner": -0.6021,
    "lacks_size": -1.3841,
    "is_round": 2.8091,
    "is_box": 0.8151,
    "is_seat": -0.9391,
    "is_table": -0.8425,
    "is_thin": -0.7821,
    "is_soft": -1.0605,
}
CAPTURES = {
    "spin": {"plain": 0.31, "open": 0.11, "unknown": 0.23},
    "walk": {"plain": 0.11, "open": 0.11, "unknown": 0.08},
}
