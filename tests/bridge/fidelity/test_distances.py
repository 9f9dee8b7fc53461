"""Distances between samples: known values, and what must hold for every sample."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mirr.bridge.fidelity.distances import Sample, kolmogorov_smirnov, spread, wasserstein

NAN = math.nan


def array(*values: float) -> Sample:
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
def test_wasserstein_is_the_area_between_the_distribution_functions(a: Sample, b: Sample, distance: float) -> None:
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
def test_kolmogorov_smirnov_is_the_largest_difference(a: Sample, b: Sample, distance: float) -> None:
    assert kolmogorov_smirnov(a, b) == pytest.approx(distance)


def drawn(seed: int) -> tuple[Sample, Sample]:
    """Two samples of up to 12 whole numbers, in which some come more than once."""
    rng = np.random.default_rng(seed)
    first, second = (rng.integers(-20, 20, size=rng.integers(1, 13)).astype(np.float64) for _ in range(2))
    return first, second


@pytest.mark.parametrize("seed", range(50))
def test_wasserstein_is_the_mean_difference_of_the_quantiles(seed: int) -> None:
    a, b = drawn(seed)
    # Each value as often as the other sample has values: now both have the same size.
    repeated = np.abs(np.sort(np.repeat(a, b.size)) - np.sort(np.repeat(b, a.size))).mean()
    assert wasserstein(a, b) == pytest.approx(float(repeated))


@pytest.mark.parametrize("seed", range(20))
def test_a_shift_of_both_samples_changes_no_distance(seed: int) -> None:
    a, b = drawn(seed)
    assert wasserstein(a + 7.0, b + 7.0) == pytest.approx(wasserstein(a, b))
    assert kolmogorov_smirnov(a + 7.0, b + 7.0) == pytest.approx(kolmogorov_smirnov(a, b))


def test_a_sample_without_values_has_no_distance() -> None:
    assert wasserstein(array(), array(1.0)) is None
    assert wasserstein(array(NAN), array(1.0)) is None
    assert kolmogorov_smirnov(array(1.0), array(NAN)) is None


def test_a_spread_leaves_out_the_outermost_values_unless_all_others_are_equal() -> None:
    assert spread(np.arange(1001.0)) == pytest.approx(950.0)
    assert spread(array(*[1.0] * 99, 0.0)) == 1.0
    assert spread(array(3.0, 3.0)) == 1.0
    assert spread(array(NAN)) == 1.0
