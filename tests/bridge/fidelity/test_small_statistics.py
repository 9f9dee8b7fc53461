"""Kappa, the t-distribution, equivalence tests, and bootstrap intervals: known values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mirr.bridge.fidelity.agreement import cohens_kappa
from mirr.bridge.fidelity.bootstrap import bootstrapped, percentile_interval
from mirr.bridge.fidelity.equivalence import student_t_above, tost


def test_kappa_has_its_known_values() -> None:
    # Two readers of 50 applications: they agree on 20 to accept and 15 to refuse.
    one = ["yes"] * 20 + ["yes"] * 5 + ["no"] * 10 + ["no"] * 15
    two = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohens_kappa(reference=one, other=two) == pytest.approx(0.4)
    assert cohens_kappa(reference=list("aabb"), other=list("aabb")) == 1.0
    assert cohens_kappa(reference=list("aabb"), other=list("abab")) == 0.0


def test_kappa_is_not_defined_where_chance_explains_everything() -> None:
    assert cohens_kappa(reference=["a", "a"], other=["a", "a"]) is None
    assert cohens_kappa(reference=[], other=[]) is None


def test_kappa_needs_pairs() -> None:
    with pytest.raises(ValueError, match="kappa needs pairs of ratings; got 1 and 2"):
        cohens_kappa(reference=["a"], other=["a", "b"])


@pytest.mark.parametrize(
    ("t", "freedom", "tail"),
    [
        # From the tables of the t-distribution.
        (0.0, 5, 0.5),
        (6.313751514675041, 1, 0.05),
        (2.2281388519649385, 10, 0.025),
        (1.6972608943617378, 30, 0.05),
        (-1.6972608943617378, 30, 0.95),
        (2.6259050752640393, 100, 0.005),
    ],
)
def test_the_tail_of_students_t(t: float, freedom: int, tail: float) -> None:
    assert student_t_above(t, freedom) == pytest.approx(tail, abs=1e-6)


def test_a_small_difference_is_equivalent_and_a_large_one_is_not() -> None:
    near = np.array([0.02, -0.03, 0.01, 0.0, 0.04, -0.02, 0.01, -0.01])
    p = tost(near, margin=0.1)
    assert p is not None
    assert p < 0.001
    assert tost(near + 0.1, margin=0.1) == pytest.approx(0.5, abs=0.2)
    far = tost(near + 0.3, margin=0.1)
    assert far is not None
    assert far > 0.999


def test_a_wide_scatter_around_zero_is_not_equivalent() -> None:
    p = tost(np.array([1.0, -1.0, 1.0, -1.0]), margin=0.1)
    assert p is not None
    assert p > 0.3


def test_differences_that_are_all_the_same_need_no_test() -> None:
    assert tost(np.zeros(5), margin=0.1) == 0.0
    assert tost(np.full(5, 0.25), margin=0.1) == 1.0
    assert tost(np.zeros(2), margin=0.1) is None


def mean(items: Sequence[tuple[str, float]]) -> float | None:
    return sum(value for _, value in items) / len(items)


@pytest.mark.thorough
def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    rng = np.random.default_rng(0)
    items = [(str(place), float(value)) for place, value in enumerate(rng.normal(size=400))]
    figure = bootstrapped(items, mean, cluster_of=lambda item: item[0], draws=2000, rng=rng)
    assert figure.value is not None
    assert figure.low == pytest.approx(figure.value - 1.96 / 20, abs=0.015)
    assert figure.high == pytest.approx(figure.value + 1.96 / 20, abs=0.015)


def test_what_depends_on_each_other_is_drawn_together() -> None:
    rng = np.random.default_rng(0)
    items = [(str(place // 100), float(place // 100)) for place in range(400)]  # four clusters of a hundred
    alone = bootstrapped(items, mean, cluster_of=lambda item: str(id(item)), draws=200, rng=rng)
    together = bootstrapped(items, mean, cluster_of=lambda item: item[0], draws=200, rng=rng)
    assert alone.low is not None
    assert together.low is not None
    assert together.low < alone.low - 0.3


def test_the_interval_of_a_distance_lies_around_it() -> None:
    rng = np.random.default_rng(0)
    items = [(str(place), float(value)) for place, value in enumerate(rng.normal(size=60))]

    def largest_gap(some: Sequence[tuple[str, float]]) -> float | None:
        # Repeated values leave larger gaps between the others.
        return float(np.diff(np.sort([value for _, value in some])).mean() + len(items) / len(set(some)))

    plain = bootstrapped(items, largest_gap, cluster_of=lambda item: item[0], draws=200, rng=rng)
    moved = bootstrapped(items, largest_gap, cluster_of=lambda item: item[0], draws=200, rng=rng, distance=True)
    assert plain.value is not None
    assert plain.low is not None
    assert moved.low is not None
    assert moved.high is not None
    assert plain.low > plain.value
    assert moved.low < plain.value < moved.high


def test_without_items_there_is_no_figure_and_without_draws_no_interval() -> None:
    rng = np.random.default_rng(0)
    assert bootstrapped([], mean, cluster_of=lambda item: item[0], draws=5, rng=rng).value is None
    figure = bootstrapped([("a", 1.0)], mean, cluster_of=lambda item: item[0], draws=0, rng=rng)
    assert (figure.value, figure.low, figure.high, figure.of) == (1.0, None, None, 1)


def test_draws_that_are_not_defined_are_left_out_of_an_interval() -> None:
    assert percentile_interval([None, 1.0, float("nan"), 1.0]) == (1.0, 1.0)
    assert percentile_interval([None]) is None
