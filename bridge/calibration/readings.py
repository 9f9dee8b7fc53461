"""What a play tells about parameters: a few rows of numbers, or none. Nothing here knows a parameter.

Columns are in the units of the features. A service is written as its row in the features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.collect_plays import ProbePace
from mirr.bridge.recording import Phase, PlayKind, Recording
from mirr.env.forms import form_name
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.vocabulary import Fault, FaultMode, Feature, Restart, Service

Rows = NDArray[np.float64]  # (rows, columns)

STEP_S = ProbePace().step_s
IDLE_RATE_PER_S = 0.5  # below it, a service has nothing to do
STEADY_FEATURES = (Feature.REQUEST_RATE, Feature.CPU_SHARE, Feature.MEMORY_SHARE, Feature.LATENCY_P95_S)

_UP, _RATE, _ERRORS = (FEATURE_COLUMN[each] for each in (Feature.UP, Feature.REQUEST_RATE, Feature.ERROR_RATIO))
_CPU, _MEMORY = FEATURE_COLUMN[Feature.CPU_SHARE], FEATURE_COLUMN[Feature.MEMORY_SHARE]


def nothing(columns: int) -> Rows:
    """No row."""
    return np.empty((0, columns))


def steady(recording: Recording) -> Rows:
    """A row for each window before anything happens: for each service rate, CPU share, memory share and p95."""
    windows = [phase is Phase.STEADY for phase in recording.phases]
    columns = [FEATURE_COLUMN[feature] for feature in STEADY_FEATURES]
    rows = recording.features[windows][:, :, columns].reshape(-1, len(Service) * len(columns))
    return _whole(rows)


def idle(recording: Recording) -> Rows:
    """The CPU shares of services to which nobody sends anything, because the gateway is killed."""
    if not _broken(recording, FaultMode.CRASHED, "killed", Service.GATEWAY):
        return nothing(1)
    features = recording.features[recording.first(Phase.FAULT) + 1 : recording.first(Phase.RESPONSE)]
    quiet = (features[:, :, _UP] == 1.0) & (features[:, :, _RATE] < IDLE_RATE_PER_S)
    shares = features[:, :, _CPU][quiet]
    return _whole(shares.reshape(-1, 1))


def boot(recording: Recording) -> Rows:
    """A restart of a service that nothing slows down: service, windows until it answers, and its CPU share and rate in
    that window, which begin with the process."""
    play = recording.play
    if not isinstance(play.action, Restart) or play.fault is None:
        return nothing(4)
    culprit = play.action.service is play.fault.service
    if culprit and play.fault.mode is not FaultMode.CRASHED:
        return nothing(4)
    return _first_up(recording, play.action.service)


def _first_up(recording: Recording, service: Service) -> Rows:
    row, acted = SERVICE_ROW[service], recording.first(Phase.RESPONSE)
    for step in range(acted, recording.steps):
        seen = recording.features[step, row]
        if seen[_UP] == 1.0 and not np.isnan(seen[_CPU]):
            return np.array([[row, step - acted + 1, seen[_CPU], seen[_RATE]]])
    return nothing(4)


def leak(recording: Recording) -> Rows:
    """A leak: service, rise of memory share in a step, rate, CPU share, and the rise up to the end of the first window
    after the leak has landed."""
    if not _broken(recording, FaultMode.MEMORY_LEAK, "leak"):
        return nothing(5)
    row, first = _culprit_row(recording), recording.first(Phase.FAULT)
    seen = recording.features[first : recording.first(Phase.RESPONSE), row]
    alive = np.cumprod(seen[:, _UP] == 1.0).astype(bool)  # until the OOM killer comes
    seen = seen[alive]
    if len(seen) < 2 or first == 0:
        return nothing(5)
    rise = (seen[-1, _MEMORY] - seen[0, _MEMORY]) / (len(seen) - 1)
    landed = seen[0, _MEMORY] - recording.features[first - 1, row, _MEMORY]
    return _whole(np.array([[row, rise, seen[:, _RATE].mean(), seen[:, _CPU].mean(), landed]]))


def crowd(recording: Recording) -> Rows:
    """A flash crowd that is there: for each window service, rate, error ratio, CPU share."""
    return _overload(recording, "crowd")


def costly(recording: Recording) -> Rows:
    """The same of costly requests."""
    return _overload(recording, "costly")


def _overload(recording: Recording, form: str) -> Rows:
    if not _broken(recording, FaultMode.OVERLOADED, form):
        return nothing(4)
    row = _culprit_row(recording)
    seen = recording.features[recording.first(Phase.FAULT) + 1 : recording.first(Phase.RESPONSE), row]
    seen = seen[seen[:, _UP] == 1.0][:, [_RATE, _ERRORS, _CPU]]
    return _whole(np.column_stack([np.full(len(seen), row), seen]))


def leaky(recording: Recording) -> Rows:
    """A restart of a leaky release: service, windows until it answers, and memory share then above steady state."""
    if not _broken(recording, FaultMode.BAD_DEPLOY, "leaky") or not isinstance(recording.play.action, Restart):
        return nothing(3)
    service = recording.culprit_service
    if service is None or recording.play.action.service is not service:
        return nothing(3)
    found = _first_up(recording, service)
    if not len(found):
        return nothing(3)
    windows, row = int(found[0, 1]), SERVICE_ROW[service]
    memory = recording.features[:, row, _MEMORY]
    return _whole(np.array([[row, windows, memory[recording.first(Phase.RESPONSE) + windows - 1] - memory[0]]]))


def _whole(rows: Rows) -> Rows:
    """The rows in which nothing is missing."""
    return np.asarray(rows[~np.isnan(rows).any(axis=1)])


def _culprit_row(recording: Recording) -> int:
    assert recording.culprit_service is not None
    return SERVICE_ROW[recording.culprit_service]


def _broken(recording: Recording, mode: FaultMode, form: str, service: Service | None = None) -> bool:
    """Whether this is a probe of that form, on that service if one is given."""
    fault: Fault | None = recording.play.fault
    return (
        recording.play.kind is PlayKind.PROBE
        and fault is not None
        and fault.mode is mode
        and form_name(fault.mode, fault.form) == form
        and service in (None, fault.service)
    )
