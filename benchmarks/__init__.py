"""Benchmarks: each module measures one thing and returns its figures.

Ratios count; absolute times depend on the machine.
"""

import worker  # noqa: F401 - limits each library to one thread, as in a worker; must precede numpy
