"""Trainings that are over in seconds. This needs PyTorch."""

from __future__ import annotations

from mirr.agents.training.grpo import GrpoPlan
from mirr.agents.training.imitation import ImitationPlan
from mirr.agents.training.names import ModelName
from mirr.agents.training.train import Plan
from tests.agents.language_model.briefings import TINY

SHORT = ImitationPlan(episodes=128, passes=8, at_once=64, learning_rate=5e-3)
BRIEF = ImitationPlan(episodes=16, passes=2, at_once=64)
GRPO = GrpoPlan(seeds=16, group=8, at_once=256, learning_rate=3e-3)

TINY_PLAN = Plan(
    model=ModelName.SMALL,
    size=TINY,
    spread=0.0,
    imitation=BRIEF,
    grpo=GrpoPlan(seeds=4, group=4),
    most_iterations=2,
    validated=16,
    judged=16,
)
"""Two passes and two iterations."""
