"""Windows of recordings as samples: one for each metric, form and role, in comparable units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.fidelity.distances import Sample, spread
from mirr.bridge.fidelity.pairs import Pair
from mirr.bridge.recording import Phase, PlayKind, Recording, Role, role_of
from mirr.env.vocabulary import Feature, Service

USERS = "users"
"""The role of the users, beside the roles of services."""

USER_SLI = "user_sli"

METRICS: tuple[str, ...] = (*map(str, Feature), USER_SLI)

ROLES: tuple[str, ...] = (*map(str, Role), USERS)

Distance = Callable[[Sample, Sample], float | None]


@dataclass(frozen=True, order=True)
class Cell:
    """One sample that is compared."""

    form: str
    role: str
    metric: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Sides:
    """A pair's samples: for each role an array (windows * services, metrics), each metric divided by its spread."""

    pair: Pair
    reference: Mapping[str, NDArray[np.float64]]
    other: Mapping[str, NDArray[np.float64]]


def user_sli(recording: Recording) -> NDArray[np.float64]:  # (steps,)
    """The users' SLI of each window."""
    return np.array([snapshot.user_sli for snapshot in recording.snapshots])


def sampled_steps(recording: Recording) -> slice:
    """The windows that count: all of steady state, and those of a probe from the injection on."""
    first = recording.first(Phase.FAULT) if recording.play.kind is PlayKind.PROBE else 0
    return slice(first, recording.steps)


def spreads(recordings: Iterable[Recording]) -> dict[str, float]:
    """By what each metric is divided: its spread over the probes of all faults and all services."""
    probes = [one for one in recordings if one.play.kind is PlayKind.PROBE]
    if not probes:
        return dict.fromkeys(METRICS, 1.0)
    features = np.concatenate([one.features[sampled_steps(one)].reshape(-1, len(Feature)) for one in probes])
    users = np.concatenate([user_sli(one)[sampled_steps(one)] for one in probes])
    found = {str(feature): spread(features[:, place]) for place, feature in enumerate(Feature)}
    return found | {USER_SLI: spread(users)}


def samples(recording: Recording, scale: Mapping[str, float]) -> dict[str, NDArray[np.float64]]:
    """The samples of a recording, by role. The users' has one column."""
    steps = sampled_steps(recording)
    features = recording.features[steps] / np.array([scale[feature] for feature in Feature])
    found = {}
    for role in Role:
        rows = [row for row, service in enumerate(Service) if role_of(service, recording.culprit_service) is role]
        found[str(role)] = features[:, rows].reshape(-1, len(Feature))
    return found | {USERS: (user_sli(recording)[steps] / scale[USER_SLI])[:, None]}


def sides(pairs: Iterable[Pair], scale: Mapping[str, float]) -> list[Sides]:
    """The samples of steady state and of probes."""
    return [
        Sides(pair=pair, reference=samples(pair.reference, scale), other=samples(pair.other, scale))
        for pair in pairs
        if pair.kind in (PlayKind.STEADY, PlayKind.PROBE)
    ]


def cell_distances(compared: Sequence[Sides], distance: Distance) -> dict[Cell, float]:
    """The distance in each cell: the plays of one stratum are pooled, and the mean is taken over strata."""
    grouped: dict[tuple[str, int], list[Sides]] = {}
    for one in compared:
        grouped.setdefault((one.pair.reference.form, one.pair.stratum), []).append(one)
    found: dict[Cell, list[float]] = {}
    for (form, _), group in grouped.items():
        for role in ROLES:
            a = np.concatenate([one.reference[role] for one in group])
            b = np.concatenate([one.other[role] for one in group])
            for column, metric in enumerate((USER_SLI,) if role == USERS else map(str, Feature)):
                value = distance(a[:, column], b[:, column])
                if value is not None:
                    found.setdefault(Cell(form, role, metric), []).append(value)
    return {cell: sum(values) / len(values) for cell, values in found.items()}


def mean_distance(compared: Sequence[Sides], distance: Distance) -> float | None:
    """The mean over all cells; None if there is none."""
    found = cell_distances(compared, distance).values()
    return sum(found) / len(found) if found else None


def missing_gap(compared: Sequence[Sides]) -> float | None:
    """The mean over forms and roles of the difference between the shares of missing values."""
    column = list(Feature).index(Feature.LATENCY_P95_S)  # a service that could not be scraped misses all but `up`

    def gap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float | None:
        return abs(float(a.mean()) - float(b.mean())) if a.size and b.size else None

    grouped: dict[tuple[str, str], list[Sides]] = {}
    for one in compared:
        for role in Role:
            grouped.setdefault((one.pair.reference.form, str(role)), []).append(one)
    gaps = [
        gap(
            np.isnan(np.concatenate([one.reference[role][:, column] for one in group])),
            np.isnan(np.concatenate([one.other[role][:, column] for one in group])),
        )
        for (_, role), group in grouped.items()
    ]
    defined = [value for value in gaps if value is not None]
    return sum(defined) / len(defined) if defined else None
