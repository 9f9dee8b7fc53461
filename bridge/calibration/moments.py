"""Moments of plays, and the distance of two worlds in them: what a fit makes small.

A moment is the mean of one metric, in one part of a kind of play, over the services of one role. Whether an episode was
resolved, and what it was paid, are no moments: a fit must not learn to please the judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.recording import Phase, PlayKind, Recording, Role, role_of
from mirr.env.vocabulary import Feature, Service

Moments = NDArray[np.float64]  # (parts, roles, features); NaN where there is nothing

EARLY_STEPS = 2  # of a phase
LEAST_NOISE = 0.002  # in spreads of a metric
LEAST_FREEDOM = 10  # differences of plays within groups, to know a scatter

PARTS: tuple[tuple[Phase, bool], ...] = (
    (Phase.STEADY, True),
    (Phase.STEADY, False),
    (Phase.FAULT, True),
    (Phase.FAULT, False),
    (Phase.RESPONSE, True),
    (Phase.RESPONSE, False),
    (Phase.EPISODE, True),
    (Phase.EPISODE, False),
)
"""A phase, and whether it is its beginning or the rest."""


@dataclass(frozen=True)
class Group:
    """Plays that are pooled."""

    kind: PlayKind
    form: str
    action: str = ""  # of a probe
    role: str = ""  # of its target
    service: Service | None = None  # that is broken; None: any

    @classmethod
    def of(cls, recording: Recording, *, each_service: bool = False) -> Group:
        """The group of a play. With `each_service`, only plays with the same culprit are pooled."""
        play = recording.play
        role = "" if play.target_role is None else str(play.target_role)
        service = recording.culprit_service if each_service else None
        return cls(play.kind, recording.form, play.deed, role, service)


def moments(recording: Recording, scale: Mapping[str, float]) -> Moments:
    """The moments of one play, each metric divided by its spread. `up` is a metric, so what is missing counts too."""
    features = recording.features / np.array([scale[str(feature)] for feature in Feature])
    roles = [
        [row for row, service in enumerate(Service) if role_of(service, recording.culprit_service) is role]
        for role in Role
    ]
    found = np.full((len(PARTS), len(Role), len(Feature)), np.nan)
    for part, (phase, early) in enumerate(PARTS):
        if phase not in recording.phases:
            continue
        first = recording.first(phase)
        last = first + recording.phases.count(phase)
        middle = min(first + EARLY_STEPS, last)
        windows = features[first:middle] if early else features[middle:last]
        for role, rows in enumerate(roles):
            found[part, role] = _means(windows[:, rows].reshape(-1, len(Feature)))
    return found


def _means(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each column without missing values; NaN if there are no others."""
    known = ~np.isnan(rows)
    counts = known.sum(axis=0)
    sums = np.where(known, rows, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The moments of the plays that others are compared with."""

    keys: tuple[str, ...]
    groups: tuple[NDArray[np.int64], ...]  # for each group, the places of its plays
    moments: NDArray[np.float64]  # (plays, parts, roles, features)
    scale: Mapping[str, float]


def reference(recordings: Sequence[Recording], scale: Mapping[str, float], *, each_service: bool = False) -> Reference:
    """The moments of plays, each once. With `each_service`, only plays with the same culprit are pooled."""
    places: dict[Group, list[int]] = {}
    for place, recording in enumerate(recordings):
        places.setdefault(Group.of(recording, each_service=each_service), []).append(place)
    return Reference(
        keys=tuple(recording.play.key for recording in recordings),
        groups=tuple(np.array(group) for group in places.values()),
        moments=_stacked(moments(recording, scale) for recording in recordings),
        scale=scale,
    )


def _stacked(found: Iterable[Moments]) -> NDArray[np.float64]:
    each = list(found)
    return np.stack(each) if each else np.empty((0, len(PARTS), len(Role), len(Feature)))


def gaps(
    one: Reference, other: NDArray[np.float64], plays: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:  # (moments,)
    """How much larger each moment of a group is in `other`, which has the same plays. NaN where one of them is missing.

    `plays` counts how often each play is drawn; None: once."""
    weights = np.ones(len(one.keys)) if plays is None else plays.astype(np.float64)
    found = []
    for group in one.groups:
        w = weights[group][:, None, None, None]
        found.append(_weighted(other[group], w) - _weighted(one.moments[group], w))
    return np.concatenate([each.ravel() for each in found]) if found else np.empty(0)


def _weighted(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.where(np.isnan(values), 0.0, weights)
    total = known.sum(axis=0)
    sums = (np.nan_to_num(values) * known).sum(axis=0)
    return np.where(total > 0.0, sums / np.where(total > 0.0, total, 1.0), np.nan)


def noise(one: Reference, other: NDArray[np.float64]) -> NDArray[np.float64]:  # (moments,)
    """How far each moment of `gaps` is off by chance: what remains of the differences of single plays, within groups.

    All groups together tell the scatter of a metric in a part and a role; a group of more plays has less of it."""
    squares = np.zeros(one.moments.shape[1:])
    freedom = np.zeros(one.moments.shape[1:])
    for group in one.groups:
        apart = other[group] - one.moments[group]
        known = ~np.isnan(apart)
        count = known.sum(axis=0)
        mean = np.where(known, apart, 0.0).sum(axis=0) / np.maximum(count, 1)
        squares += np.where(known, (apart - mean) ** 2, 0.0).sum(axis=0)
        freedom += np.maximum(count - 1, 0)
    scatter = np.sqrt(squares / np.maximum(freedom, 1))
    # Where too few plays are alike, a metric scatters as it does elsewhere.
    elsewhere = np.sqrt(squares.sum(axis=(0, 1)) / np.maximum(freedom.sum(axis=(0, 1)), 1))
    scatter = np.maximum(np.where(freedom >= LEAST_FREEDOM, scatter, elsewhere), LEAST_NOISE)
    return np.concatenate([(scatter / np.sqrt(len(group))).ravel() for group in one.groups])


def misfit(found: NDArray[np.float64], scatter: NDArray[np.float64]) -> float | None:
    """How unlikely gaps are by chance: what a search makes small. None if there is no gap.

    It grows only slowly with a large gap: what the simulator cannot do at all must not bend everything else."""
    known = ~np.isnan(found)
    return float(np.log1p((found[known] / scatter[known]) ** 2).mean()) if known.any() else None


def loss(found: NDArray[np.float64]) -> float | None:
    """The mean size of gaps, in spreads of a metric; None if there is none."""
    known = found[~np.isnan(found)]
    return float(np.abs(known).mean()) if known.size else None
