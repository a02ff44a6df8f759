"""Benchmarks: each file measures one thing and gives a dict of figures; ratios count, absolute times are the machine's."""

import worker  # noqa: F401 - one thread for each library, as in a worker; before numpy comes
