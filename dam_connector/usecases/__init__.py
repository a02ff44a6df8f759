"""The use cases: each public function is one use of the system by people, events or jobs.

Pages, API, command line and workers call these functions; none of them has logic of its own.
"""
