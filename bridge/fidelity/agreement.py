"""Agreement of two raters on classes: Cohen's kappa."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def cohens_kappa(*, reference: Sequence[str], other: Sequence[str]) -> float | None:
    """(observed - expected) / (1 - expected) agreement; 1 is agreement in everything, 0 is what chance gives.

    None without ratings, and where both give all of them the same class: chance then explains everything."""
    if len(reference) != len(other):
        raise ValueError(f"kappa needs pairs of ratings; got {len(reference)} and {len(other)}")
    number = len(reference)
    if not number:
        return None
    observed = sum(one == two for one, two in zip(reference, other, strict=True)) / number
    ones, twos = Counter(reference), Counter(other)
    expected = sum(ones[name] * twos[name] for name in ones) / number**2
    return None if expected >= 1.0 else (observed - expected) / (1.0 - expected)
