"""Parts of the benchmarks that fail quietly: their rules, their plots, the costs that a simulation reads."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import ndimage

from benchmarks import scale
from benchmarks.bulk_throughput import rules_of_one_each
from benchmarks.cutout_probability import boundary_agreement
from benchmarks.library_time import LibraryTime
from benchmarks.scene_sheet import CELL_WIDTH, Entry, pages, unflagged
from benchmarks.svg_plot import line_plot
from schemas.rules_loader import load_rules

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = json.loads(scale.FIGURES.read_text())


def test_the_rules_of_benchmarks_are_valid_and_make_one_of_each() -> None:
    rules = load_rules(json.dumps(rules_of_one_each()))
    assert {d.name: d.count for d in rules.deliverables} == {"packshot": 1, "lifestyle": 1, "model": 1}


def test_a_plot_is_svg_with_its_points_where_they_belong() -> None:
    svg = ElementTree.fromstring(
        line_plot("a < b", "x", "y", {"up & down": [(1, 10), (10, 1000), (100, 10)]})
    )
    circles = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in svg.iter(f"{SVG}circle")]
    (x1, y1), (x2, y2), (x3, y3) = circles
    assert x2 - x1 == pytest.approx(x3 - x2)  # a logarithmic axis
    assert y1 == y3 > y2  # more is higher
    texts = [text.text for text in svg.iter(f"{SVG}text")]
    assert {"a < b", "up & down", "1", "10", "100"} <= set(texts)


@pytest.mark.parametrize("points", [[], [(0, 1)], [(1, -1)]])
def test_a_plot_without_points_or_logarithms_is_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="above zero"):
        line_plot("a", "x", "y", {"b": points})


def test_the_stored_figures_are_those_of_the_plots_and_of_the_page() -> None:
    for name, svg in scale.plots(FIGURES).items():
        assert (scale.IMAGES / name).read_text() == svg
    page = (Path(scale.IMAGES).parent / "scaling.md").read_text()
    for fleet in FIGURES["fleets"].values():
        assert all(f"{each['products_an_hour']:,}" in page for each in fleet.values())


def test_a_pooler_saves_the_begin_of_a_connection_and_never_all_of_the_database() -> None:
    costs = scale.costs_of(FIGURES)
    assert 0 < scale.pooled(costs, FIGURES).database_cpu_s < costs.database_cpu_s
    free = {**FIGURES, "empty_job": {**FIGURES["empty_job"], "database_cpu_ms": 10_000}}
    assert scale.pooled(costs, free).database_cpu_s > 0


def test_time_within_libraries_counts_inner_calls_once_and_leaves_no_trace() -> None:
    clock, original = LibraryTime(), ndimage.gaussian_filter
    outer = clock.timed("outer", lambda: ndimage.gaussian_filter(np.ones((200, 200)), 9))
    with clock.watching():
        outer()
    assert ndimage.gaussian_filter is original
    assert clock.calls["outer"] == 1 and clock.calls["filters (SciPy)"] >= 1
    assert clock.seconds["outer"] >= 0 and not clock._inner


def test_a_sheet_of_scenes_shows_each_photo_left_of_its_picture_and_counts_those_without_a_flag() -> None:
    photo, scene = np.full((90, 60, 3), 10, np.uint8), np.full((100, 80, 3), 200, np.uint8)
    entries = [
        Entry(name=f"p{n}", half=half, photo=photo, picture=scene, facts="plinth, stands", flags=flags)
        for n, (half, flags) in enumerate([("A", ()), ("A", ("cutout.cropped",)), ("B", ()), ("B", ())] * 2)
    ]
    assert unflagged(entries) == {"A": "2 of 4", "B": "4 of 4"}
    first, second = pages(entries)
    assert first.shape == second.shape
    row = first[200]
    assert row[CELL_WIDTH // 2, 0] == 10 and row[CELL_WIDTH + CELL_WIDTH // 2, 0] == 200


def test_outlines_that_end_near_the_frame_are_met_by_a_mask_that_goes_on_to_it() -> None:
    truth, found, none = (np.zeros((200, 200), np.uint8) for _ in range(3))
    truth[3:, 50:150], found[:, 50:150] = 1, 1
    assert boundary_agreement(found, truth, none > 0) > 0.99
    found[:, 50:70] = 0
    assert boundary_agreement(found, truth, none > 0) < 0.8
    everywhere = np.ones((200, 200), bool)
    everywhere[:, 148:] = False  # nearly all of the outline does not count
    assert boundary_agreement(found, truth, everywhere) > 0.99
