"""What the trained policy remembers of its episodes, as numbers for its network.

It remembers no more than an agent sees: metrics, what logs told, and its own actions. Instead of all windows it keeps a
summary of them, so that the network needs no memory of its own. Many episodes go side by side in training; the policy
has one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirr.agents.notebook import SETTLED_S, STEP_S, THRESHOLDS, USUAL_RATES_PER_S
from mirr.env.actions import still_of_use
from mirr.env.logs import LogNumber
from mirr.env.objectives import FEATURE_COLUMN
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import (
    ACTION_INDEX,
    PACK_ACTIONS,
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    FaultMode,
    Feature,
    Fix,
    Restart,
    Rollback,
    ScaleUp,
    Service,
)

Floats = NDArray[np.float32]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

SERVICES: Final = len(Service)
CHOICES: Final = len(PACK_ACTIONS)
MEASURED: Final = (
    Feature.REQUEST_RATE,
    Feature.ERROR_RATIO,
    Feature.LATENCY_P95_S,
    Feature.CPU_SHARE,
    Feature.MEMORY_SHARE,
    Feature.IN_FLIGHT,
)
"""The columns that are remembered. `up` is remembered in other ways."""
FIXES: Final = (Restart, Rollback, ScaleUp)

QUICK: Final = 0.4  # share of a new value in the mean over about the last four windows
SLOW: Final = 0.15  # the same, over about the last twelve
FADING_STEPS: Final = 4.0  # after so many steps, what happened counts for a third
LONG_STEPS: Final = 10.0  # a divisor of numbers of steps

_UP: Final = FEATURE_COLUMN[Feature.UP]
_COLUMNS: Final = [FEATURE_COLUMN[feature] for feature in MEASURED]
_RATE, _ERRORS, _P95, _CPU, _MEMORY, _QUEUE = range(len(MEASURED))
_USUAL_RATES: Final = np.array([USUAL_RATES_PER_S[service] for service in Service], dtype=np.float32)
_TOLD: Final = {number: column for column, number in enumerate(LogNumber)}
_LOG_DIVISORS: Final = np.array(
    [{LogNumber.STEPS_AGO: LONG_STEPS, LogNumber.STARTS: 3.0}.get(number, 1.0) for number in LogNumber],
    dtype=np.float32,
)
_ROWS: Final = list(Service)
_MODES: Final = list(FaultMode)


def _places(of: type[Any]) -> Whole:  # (actions,)
    """For each action, the row of its service if it is of that kind; else -1."""
    return np.array([_ROWS.index(each.service) if isinstance(each, of) else -1 for each in PACK_ACTIONS])


_READ: Final = _places(CheckLogs)
_FIXED: Final = [_places(kind) for kind in FIXES]
_NAMED: Final = _places(Diagnose)
_MODE: Final = np.array([_MODES.index(each.mode) if isinstance(each, Diagnose) else 0 for each in PACK_ACTIONS])
_DIAGNOSES: Final = np.array([isinstance(each, Diagnose | DiagnoseNone) for each in PACK_ACTIONS])
_IS_FIX: Final = np.array([isinstance(each, Fix) for each in PACK_ACTIONS])
_NONE: Final = ACTION_INDEX[DiagnoseNone()]
_LEFT: Final = {  # whether there is exactly one fault: (accepted, taken, other)
    one_fault: np.array(
        [
            [
                [still_of_use(taken, done, other, one_fault=one_fault) for other in PACK_ACTIONS]
                for taken in PACK_ACTIONS
            ]
            for done in (False, True)
        ]
    )
    for one_fault in (False, True)
}


def scaled(features: Floats) -> Floats:  # (n, services, measured)
    """The metrics as numbers around 0: 0 is about usual, 1 is much. NaN stays NaN."""
    seen = features[..., _COLUMNS]
    found = np.empty_like(seen)
    found[..., _RATE] = np.log2(seen[..., _RATE] / _USUAL_RATES * 0.8 + 0.2)
    found[..., _ERRORS] = 2.0 * np.sqrt(seen[..., _ERRORS])
    found[..., _P95] = 0.5 * np.log(np.maximum(seen[..., _P95], 1e-3) / 0.05)
    found[..., _CPU] = 2.0 * seen[..., _CPU] - 0.7
    found[..., _MEMORY] = 2.0 * np.log(np.maximum(seen[..., _MEMORY], 1e-2) / 0.27)
    found[..., _QUEUE] = np.log1p(seen[..., _QUEUE]) / 1.5
    return found


def in_trouble(features: Floats) -> Flags:  # (n, services)
    """Whether something stands out in a window, by the thresholds of the detective's notebook."""
    seen, at = features[..., _COLUMNS], THRESHOLDS
    with np.errstate(invalid="ignore"):  # NaN is no trouble of its own: it is down, then
        return (
            (features[..., _UP] < 1.0)
            | (seen[..., _ERRORS] >= at.failing)
            | (seen[..., _P95] >= at.late_p95_s)
            | (seen[..., _CPU] >= at.full_cpu)
            | (seen[..., _MEMORY] >= at.swollen)
            | (seen[..., _QUEUE] >= at.queueing)
        )


