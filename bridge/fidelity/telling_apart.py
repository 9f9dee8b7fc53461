"""Can a classifier tell the worlds apart from a single observation, as an agent sees it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.fidelity.bootstrap import percentile_interval
from mirr.bridge.fidelity.classifier import Boosting, auc, held_out_scores
from mirr.bridge.fidelity.figure import Figure
from mirr.bridge.fidelity.pairs import Pair
from mirr.bridge.recording import Recording
from mirr.env.dice import noise_factors
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import Feature


@dataclass(frozen=True, kw_only=True, eq=False)
class Observations:
    """The windows of both sides, with observation noise."""

    values: NDArray[np.float64]  # (windows, services, features)
    other: NDArray[np.bool_]  # (windows,), whether it is of the pair's other side
    group: NDArray[np.int64]  # (windows,), the number of what was played


def observations(pairs: Sequence[Pair], rng: np.random.Generator) -> Observations | None:
    """The windows that both sides of each pair have; None without pairs."""
    if not pairs:
        return None
    numbers = {name: number for number, name in enumerate(dict.fromkeys(pair.name for pair in pairs))}
    values, other, group = [], [], []
    for pair in pairs:
        steps = min(pair.reference.steps, pair.other.steps)
        for recording, is_other in ((pair.reference, False), (pair.other, True)):
            values.append(_noisy(recording, rng)[:steps])
            other.append(np.full(steps, is_other))
            group.append(np.full(steps, numbers[pair.name], dtype=np.int64))
    return Observations(values=np.concatenate(values), other=np.concatenate(other), group=np.concatenate(group))


def _noisy(recording: Recording, rng: np.random.Generator) -> NDArray[np.float64]:
    """What an agent would have seen. Each recording has noise of its own, or equal noise would show equal values."""
    key = int(rng.integers(2**63))
    return recording.features * noise_factors(key, recording.steps, EpisodeConfig().noise)


def told_apart(
    seen: Observations | None,
    features: Sequence[Feature],
    *,
    draws: int,
    rng: np.random.Generator,
    boosting: Boosting | None = None,
) -> Figure:
    """The AUC of a classifier that sees these features of all services, on plays that it was not trained with."""
    if seen is None:
        return Figure(value=None)
    columns = [list(Feature).index(feature) for feature in features]
    values = seen.values[:, :, columns].reshape(len(seen.values), -1)
    scores = held_out_scores(values, seen.other, seen.group, rng, boosting)
    groups = int(seen.group.max()) + 1
    if scores is None:
        return Figure(value=None, of=groups)
    drawn = []
    for _ in range(draws):
        times = np.bincount(rng.integers(groups, size=groups), minlength=groups).astype(np.float64)
        drawn.append(auc(scores, seen.other, times[seen.group]))
    low, high = percentile_interval(drawn) or (None, None)
    return Figure(value=auc(scores, seen.other), low=low, high=high, of=groups)
