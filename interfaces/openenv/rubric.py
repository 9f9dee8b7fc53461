"""The reward of a step in parts: one rubric each for diagnosis, fix, recovery and collapse.

The environment's judge decides the reward, and this module only divides it. It needs the action, the step's reward and
the final report, so a rubric never knows more about the truth than the agent.
"""

from __future__ import annotations

# openenv ships no types.
from openenv.core.rubrics.base import Rubric  # type: ignore[import-untyped]

from mirr.env.reward import REWARDS, Outcome, RewardTable
from mirr.env.vocabulary import Diagnose, DiagnoseNone, Restart, Rollback, ScaleUp
from mirr.interfaces.openenv.models import MirrAction, MirrObservation


def _recovery(observation: MirrObservation, rewards: RewardTable) -> float:
    report = observation.report
    if report is None or report["outcome"] != Outcome.RESOLVED:
        return 0.0
    diagnosis = report["diagnosis"]
    if diagnosis is None or not diagnosis["correct"]:
        return 0.0
    return rewards.recovery + rewards.recovery_per_step_left * observation.steps_left


def _collapse(observation: MirrObservation, rewards: RewardTable) -> float:
    report = observation.report
    return rewards.collapse if report is not None and report["outcome"] == Outcome.COLLAPSED else 0.0


def _for_the_action(observation: MirrObservation, rewards: RewardTable) -> float:
    """The part of the step's reward that is for its action."""
    paid = float(observation.reward or 0.0)
    return paid - _recovery(observation, rewards) - _collapse(observation, rewards)


class Component(Rubric):  # type: ignore[misc]  # Rubric is Any: openenv ships no types
    """One component of the reward, and the sentence that says how it is paid."""

    def __init__(self, rewards: RewardTable, description: str) -> None:
        super().__init__()
        self.rewards = rewards
        self.description = description


class DiagnosisComponent(Component):
    """Paid for committing to what is broken."""

    def forward(self, action: MirrAction, observation: MirrObservation) -> float:
        """The reward for the diagnosis; 0 for another action."""
        diagnosed = isinstance(action.taken(), Diagnose | DiagnoseNone)
        return _for_the_action(observation, self.rewards) if diagnosed else 0.0


class FixComponent(Component):
    """Paid for acting on a service."""

    def forward(self, action: MirrAction, observation: MirrObservation) -> float:
        """The reward for the fix; 0 for another action."""
        fixed = isinstance(action.taken(), Restart | Rollback | ScaleUp)
        return _for_the_action(observation, self.rewards) if fixed else 0.0


class RecoveryComponent(Component):
    """Paid at the end, for a recovery after a correct diagnosis."""

    def forward(self, action: MirrAction, observation: MirrObservation) -> float:
        """The reward for the recovery."""
        return _recovery(observation, self.rewards)


class CollapseComponent(Component):
    """Paid at the end, if nothing worked for the users any more."""

    def forward(self, action: MirrAction, observation: MirrObservation) -> float:
        """The cost of the collapse."""
        return _collapse(observation, self.rewards)


class IncidentRubric(Rubric):  # type: ignore[misc]  # Rubric is Any: openenv ships no types
    """The whole reward of a step, as the sum of its components."""

    def __init__(self, rewards: RewardTable = REWARDS) -> None:
        super().__init__()
        self.diagnosis = DiagnosisComponent(
            rewards,
            f"{rewards.correct_diagnosis:+g} for the right diagnosis before the fix, "
            f"{rewards.wrong_diagnosis:+g} for a wrong one; as many answers count as there are faults",
        )
        self.fix = FixComponent(
            rewards,
            f"{rewards.fix_diagnosed:+g} for the right fix after the right diagnosis, {rewards.fix_undiagnosed:+g} "
            f"without it, {rewards.wrong_fix:+g} for a fix of the wrong kind or on the wrong service",
        )
        self.recovery = RecoveryComponent(
            rewards,
            f"{rewards.recovery:+g} and {rewards.recovery_per_step_left:+g} a step left, once every objective was met "
            f"for {rewards.recovery_steps} steps running and the right diagnosis came before the right fix",
        )
        self.collapse = CollapseComponent(
            rewards,
            f"{rewards.collapse:+g} when almost nothing worked for users for {rewards.collapse_steps} steps running",
        )
        self.earned: dict[str, float] = {}
        self.reset()

    def forward(self, action: MirrAction, observation: MirrObservation) -> float:
        """The step's reward. Each component's part is its `last_score`, and the sums are in `earned`."""
        total = 0.0
        for name, component in self.named_children():
            paid = component(action, observation)
            self.earned[name] += paid
            total += paid
        return total

    def reset(self) -> None:
        """A new episode: nothing earned yet."""
        for name, component in self.named_children():
            self.earned[name] = 0.0
            component.last_score = None

    def descriptions(self) -> dict[str, str]:
        """How each component is paid."""
        return {name: component.description for name, component in self.named_children()}
