"""The reward, once for every world: pays each component of the design's table, and tells when an episode is over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from env.vocabulary import REMEDY, Action, Diagnose, Fault, Restart, Rollback, ScaleUp


@dataclass(frozen=True, kw_only=True)
class RewardTable:
    """What each event pays."""

    correct_diagnosis: float = 8.0
    wrong_diagnosis: float = -2.0
    fix_diagnosed: float = 10.0
    fix_undiagnosed: float = 6.0
    wrong_fix: float = -2.0
    recovery: float = 20.0  # only where the correct diagnosis came before the right fix
    recovery_per_step_left: float = 0.3
    collapse: float = -15.0
    recovery_steps: int = 2  # so many steps running inside every objective
    collapse_steps: int = 3  # so many steps running with nothing left for the users


REWARDS = RewardTable()


class Outcome(StrEnum):
    """How an episode ended."""

    RESOLVED = "resolved"
    COLLAPSED = "collapsed"
    EXHAUSTED = "exhausted"
    VOID = "void"  # the world failed underneath: not an answer about the policy


class Merit(StrEnum):
    """What an action turned out to be."""

    HARMLESS = "harmless"  # waiting, reading
    CORRECT_DIAGNOSIS = "correct_diagnosis"
    WRONG_DIAGNOSIS = "wrong_diagnosis"
    LATE_DIAGNOSIS = "late_diagnosis"  # after the first commitment, or after the right fix
    RIGHT_FIX = "right_fix"
    REPEATED_FIX = "repeated_fix"  # the right one again, or one that the world refused
    WRONG_FIX = "wrong_fix"


NEEDLESS = frozenset({Merit.LATE_DIAGNOSIS, Merit.REPEATED_FIX, Merit.WRONG_FIX})


class Judge:
    """Judges one incident, step by step. Knows the fault; whoever plays never sees it."""

    __slots__ = ("_collapsing", "_fault", "_rewards", "diagnosed", "diagnosis", "fixed", "healthy_steps", "outcome")

    def __init__(self, fault: Fault, rewards: RewardTable = REWARDS) -> None:
        self._fault = fault
        self._rewards = rewards
        self._collapsing = 0
        self.diagnosis: Diagnose | None = None  # the first commitment
        self.diagnosed = False  # correctly, and before the right fix
        self.fixed = False
        self.healthy_steps = 0  # running, since the right fix
        self.outcome: Outcome | None = None

    def judge_action(self, action: Action, accepted: bool) -> tuple[float, Merit]:
        """What taking `action` pays at once."""
        if isinstance(action, Diagnose):
            return self._judge_diagnosis(action)
        if isinstance(action, Restart | Rollback | ScaleUp):
            return self._judge_fix(action, accepted)
        return 0.0, Merit.HARMLESS

    def _judge_diagnosis(self, action: Diagnose) -> tuple[float, Merit]:
        if self.diagnosis is not None or self.fixed:
            if self.diagnosis is None:
                self.diagnosis = action
            return 0.0, Merit.LATE_DIAGNOSIS
        self.diagnosis = action
        self.diagnosed = action == Diagnose(self._fault.service, self._fault.mode)
        if self.diagnosed:
            return self._rewards.correct_diagnosis, Merit.CORRECT_DIAGNOSIS
        return self._rewards.wrong_diagnosis, Merit.WRONG_DIAGNOSIS

    def _judge_fix(self, action: Restart | Rollback | ScaleUp, accepted: bool) -> tuple[float, Merit]:
        if action != REMEDY[self._fault.mode](self._fault.service):
            return self._rewards.wrong_fix, Merit.WRONG_FIX
        if self.fixed or not accepted:
            return 0.0, Merit.REPEATED_FIX
        self.fixed = True
        return (self._rewards.fix_diagnosed if self.diagnosed else self._rewards.fix_undiagnosed), Merit.RIGHT_FIX

    def judge_window(self, *, collapsed: bool, healthy: bool, steps_left: int) -> float:
        """What the step's window pays; sets `outcome` where it ends the episode."""
        self.healthy_steps = self.healthy_steps + 1 if self.fixed and healthy else 0
        self._collapsing = self._collapsing + 1 if collapsed else 0
        if self.healthy_steps >= self._rewards.recovery_steps:
            self.outcome = Outcome.RESOLVED
            if self.diagnosed:
                return self._rewards.recovery + self._rewards.recovery_per_step_left * steps_left
        elif self._collapsing >= self._rewards.collapse_steps:
            self.outcome = Outcome.COLLAPSED
            return self._rewards.collapse
        elif steps_left <= 0:
            self.outcome = Outcome.EXHAUSTED
        return 0.0
