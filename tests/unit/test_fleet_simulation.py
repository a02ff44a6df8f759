"""The simulation of a fleet agrees with what can be calculated, and finds the part that holds it back."""

from dataclasses import replace

import pytest

from benchmarks.fleet_simulation import Costs, Fleet, bounds, simulate

COSTS = Costs(product_cpu_s=6.0, database_cpu_s=0.02, queue_s=0.001, row_s=0.02)
ENOUGH = Fleet(workers=32, database_cores=64, batches=8)


def test_one_worker_does_one_thing_after_the_other() -> None:
    one = replace(ENOUGH, workers=1, batches=1)
    made = simulate(one, COSTS, products=2000).products_an_hour
    assert made == pytest.approx(bounds(one, COSTS)["workers"], rel=0.04)


def test_workers_add_up_while_no_other_part_is_busy() -> None:
    few, many = (simulate(replace(ENOUGH, workers=n), COSTS, products=3000) for n in (8, 32))
    assert many.products_an_hour / few.products_an_hour == pytest.approx(4, rel=0.06)
    assert (few.ceiling, many.ceiling) == ("workers", "workers")


@pytest.mark.parametrize(
    ("part", "costs", "fleet"),
    [
        ("database", replace(COSTS, database_cpu_s=0.3), replace(ENOUGH, database_cores=2)),
        ("redis", replace(COSTS, queue_s=0.3), ENOUGH),
        ("batches", replace(COSTS, row_s=1.0), replace(ENOUGH, batches=1)),
    ],
)
def test_the_part_that_is_too_small_is_the_ceiling(part: str, costs: Costs, fleet: Fleet) -> None:
    outcome = simulate(fleet, costs)
    assert outcome.ceiling == part
    # Not only named: the fleet makes as much as that part can do, and no more.
    assert outcome.products_an_hour == pytest.approx(bounds(fleet, costs)[part], rel=0.12)
    assert min(bounds(fleet, costs), key=lambda each: bounds(fleet, costs)[each]) == part


def test_more_of_the_ceiling_moves_it_and_more_workers_do_not() -> None:
    costs, fleet = replace(COSTS, database_cpu_s=0.3), replace(ENOUGH, database_cores=2)
    before = simulate(fleet, costs).products_an_hour
    assert simulate(replace(fleet, workers=64), costs).products_an_hour == pytest.approx(before, rel=0.1)
    assert simulate(replace(fleet, database_cores=4), costs).products_an_hour > 1.7 * before


def test_a_fleet_needs_connections_for_each_worker() -> None:
    assert simulate(ENOUGH, COSTS).connections == 32 * 3 + 100


def test_the_same_seed_gives_the_same_figures() -> None:
    assert simulate(ENOUGH, COSTS) == simulate(ENOUGH, COSTS) != simulate(ENOUGH, COSTS, seed=2)
