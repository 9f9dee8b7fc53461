"""Percentile intervals from a bootstrap over clusters: what depends on each other is drawn together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from mirr.bridge.fidelity.figure import Figure

LEVEL = 0.95

T = TypeVar("T")


def percentile_interval(values: Iterable[float | None], level: float = LEVEL) -> tuple[float, float] | None:
    """The middle `level` of the values that are defined; None if none is."""
    defined = [value for value in values if value is not None and math.isfinite(value)]
    if not defined:
        return None
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(defined, [tail, 100.0 - tail])
    return float(low), float(high)


def clusters(items: Iterable[T], cluster_of: Callable[[T], str]) -> list[list[T]]:
    """The items, those of one cluster together."""
    found: dict[str, list[T]] = {}
    for item in items:
        found.setdefault(cluster_of(item), []).append(item)
    return list(found.values())


def bootstrapped(
    items: Sequence[T],
    statistic: Callable[[Sequence[T]], float | None],
    *,
    cluster_of: Callable[[T], str],
    draws: int,
    rng: np.random.Generator,
    distance: bool = False,
) -> Figure:
    """The statistic of the items, with the interval that it has over samples of their clusters.

    A sample has some clusters twice, which makes every `distance` of distributions larger. So its interval is moved by
    as much as the mean of the samples is larger than the statistic. `draws` may be 0: then there is no interval."""
    value = statistic(items) if items else None
    if value is None:
        return Figure(value=None, of=len(items))
    grouped = clusters(items, cluster_of)
    drawn = [
        statistic([item for place in rng.integers(len(grouped), size=len(grouped)) for item in grouped[place]])
        for _ in range(draws)
    ]
    interval = percentile_interval(drawn)
    if interval is None:
        return Figure(value=value, of=len(items))
    low, high = interval
    if distance:
        moved = value - float(np.mean([one for one in drawn if one is not None]))
        low, high = max(0.0, low + moved), high + moved
    return Figure(value=value, low=low, high=high, of=len(items))
