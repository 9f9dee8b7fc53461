"""How well a world does in each window of a play, and what came of it: onset, recovery, and the outcome's class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.recording import Phase, Recording
from mirr.env.objectives import breaches, service_breaches
from mirr.env.reward import REWARDS
from mirr.env.vocabulary import Service

GOOD_STEPS = REWARDS.recovery_steps  # so many good windows in a row are a recovery, as in an episode
STEPS_BEFORE = 3  # windows before the action that an outcome is compared with
STEPS_AFTER = 4  # the last windows; a restart on another service is over by then
MARGIN = 0.25  # of the burden. One service that loses its objectives adds 0.2, and overloads waver by that much


class OutcomeClass(StrEnum):
    """What came of an action."""

    RESOLVED = "resolved"  # everybody was back inside the objectives
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    WORSE = "worse"


SIGN: dict[OutcomeClass, int] = {
    OutcomeClass.RESOLVED: 1,
    OutcomeClass.IMPROVED: 1,
    OutcomeClass.UNCHANGED: 0,
    OutcomeClass.WORSE: -1,
}
"""Whether an outcome is good (1), bad (-1) or neither."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """How well a probe went, window by window."""

    injected: int  # the step of the first window with the fault
    acted: int  # the step of the first window after the action
    good: tuple[bool, ...]  # whether every objective was met, as the judge of an episode sees it
    symptoms: tuple[bool, ...]  # whether the users or a service missed an objective
    burden: NDArray[np.float64]  # (steps,), the share of users that failed plus that of services with symptoms, 0..2


@lru_cache(maxsize=10_000)  # several figures are made from it
def course(recording: Recording) -> Course:
    """The course of a recording."""
    # A release that is not steady state's counts for the judge. By itself it hurts nobody.
    shown = [replace(snapshot, degraded={}) for snapshot in recording.snapshots]
    ill = [sum(bool(service_breaches(snapshot, service)) for service in Service) for snapshot in shown]
    return Course(
        injected=recording.first(Phase.FAULT),
        acted=recording.first(Phase.RESPONSE),
        good=tuple(not breaches(snapshot) for snapshot in recording.snapshots),
        symptoms=tuple(bool(breaches(snapshot)) for snapshot in shown),
        burden=np.array(
            [1.0 - snapshot.user_sli + number / len(Service) for snapshot, number in zip(shown, ill, strict=True)]
        ),
    )


def onset(course: Course) -> int | None:
    """How many windows passed between the injection and the first symptom; None if there was none until the action."""
    seen = course.symptoms[course.injected : course.acted]
    return seen.index(True) if True in seen else None


def recovery(course: Course) -> int | None:
    """How many windows passed between the action and the recovery; None if there was none."""
    return _first_run(course.good[course.acted :])


def outcome(course: Course) -> OutcomeClass:
    """What came of the action."""
    before = slice(max(course.injected, course.acted - STEPS_BEFORE), course.acted)
    if any(course.symptoms[before]) and recovery(course) is not None:
        return OutcomeClass.RESOLVED
    change = float(course.burden[-STEPS_AFTER:].mean() - course.burden[before].mean())
    if change > MARGIN:
        return OutcomeClass.WORSE
    return OutcomeClass.IMPROVED if change < -MARGIN else OutcomeClass.UNCHANGED


def _first_run(good: Sequence[bool]) -> int | None:
    """Where the first run of good windows begins that is long enough."""
    return next((at for at in range(len(good) - GOOD_STEPS + 1) if all(good[at : at + GOOD_STEPS])), None)
