"""Two one-sided t-tests (TOST): is a mean difference within a margin?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_INTERVALS = 2000  # of Simpson's rule


def student_t_above(t: float, freedom: int) -> float:
    """P(T > t) for Student's t with so many degrees of freedom."""
    # With t = sqrt(freedom) * tan(angle), the density becomes a power of a cosine on a finite range.
    angles = np.linspace(0.0, math.atan(abs(t) / math.sqrt(freedom)), _INTERVALS + 1)
    heights = np.cos(angles) ** (freedom - 1)
    weights = np.full(_INTERVALS + 1, 2.0)
    weights[1::2], weights[0], weights[-1] = 4.0, 1.0, 1.0
    area = float((heights * weights).sum() * (angles[1] - angles[0]) / 3.0)
    scale = math.exp(math.lgamma((freedom + 1) / 2.0) - math.lgamma(freedom / 2.0)) / math.sqrt(math.pi)
    tail = max(0.0, 0.5 - scale * area)
    return tail if t >= 0.0 else 1.0 - tail


def tost(differences: NDArray[np.float64], *, margin: float) -> float | None:
    """The p-value of "the mean difference is not within ±margin". If it is at most 0.05, the mean is within it.

    `differences` has one number for each scenario. None with fewer than three."""
    number = differences.size
    if number < 3:
        return None
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(number)
    if error == 0.0:
        return 0.0 if abs(mean) < margin else 1.0
    return max(
        student_t_above((mean + margin) / error, number - 1), student_t_above((margin - mean) / error, number - 1)
    )
