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

    @classmethod
    def of(cls, recording: Recording) -> Group:
        """The group of a play."""
        play = recording.play
        return cls(play.kind, recording.form, play.deed, "" if play.target_role is None else str(play.target_role))


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


def reference(recordings: Sequence[Recording], scale: Mapping[str, float]) -> Reference:
    """The moments of plays, each once."""
    places: dict[Group, list[int]] = {}
    for place, recording in enumerate(recordings):
        places.setdefault(Group.of(recording), []).append(place)
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


def loss(found: NDArray[np.float64]) -> float | None:
    """The mean size of gaps, in spreads of a metric; None if there is none."""
    known = found[~np.isnan(found)]
    return float(np.abs(known).mean()) if known.size else None
