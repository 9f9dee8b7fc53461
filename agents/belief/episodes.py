"""Episodes that might be the one that is being played: one lane of a batch for each hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirr.env.forms import numbered_forms
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.fast import alone
from mirr.env.simulator.fast import rows as k
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import FaultMode, Tier

FIRST_SEED: Final = 1 << 40  # of the hypotheses: far from every seed that anybody plays
NEVER: Final = 10**6  # the step of a fault that does not come
_LAST_STEP: Final = 10_000  # no episode that is played is so long

FORMS = numbered_forms()
MODE_OF_FORM: NDArray[np.int64] = np.array([list(FaultMode).index(form.mode) for form in FORMS])


@dataclass(frozen=True, kw_only=True)
class Plans:
    """The faults of each hypothesis, at most two."""

    forms: NDArray[np.int64]  # (size, 2): numbers of forms
    services: NDArray[np.int64]  # (size, 2): rows of services
    onsets: NDArray[np.int64]  # (size, 2): the step in which it begins; NEVER if there is no such fault


@dataclass(frozen=True, kw_only=True)
class LogReadings:
    """What a log told in each hypothesis, or in the episode itself (then with a size of 1)."""

    other_release: NDArray[np.bool_]  # (size,): its last start was of another release than the one of steady state
    started_s_ago: NDArray[np.float64]  # (size,): seconds since that start; inf if there was none
    certain: NDArray[np.bool_]  # (size,): whether that start has to be there. Else it may be there, and then it is at
    # least so old
    exited: NDArray[np.bool_]  # (size,): its process ended itself with an error
    raising: NDArray[np.bool_]  # (size,): its own code raised errors
    turned_away: NDArray[np.bool_]  # (size,): requests were turned away


class HypotheticalEpisodes(BatchedSimulator):
    """Episodes as a tier draws them, without observation noise. None of them ends: the one that is played goes on."""

    def __init__(self, size: int, tier: Tier) -> None:
        config = replace(TIERS[tier].config, noise=0.0, none_diagnosis=True, max_steps=_LAST_STEP)
        super().__init__(size, config=config, tier=tier)

    def plans(self) -> Plans:
        """What is planned in each episode."""
        forms, services = self._block(k.FORM, k.MOST_FAULTS), self._block(k.SERVICE, k.MOST_FAULTS)
        events, breaks = self._events(), self._planned(k.BREAKS)
        onsets = np.full((self.size, k.MOST_FAULTS), NEVER)
        for number in range(k.MOST_FAULTS):
            own = breaks & (events[:, :, k.EVENT_OF] == number)
            begun = own.any(axis=1)
            onsets[begun, number] = events[begun, own[begun].argmax(axis=1), k.EVENT_STEP]
        return Plans(forms=forms.astype(np.int64), services=services.astype(np.int64), onsets=onsets)

    def copy_lanes(self, other: HypotheticalEpisodes, lanes: NDArray[np.int64], to: NDArray[np.int64]) -> None:
        """Let the episodes in the places `to` be copies of other episodes, as they are now."""
        ours, theirs = self._lanes, other._lanes
        for mine, its in ((ours.rows, theirs.rows), (ours.wholes, theirs.wholes)):
            if isinstance(mine, np.ndarray):
                mine[to] = its[lanes]
            else:
                copied = [list(its[lane]) for lane in lanes]
                for place, row in zip(to, copied, strict=True):
                    mine[place][:] = row
        ours.features[to] = theirs.features[lanes]
        ours.which[to] = theirs.which[lanes]
        ours.over[to] = False
        self._begun[to] = True
        self._all_begun = bool(self._begun.all())

    def begin_fault(self, lane: int, form: int, service: int, severity: float) -> None:
        """A fault that was not planned begins now in one episode."""
        alone.begin(self._lanes.rows[lane], self._parameters_of(lane), form, service, severity)

    def play_on(self, actions: NDArray[np.int64]) -> NDArray[np.bool_]:  # (size,)
        """Take an action in each episode. Returns which would be over now; they go on all the same."""
        _, _, terminated, _ = self.step(actions)
        ended = terminated.copy()
        for lane in np.flatnonzero(ended):
            row = self._lanes.rows[lane]
            row[k.OUTCOME] = k.RUNNING
            row[k.HEALTHY] = row[k.COLLAPSING] = 0.0
        self._lanes.over[:] = False
        return ended

    def deployed_s_ago(self) -> NDArray[np.float64]:  # (size,)
        """How long ago the harmless releases were started that were there first; NaN if there are none. All of an
        episode are deployed at once."""
        booted, ready = self._block(k.BOOTED, k.SERVICES) == 1.0, self._block(k.READY_TICK, k.SERVICES)
        first = np.where(booted, ready, np.inf).min(axis=1)  # a faulty one comes after them
        ago = (self._block(k.NOW, 1)[:, 0] - first) * self.parameters.tick_s
        return np.where(self._planned(k.DEPLOYS).any(axis=1), ago, np.nan)

    def log_readings(self, certain: NDArray[np.bool_], least_s_ago: NDArray[np.float64]) -> LogReadings:
        """What the logs told that were read last.

        Where a start is not `certain`, (size,), a harmless release may or may not be there. If it is, it was started at
        least `least_s_ago`, (size,); NaN if there can be none."""
        told, read_at = self._block(k.READ_LOG, k.LOG_SIZE), self._block(k.READ_AT, 1)[:, 0]
        started = told[:, k.LOG_READY] >= 0.0
        ago = np.where(started, (read_at - told[:, k.LOG_READY]) * self.parameters.tick_s, np.inf)
        return LogReadings(
            other_release=np.where(certain, started & (told[:, k.LOG_NEXT] == 1.0), np.isfinite(least_s_ago)),
            started_s_ago=np.where(certain, ago, np.nan_to_num(least_s_ago, nan=np.inf)),
            certain=certain,
            exited=told[:, k.LOG_DIED] > 0.0,
            raising=told[:, k.LOG_SPOILED] > 0.0,
            turned_away=told[:, k.LOG_SHED] > 0.0,
        )

    def _events(self) -> NDArray[np.float64]:  # (size, events, numbers of an event)
        found = self._block(k.EVENTS, k.MOST_EVENTS * k.EVENT_SIZE)
        return found.reshape(self.size, k.MOST_EVENTS, k.EVENT_SIZE)

    def _planned(self, kind: float) -> NDArray[np.bool_]:  # (size, events)
        """Which places of the plan have an event of that kind."""
        there = np.arange(k.MOST_EVENTS) < self._block(k.EVENTS_PLANNED, 1)
        planned: NDArray[np.bool_] = there & (self._events()[:, :, k.EVENT_KIND] == kind)
        return planned

    def _block(self, first: int, count: int) -> NDArray[np.float64]:  # (size, count)
        rows = self._lanes.rows
        if isinstance(rows, np.ndarray):
            found: NDArray[np.float64] = rows[:, first : first + count]
            return found
        return np.array([row[first : first + count] for row in rows])

    def _parameters_of(self, lane: int) -> Any:
        return self._lanes.parameters[self._lanes.which[lane]]


@cache
def opened(tier: Tier, size: int) -> HypotheticalEpisodes:
    """So many episodes of a tier at their first observation. They are opened once, and copied from then on."""
    episodes = HypotheticalEpisodes(size, tier)
    episodes.reset(range(FIRST_SEED, FIRST_SEED + size))
    return episodes


def fresh_copy(of: HypotheticalEpisodes) -> HypotheticalEpisodes:
    """A batch of its own with the same episodes."""
    copied = HypotheticalEpisodes(of.size, of.tier)
    every: Sequence[int] = range(of.size)
    copied.copy_lanes(of, np.array(every), np.array(every))
    return copied