class Notes:
    """The notes of n episodes. With `alarms_may_be_false` there may be no fault, or two of them."""

    def __init__(self, size: int, *, alarms_may_be_false: bool, max_steps: int = EpisodeConfig().max_steps) -> None:
        self._max_steps = max_steps
        self._left = _LEFT[not alarms_may_be_false]
        self._fresh = np.ones(CHOICES, dtype=np.bool_)
        self._fresh[_NONE] = alarms_may_be_false
        self._may_be_false = alarms_may_be_false

        def metrics() -> Floats:
            return np.zeros((size, SERVICES, len(MEASURED)), dtype=np.float32)

        def steps() -> Floats:
            return np.full((size, SERVICES), np.nan, dtype=np.float32)

        self._all = np.arange(size)
        self._step = np.zeros(size, dtype=np.float32)
        # Metrics, scaled. What cannot be measured keeps the value that was seen last; before any, it is the usual one.
        self._now, self._before, self._earlier = metrics(), metrics(), metrics()
        self._quick, self._slow, self._most, self._least = metrics(), metrics(), metrics(), metrics()
        self._measured = np.zeros((size, SERVICES), dtype=np.bool_)  # in the last window
        self._known = np.zeros((size, SERVICES), dtype=np.bool_)  # in any window
        self._up = np.zeros((size, SERVICES), dtype=np.bool_)
        self._trouble = np.zeros((size, SERVICES), dtype=np.bool_)
        self._down_steps = np.zeros((size, SERVICES), dtype=np.float32)  # in a row, until now
        # Steps of the episode; NaN before it happened.
        self._first_trouble, self._last_trouble, self._last_down = steps(), steps(), steps()
        self._started_at = steps()  # the process whose start the last reading of the log told; often below 0
        self._last_fix = np.full(size, np.nan, dtype=np.float32)
        self._fixed_at = np.full((size, SERVICES, len(FIXES)), np.nan, dtype=np.float32)
        self._fixes = np.zeros((size, SERVICES, len(FIXES)), dtype=np.float32)  # how many
        self._named = np.zeros((size, SERVICES, len(FaultMode)), dtype=np.float32)
        self._diagnoses = np.zeros(size, dtype=np.float32)
        self._said_none = np.zeros(size, dtype=np.float32)
        self._accepted = np.ones(size, dtype=np.float32)
        self._quiet_steps = np.zeros(size, dtype=np.float32)  # in a row, until now
        self._logs = np.zeros((size, SERVICES, len(LogNumber)), dtype=np.float32)
        self._allowed = np.ones((size, CHOICES), dtype=np.bool_)

    def begin(self, features: Floats, where: Flags | None = None) -> None:
        """Episodes begin, all or some. What is seen first: (n, services, 7)."""
        at = self._all if where is None else np.flatnonzero(where)
        for each in (
            *(self._step, self._down_steps, self._fixes, self._named, self._diagnoses, self._said_none),
            *(self._quiet_steps, self._logs),
        ):
            each[at] = 0.0
        for each in (
            *(self._first_trouble, self._last_trouble, self._last_down, self._started_at),
            *(self._last_fix, self._fixed_at),
        ):
            each[at] = np.nan
        self._accepted[at] = 1.0
        self._allowed[at] = self._fresh
        seen = scaled(features[at])
        self._measured[at] = measured = ~np.isnan(seen[..., _MEMORY])
        self._known[at] = measured
        seen = np.where(np.isnan(seen), np.float32(0.0), seen)
        for each in (self._now, self._before, self._earlier, self._quick, self._slow, self._most, self._least):
            each[at] = seen
        self._look(features, at)

    def note(
        self, actions: Whole, accepted: Flags, features: Floats, logs: Floats, start_age_s: NDArray[np.float64]
    ) -> None:
        """A step was taken everywhere: the actions, whether each had anything to act on, what is seen now, what the
        logs told so far (n, services, log numbers). Where a log was read, how long ago its process had started; NaN if
        it does not say."""
        self._remember_actions(actions, accepted)
        reading = np.flatnonzero(_READ[actions] >= 0)
        # A log is read when the step begins.
        started_at = self._step[reading] - start_age_s[reading] / STEP_S
        self._started_at[reading, _READ[actions[reading]]] = started_at
        self._logs = logs
        self._step += 1.0
        self._allowed &= self._left[accepted.astype(np.int64), actions]
        self._remember_metrics(features)
        self._look(features, self._all)

    def _remember_actions(self, actions: Whole, accepted: Flags) -> None:
        step = self._step
        for kind, rows in enumerate(_FIXED):
            at = np.flatnonzero(rows[actions] >= 0)
            service = rows[actions[at]]
            self._fixes[at, service, kind] += 1.0
            self._fixed_at[at, service, kind] = step[at]
        self._last_fix = np.where(_IS_FIX[actions], step, self._last_fix)
        naming = np.flatnonzero(_NAMED[actions] >= 0)
        self._named[naming, _NAMED[actions[naming]], _MODE[actions[naming]]] = 1.0
        self._diagnoses += _DIAGNOSES[actions]
        self._said_none[actions == _NONE] = 1.0
        self._accepted = accepted.astype(np.float32)

    def _remember_metrics(self, features: Floats) -> None:
        found = scaled(features)
        missing = np.isnan(found)
        self._measured = ~missing[..., _MEMORY]
        seen = np.where(missing, self._now, found)
        # The means begin with the first value that could be measured, and not with the usual one.
        first = (self._measured & ~self._known)[..., None]
        self._earlier, self._before, self._now = self._before, self._now, seen
        self._quick = np.where(first, seen, self._quick + np.float32(QUICK) * (seen - self._quick))
        self._slow = np.where(first, seen, self._slow + np.float32(SLOW) * (seen - self._slow))
        self._most = np.where(first, seen, np.maximum(self._most, seen))
        self._least = np.where(first, seen, np.minimum(self._least, seen))
        self._known |= self._measured

    def _look(self, features: Floats, at: Whole) -> None:
        """What stands out now, and since when."""
        up, trouble = features[at][..., _UP] >= 1.0, in_trouble(features[at])
        step = self._step[at][:, None]
        self._up[at], self._trouble[at] = up, trouble
        self._down_steps[at] = np.where(up, 0.0, self._down_steps[at] + 1.0)
        first = self._first_trouble[at]
        self._first_trouble[at] = np.where(trouble & np.isnan(first), step, first)
        self._last_trouble[at] = np.where(trouble, step, self._last_trouble[at])
        self._last_down[at] = np.where(up, self._last_down[at], step)
        self._quiet_steps[at] = np.where(trouble.any(axis=1), 0.0, self._quiet_steps[at] + 1.0)

    @property
    def allowed(self) -> Flags:  # (n, actions)
        """Which actions may still be of use, as far as the agent can know. `wait` always is."""
        return self._allowed

    def own(self) -> Floats:  # (n, services, OWN)
        """What is known about each service."""
        step = self._step[:, None]
        columns: list[NDArray[Any]] = [
            *(self._now, self._before, self._earlier, self._quick, self._slow, self._most, self._least),
            *(self._up[..., None], self._measured[..., None], self._known[..., None]),
            np.minimum(self._down_steps / 4.0, 1.5)[..., None],
            _fading(step - self._last_down)[..., None],
            *(self._trouble[..., None], ~np.isnan(self._first_trouble)[..., None]),
            _ago(step - self._first_trouble)[..., None],
            _fading(step - self._last_trouble)[..., None],
            self._logs / _LOG_DIVISORS,
            *(each[..., None] for each in self._told_of_the_start()),
            0.5 * self._fixes,
            _fading(step[..., None] - self._fixed_at),
            self._named,
            np.broadcast_to(_WHO, (len(self._step), SERVICES, SERVICES)),
        ]
        found: Floats = np.concatenate(columns, axis=-1, dtype=np.float32)
        return found

    def _told_of_the_start(self) -> tuple[Floats, Floats, Floats, Flags]:
        """What the last reading of each log told about its process: whether it started, when, and whether that was
        after the harmless deploys, so that it can have begun the trouble. Then whether it was read since then."""
        at, ago = self._started_at, self._logs[..., _TOLD[LogNumber.STEPS_AGO]]
        started = ~np.isnan(at)
        when = np.where(started, np.clip(at / 8.0, -2.0, 4.0), 0.0).astype(np.float32)
        settled_at = -SETTLED_S / STEP_S
        after = np.where(started, np.tanh((at - settled_at) * 1.5), 0.0).astype(np.float32)
        read = self._logs[..., _TOLD[LogNumber.READ]] > 0.0
        with np.errstate(invalid="ignore"):
            fresh = read & (self._step[:, None] - ago > self._first_trouble)
        return started.astype(np.float32), when, after, fresh

    def shared(self) -> Floats:  # (n, SHARED)
        """What is known about the episode as a whole."""
        columns = [
            self._step / self._max_steps,
            0.5 * self._diagnoses,
            self._said_none,
            self._accepted,
            _fading(self._step - self._last_fix),
            _ago(self._step - self._last_fix),
            np.minimum(self._quiet_steps / LONG_STEPS, 2.0),
            self._trouble.mean(axis=1),
            np.full(len(self._step), float(self._may_be_false)),
        ]
        return np.stack(columns, axis=-1).astype(np.float32)


_WHO: Final = np.eye(SERVICES, dtype=np.float32)


def _fading(steps: Floats) -> Floats:
    """1 for what has just happened, then less and less; 0 for what has not happened."""
    return np.where(np.isnan(steps), np.float32(0.0), np.exp(-steps / np.float32(FADING_STEPS)))


def _ago(steps: Floats) -> Floats:
    """How long ago it was; 0 for what has not happened."""
    return np.where(np.isnan(steps), np.float32(0.0), steps / np.float32(LONG_STEPS))


def _sizes() -> tuple[int, int]:
    notes = Notes(1, alarms_may_be_false=False)
    notes.begin(np.zeros((1, SERVICES, len(Feature)), dtype=np.float32))
    return notes.own().shape[-1], notes.shared().shape[-1]


OWN, SHARED = _sizes()
"""How many numbers the network reads about each service, and about the episode."""
