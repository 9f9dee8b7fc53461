"""Distances between two samples of one number: Wasserstein-1 and Kolmogorov-Smirnov. Missing values are left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sample = NDArray[np.float64]  # (values,); NaN is a missing value


def wasserstein(a: Sample, b: Sample) -> float | None:
    """The area between the two distribution functions, in the unit of the values. None if one sample is empty."""
    a, b = _sorted(a), _sorted(b)
    if not a.size or not b.size:
        return None
    if a.size == b.size:
        return float(np.abs(a - b).mean())
    values = np.sort(np.concatenate((a, b)))
    difference = np.abs(_share_up_to(a, values[:-1]) - _share_up_to(b, values[:-1]))
    return float((difference * np.diff(values)).sum())


def kolmogorov_smirnov(a: Sample, b: Sample) -> float | None:
    """The largest difference between the two distribution functions, 0..1. None if one sample is empty."""
    a, b = _sorted(a), _sorted(b)
    if not a.size or not b.size:
        return None
    values = np.concatenate((a, b))
    return float(np.abs(_share_up_to(a, values) - _share_up_to(b, values)).max())


def spread(values: Sample) -> float:
    """The range from the 2.5 to the 97.5% quantile, by which a metric is divided to be compared with others.

    If nearly all values are the same, it is the whole range; if all are, it is 1."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return 1.0
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(high - low) or float(np.ptp(defined)) or 1.0


def _sorted(values: Sample) -> Sample:
    found = np.sort(values)  # NaN comes last
    return found[: found.size - int(np.isnan(found).sum())]


def _share_up_to(ordered: Sample, values: Sample) -> Sample:
    """The distribution function of a sample at some values."""
    return np.searchsorted(ordered, values, side="right") / ordered.size
