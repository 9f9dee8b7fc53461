"""What an agent writes down during its episodes, so that it can brief the language model before each step."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirr.agents.language_model.words import DIAGNOSES, LATEST_STEP, PAST, SERVICES, UNSEEN, Briefing, Whole, levels
from mirr.env.actions import still_of_use
from mirr.env.logs import LogNumber
from mirr.env.vocabulary import ACTION_INDEX, ACTIONS, Diagnose

_NUMBER: Final = {number: column for column, number in enumerate(LogNumber)}
_FLAGS: Final = (  # in the order of LOG_FLAGS: a column of the log numbers, and the least count that is worth a flag
    (LogNumber.STARTS, 2.0),
    (LogNumber.ERRORS, 1.0),
    (LogNumber.WARNINGS, 1.0),
    (LogNumber.TURNED_AWAY, 1.0),
    (LogNumber.OTHER_RELEASE, 1.0),
)
_FIRST_DIAGNOSIS: Final = min(ACTION_INDEX[action] for action in ACTIONS if isinstance(action, Diagnose))
_LEFT: Final = np.array(  # (accepted, taken, other)
    [
        [[still_of_use(taken, done, other, one_fault=True) for other in ACTIONS] for taken in ACTIONS]
        for done in (False, True)
    ]
)


class Notebook:
    """Notes of n episodes at once. They hold only what agents see and what they did."""

    def __init__(self, size: int) -> None:
        self._step = np.zeros(size, dtype=np.int64)
        self._diagnosis = np.zeros(size, dtype=np.int64)
        self._past = np.zeros((size, PAST), dtype=np.int64)
        self._logs = np.zeros((size, SERVICES), dtype=np.int64)
        self._before = np.full((size, SERVICES, 0), UNSEEN, dtype=np.int64)
        self._now = self._before
        self._allowed = np.ones((size, len(ACTIONS)), dtype=np.bool_)

    def begin(self, features: NDArray[np.float32]) -> None:
        """All episodes begin, and this is what is seen first: (n, services, 7)."""
        for each in (self._step, self._diagnosis, self._past, self._logs):
            each[:] = 0
        self._now = levels(features)
        self._before = np.full_like(self._now, UNSEEN)
        self._allowed[:] = True

    def note(
        self,
        actions: Whole,
        accepted: NDArray[np.bool_],
        features: NDArray[np.float32],
        logs: NDArray[np.float32],
    ) -> None:
        """A step was taken everywhere: the actions, whether each had anything to act on, what is seen now, and what
        the logs told so far, (n, services, log numbers)."""
        self._step = np.minimum(self._step + 1, LATEST_STEP)
        self._past = np.roll(self._past, -1, axis=1)
        self._past[:, -1] = 1 + actions + np.where(accepted, 0, len(ACTIONS))
        chosen = actions - _FIRST_DIAGNOSIS
        first = (self._diagnosis == 0) & (chosen >= 0) & (chosen < DIAGNOSES)
        self._diagnosis = np.where(first, chosen + 1, self._diagnosis)
        flags = sum(
            (logs[..., _NUMBER[number]] >= least).astype(np.int64) << bit for bit, (number, least) in enumerate(_FLAGS)
        )
        self._logs = np.where(logs[..., _NUMBER[LogNumber.READ]] > 0.0, 1 + flags, 0)
        # What was last seen of a service that is down now is worth more than that it was down before, too.
        self._before = np.where(self._now == UNSEEN, self._before, self._now)
        self._now = levels(features)
        self._allowed &= _LEFT[accepted.astype(np.int64), actions]

    @property
    def allowed(self) -> NDArray[np.bool_]:  # (n, actions)
        """Which actions may still be of use, as far as the agent can know. `wait` always is."""
        return self._allowed

    def briefing(self) -> Briefing:
        """What is known now."""
        return Briefing(
            step=self._step,
            diagnosis=self._diagnosis,
            past=self._past,
            logs=self._logs,
            before=self._before,
            now=self._now,
        )
