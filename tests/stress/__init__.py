import pytest

pytest.register_assert_rewrite(
    "tests.stress.invariants", "tests.stress.scenarios", "tests.stress.paid_scenarios"
)
