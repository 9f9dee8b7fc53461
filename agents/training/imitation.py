"""Imitation: the model learns to do what a policy did in its episodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from mirr.agents.training.episodes import Decisions
from mirr.agents.training.learner import Learner


@dataclass(frozen=True, kw_only=True)
class ImitationPlan:
    """How to imitate."""

    episodes: int = 2048  # of the teacher
    passes: int = 8  # over all its decisions
    at_once: int = 256  # decisions a step of the optimiser
    learning_rate: float = 2e-3
    weight_decay: float = 0.01


def imitate(learner: Learner, shown: Decisions, plan: ImitationPlan, report: Callable[[int, float], None]) -> None:
    """Learn from what was shown. After each pass, `report` gets its number and its mean loss."""
    rows = learner.rows(shown)
    optimiser = torch.optim.AdamW(learner.learned(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    steps = 1 + plan.passes * -(-len(shown) // plan.at_once)
    # The rate rises for a tenth of the steps, and for two at least: PyTorch would divide by zero.
    rising = max(0.1, 2 / steps)
    slowing = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, total_steps=steps, pct_start=rising)
    learner.model.train()
    for number in range(plan.passes):
        total = 0.0
        for places in learner.shuffled(len(shown), plan.at_once):
            some = rows[places]
            loss = functional.nll_loss(learner.log_shares(some.words, some.allowed), some.actions)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch has no annotation for it
            torch.nn.utils.clip_grad_norm_(learner.learned(), 1.0)
            optimiser.step()
            slowing.step()
            total += float(loss.detach()) * len(places)
        report(number + 1, total / len(shown))
    learner.model.train(False)
