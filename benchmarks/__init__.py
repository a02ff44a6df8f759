"""Benchmarks: each file measures one thing and gives a dict of figures; ratios count, absolute times are the machine's."""
