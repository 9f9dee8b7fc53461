"""Trainings that are over in seconds. This needs PyTorch."""

from __future__ import annotations

from mirr.agents.training.grpo import GrpoPlan
from mirr.agents.training.imitation import ImitationPlan
from mirr.agents.training.names import ModelName
from mirr.agents.training.train import Plan
from tests.agents.language_model.briefings import TINY

SHORT = ImitationPlan(episodes=128, passes=8, at_once=64, learning_rate=5e-3)
GRPO = GrpoPlan(seeds=16, group=8, at_once=256, learning_rate=3e-3)

TINY_PLAN = Plan(
    model=ModelName.SMALL,
    size=TINY,
    spread=0.0,
    imitation=ImitationPlan(episodes=64, passes=2, at_once=64),
    grpo=GRPO,
    most_iterations=2,
    validated=64,
    judged=64,
)
"""Two passes and two iterations."""
