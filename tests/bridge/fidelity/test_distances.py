"""Distances between samples: known values, and what must hold for every sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirr.bridge.fidelity.distances import kolmogorov_smirnov, spread, wasserstein

NAN = math.nan

numbers = st.lists(st.integers(-50, 50), min_size=1, max_size=12).map(lambda drawn: np.array(drawn, dtype=float))


def array(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        (array(0.0, 1.0, 3.0), array(5.0, 6.0, 8.0), 5.0),
        (array(0.0, 0.0, 1.0), array(0.0, 1.0, 1.0), 1.0 / 3.0),
        (array(0.0), array(0.0, 1.0), 0.5),
        (array(0.0, 2.0), array(1.0), 1.0),
        (array(1.0, NAN, 3.0), array(3.0, 1.0), 0.0),
        (array(0.0, 1.0, 2.0, 3.0), array(0.5, 4.0, 1.5), 0.75),
    ],
)
def test_wasserstein_is_the_area_between_the_distribution_functions(
    a: np.ndarray[tuple[int], np.dtype[np.float64]], b: np.ndarray[tuple[int], np.dtype[np.float64]], distance: float
) -> None:
    assert wasserstein(a, b) == pytest.approx(distance)
    assert wasserstein(b, a) == pytest.approx(distance)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        (array(1.0, 2.0), array(3.0, 4.0), 1.0),
        (array(1.0, 2.0, 3.0, 4.0), array(3.0, 4.0, 5.0, 6.0), 0.5),
        (array(1.0, 1.0, 2.0), array(1.0, 2.0, 2.0), 1.0 / 3.0),
        (array(1.0, NAN), array(1.0), 0.0),
    ],
)
def test_kolmogorov_smirnov_is_the_largest_difference(
    a: np.ndarray[tuple[int], np.dtype[np.float64]], b: np.ndarray[tuple[int], np.dtype[np.float64]], distance: float
) -> None:
    assert kolmogorov_smirnov(a, b) == pytest.approx(distance)


@given(numbers, numbers)
def test_wasserstein_is_the_mean_difference_of_the_quantiles(
    a: np.ndarray[tuple[int], np.dtype[np.float64]], b: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> None:
    # Each value as often as the other sample has values: now both have the same size.
    repeated = np.abs(np.sort(np.repeat(a, b.size)) - np.sort(np.repeat(b, a.size))).mean()
    assert wasserstein(a, b) == pytest.approx(float(repeated))


@given(numbers, numbers, st.integers(-9, 9))
def test_a_shift_of_both_samples_changes_no_distance(
    a: np.ndarray[tuple[int], np.dtype[np.float64]],
    b: np.ndarray[tuple[int], np.dtype[np.float64]],
    shift: int,
) -> None:
    assert wasserstein(a + shift, b + shift) == pytest.approx(wasserstein(a, b))
    assert kolmogorov_smirnov(a + shift, b + shift) == pytest.approx(kolmogorov_smirnov(a, b))


def test_a_sample_without_values_has_no_distance() -> None:
    assert wasserstein(array(), array(1.0)) is None
    assert wasserstein(array(NAN), array(1.0)) is None
    assert kolmogorov_smirnov(array(1.0), array(NAN)) is None


def test_a_spread_leaves_out_the_outermost_values_unless_all_others_are_equal() -> None:
    assert spread(np.arange(1001.0)) == pytest.approx(950.0)
    assert spread(array(*[1.0] * 99, 0.0)) == 1.0
    assert spread(array(3.0, 3.0)) == 1.0
    assert spread(array(NAN)) == 1.0
