"""What the tests of training share. It imports PyTorch, so only a process that runs such a test imports it."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

from mirr.agents.language_model.network import Size
from mirr.agents.registry import PolicyName
from mirr.agents.training.episodes import (
    FIRST_TRAINING_SEED,
    Endings,
    demonstrate,
    mean_interval,
    open_batch,
    play,
)
from mirr.agents.training.imitation import ImitationPlan, imitate
from mirr.agents.training.learner import Learner
from mirr.agents.training.small import SmallModel
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.vocabulary import Fault, Tier

CPU = torch.device("cpu")
JUDGED = range(128)


class OneFault(BatchedSimulator):
    """Always the same fault: a task that can be learned from nothing in seconds."""

    def reset(self, seeds: Any = None, *, faults: Any = None, scenarios: Any = None, mask: Any = None) -> NDArray[Any]:
        return super().reset(seeds, faults=Fault.parse("crashed:auth"), mask=mask)


def untrained(size: Size) -> Learner:
    """A learner that knows nothing."""
    return Learner(SmallModel(size, seed=0), CPU, seed=0)


def taught(learner: Learner, plan: ImitationPlan) -> list[float]:
    """Let a learner imitate the heuristic. Returns the loss of each pass."""
    batch = open_batch(plan.episodes, Tier.EASY, threads=1, spread=0.0, seed=0)
    seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + plan.episodes)
    shown, _ = demonstrate(batch, PolicyName.HEURISTIC, seeds)
    losses: list[float] = []
    imitate(learner, shown, plan, lambda _, loss: losses.append(loss))
    return losses


def judged(learner: Learner) -> Endings:
    """How held-out episodes end with the learner's best actions."""
    batch = open_batch(len(JUDGED), Tier.EASY, threads=1, spread=0.0, seed=0)
    return play(batch, JUDGED, learner.best())[1]


def gain(before: Endings, after: Endings) -> tuple[float, float]:
    """The lower and the upper end of the interval of the paired difference in reward."""
    mean, half = mean_interval(after.rewards - before.rewards)
    return mean - half, mean + half
