"""The judge: it pays each component of the reward table and decides when an episode is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

from mirr.env.checks import number_field, whole_field
from mirr.env.vocabulary import REMEDY, Action, Diagnose, DiagnoseNone, Diagnosis, Fault, Restart, Rollback, ScaleUp


@dataclass(frozen=True, kw_only=True)
class RewardTable:
    """The reward for each event."""

    correct_diagnosis: float = 8.0
    wrong_diagnosis: float = -2.0  # also for "nothing is broken" if something is broken
    fix_diagnosed: float = 10.0
    fix_undiagnosed: float = 6.0
    wrong_fix: float = -2.0
    recovery: float = 20.0  # only if the correct diagnosis came before the right fix
    recovery_per_step_left: float = 0.3
    collapse: float = -15.0
    recovery_steps: int = 2  # steps in a row inside every objective
    collapse_steps: int = 3  # steps in a row in which nothing works for the users

    def __post_init__(self) -> None:
        """Raises BadConfig for rewards that are not finite, and for recoveries or collapses of no step."""
        for each in fields(self):
            name, given = f"RewardTable({each.name}=...)", vars(self)[each.name]
            counts_steps = each.name in ("recovery_steps", "collapse_steps")
            value = whole_field(name, given, least=1) if counts_steps else number_field(name, given)
            object.__setattr__(self, each.name, value)


REWARDS = RewardTable()


class Outcome(StrEnum):
    """How an episode ended."""

    RESOLVED = "resolved"
    COLLAPSED = "collapsed"
    EXHAUSTED = "exhausted"
    VOID = "void"  # the world failed; such an episode says nothing about the policy


class Merit(StrEnum):
    """The kind of an action, as the judge sees it."""

    HARMLESS = "harmless"  # waiting, reading
    CORRECT_DIAGNOSIS = "correct_diagnosis"
    WRONG_DIAGNOSIS = "wrong_diagnosis"
    LATE_DIAGNOSIS = "late_diagnosis"  # it came after the commitments that count, or after the right fix
    RIGHT_FIX = "right_fix"
    REPEATED_FIX = "repeated_fix"  # the right fix again, or a fix that the world refused
    WRONG_FIX = "wrong_fix"


NEEDLESS = frozenset({Merit.LATE_DIAGNOSIS, Merit.REPEATED_FIX, Merit.WRONG_FIX})


def is_clean(outcome: Outcome, *, diagnosed: bool, wrong_fixes: int) -> bool:
    """Whether an episode was resolved by knowing: every fault was diagnosed correctly before its fix, and no fix was
    wrong. Luck also resolves episodes, but it is not clean."""
    return outcome is Outcome.RESOLVED and diagnosed and wrong_fixes == 0


@dataclass(slots=True)
class Case:
    """How far one fault of an episode has come."""

    begun: bool = False
    diagnosed: bool = False  # correctly, and before the right fix
    fixed: bool = False  # by the agent
    ended: bool = False  # by itself

    @property
    def over(self) -> bool:
        """Whether the fault is over, so nothing is left to do."""
        return self.fixed or self.ended


class Judge:
    """Judges one incident, step by step. It knows the faults; the agent never sees them.

    With one fault, the base task, the first commitment to a diagnosis counts. With several faults, as
    many commitments count as there are faults. With none, the only correct commitment is "nothing is broken".
    """

    __slots__ = (
        "_cases",
        "_collapsing",
        "_commitments",
        "_rewards",
        "_right",
        "diagnosis",
        "healthy_steps",
        "outcome",
        "wrong_fixes",
    )

    def __init__(self, faults: Sequence[Fault], rewards: RewardTable = REWARDS) -> None:
        self._cases = {fault: Case() for fault in faults}
        self._rewards = rewards
        self._collapsing = 0
        self._commitments = 0
        self._right = 0  # commitments that were correct
        self.diagnosis: Diagnosis | None = None  # the first commitment
        self.healthy_steps = 0  # in a row, since every fault was over
        self.outcome: Outcome | None = None
        self.wrong_fixes = 0

    @property
    def diagnosed(self) -> bool:
        """Whether every fault was diagnosed correctly before its fix."""
        return self._right >= max(1, len(self._cases))

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do: every fault has begun and is over. Without
        faults: whether the agent said so."""
        if not self._cases:
            return self.diagnosed
        return all(case.begun and case.over for case in self._cases.values())

    def unsettled(self) -> list[Fault]:
        """The faults that are neither fixed nor ended."""
        return [fault for fault, case in self._cases.items() if not case.over]

    def begin(self, fault: Fault) -> None:
        """The fault has begun."""
        self._cases[fault].begun = True

    def end(self, fault: Fault) -> None:
        """The fault has ended by itself."""
        self._cases[fault].ended = True

    def judge_action(self, action: Action, accepted: bool) -> tuple[float, Merit]:
        """The reward that `action` gets at once."""
        # In each of these lines, a union of types would be made anew for every step.
        if isinstance(action, (Diagnose, DiagnoseNone)):
            return self._judge_diagnosis(action)
        if isinstance(action, (Restart, Rollback, ScaleUp)):
            return self._judge_fix(action, accepted)
        return 0.0, Merit.HARMLESS

    def _judge_diagnosis(self, action: Diagnosis) -> tuple[float, Merit]:
        cases = self._cases
        too_late = bool(cases) and all(case.fixed for case in cases.values())
        if self.diagnosis is None:
            self.diagnosis = action
        if too_late or self._commitments >= max(1, len(cases)):
            return 0.0, Merit.LATE_DIAGNOSIS
        self._commitments += 1
        if not self._is_true(action):
            return self._rewards.wrong_diagnosis, Merit.WRONG_DIAGNOSIS
        self._right += 1
        return self._rewards.correct_diagnosis, Merit.CORRECT_DIAGNOSIS

    def _is_true(self, action: Diagnosis) -> bool:
        if isinstance(action, DiagnoseNone):
            return not self._cases
        # The answer is mode and service. The form is not part of it.
        named = (
            case for fault, case in self._cases.items() if (fault.mode, fault.service) == (action.mode, action.service)
        )
        case = next(named, None)
        if case is None or not case.begun or case.fixed or case.diagnosed:
            return False
        case.diagnosed = True
        return True

    def _judge_fix(self, action: Restart | Rollback | ScaleUp, accepted: bool) -> tuple[float, Merit]:
        case = self._fixed_by(action)
        if case is None:
            self.wrong_fixes += 1
            return self._rewards.wrong_fix, Merit.WRONG_FIX
        if case.over or not accepted:
            return 0.0, Merit.REPEATED_FIX
        case.fixed = True
        return (self._rewards.fix_diagnosed if case.diagnosed else self._rewards.fix_undiagnosed), Merit.RIGHT_FIX

    def _fixed_by(self, action: Restart | Rollback | ScaleUp) -> Case | None:
        for fault, case in self._cases.items():
            if case.begun and action == REMEDY[fault.mode](fault.service):
                return case
        return None

    def judge_window(self, *, collapsed: bool, healthy: bool, steps_left: int) -> float:
        """The reward for the step's window. Sets `outcome` if the episode ends."""
        self.healthy_steps = self.healthy_steps + 1 if healthy and self.settled else 0
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
