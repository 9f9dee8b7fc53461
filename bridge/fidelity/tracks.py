"""Metrics of probes over time: the mean of each role, and how far the means of two worlds are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.fidelity.health import course, onset
from mirr.bridge.fidelity.pairs import Pair
from mirr.bridge.fidelity.samples import USER_SLI, USERS, user_sli
from mirr.bridge.recording import Phase, Recording, Role, role_of
from mirr.env.vocabulary import Feature, Service

COLUMNS: tuple[tuple[str, str], ...] = (
    *((str(role), str(feature)) for role in Role for feature in Feature),
    (USERS, USER_SLI),
)
"""Role and metric of each column of a track."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracks:
    """A pair's tracks from the onset on, each metric divided by its spread."""

    pair: Pair
    reference: NDArray[np.float64]  # (steps, columns)
    other: NDArray[np.float64]


def mean_of_defined(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The mean without missing values; missing where all are."""
    defined = ~np.isnan(values)
    count, total = defined.sum(axis=axis), np.where(defined, values, 0.0).sum(axis=axis)
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def track(recording: Recording) -> NDArray[np.float64]:  # (steps, columns)
    """The mean of each metric over the services of each role, and the users' SLI."""
    parts = []
    for role in Role:
        rows = [row for row, service in enumerate(Service) if role_of(service, recording.culprit_service) is role]
        parts.append(mean_of_defined(recording.features[:, rows], axis=1))
    return np.concatenate([*parts, user_sli(recording)[:, None]], axis=1)


def from_onset(recording: Recording, scale: Mapping[str, float]) -> NDArray[np.float64]:  # (steps, columns)
    """The track from the first symptom on; from the injection on if there was none. Missing where it is over."""
    injected = recording.first(Phase.FAULT)
    begin = injected + (onset(course(recording)) or 0)
    found = np.full((recording.steps - injected, len(COLUMNS)), np.nan)
    values = track(recording)[begin:] / np.array([scale[metric] for _, metric in COLUMNS])
    found[: len(values)] = values
    return found


def tracks(pairs: Sequence[Pair], scale: Mapping[str, float]) -> list[Tracks]:
    """The tracks of probes."""
    return [
        Tracks(pair=pair, reference=from_onset(pair.reference, scale), other=from_onset(pair.other, scale))
        for pair in pairs
    ]


def mean_rmse(compared: Sequence[Tracks]) -> float | None:
    """The root mean square difference of the two worlds' mean tracks, over time; the mean over forms, roles and
    metrics. None if nothing is defined in both."""
    grouped: dict[tuple[str, int], list[Tracks]] = {}
    for one in compared:
        grouped.setdefault((one.pair.reference.form, one.pair.stratum), []).append(one)
    found: list[NDArray[np.float64]] = []
    for group in grouped.values():
        a = mean_of_defined(np.stack([one.reference for one in group]), axis=0)
        b = mean_of_defined(np.stack([one.other for one in group]), axis=0)
        found.append(np.sqrt(mean_of_defined((a - b) ** 2, axis=0)))
    values = np.concatenate(found) if found else np.empty(0)
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None
