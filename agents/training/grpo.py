"""GRPO: several episodes of each seed are played, and what did better than the others of its seed becomes likelier.

A step costs something, so that doing nothing is not a free way out of all penalties. The distance to the imitation
(Kullback-Leibler, exact over the 41 actions) is held by a price, and the entropy is watched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirr.agents.training.episodes import FIRST_TRAINING_SEED, Endings, play
from mirr.agents.training.learner import Learner, Rows
from mirr.env.simulator.batch import BatchedSimulator

FIRST_GRPO_SEED = 2 * FIRST_TRAINING_SEED


@dataclass(frozen=True, kw_only=True)
class GrpoPlan:
    """How to improve."""

    seeds: int = 48  # of an iteration
    group: int = 8  # episodes of each seed
    passes: int = 2  # over the decisions of an iteration
    at_once: int = 512  # decisions a step of the optimiser
    learning_rate: float = 3e-4
    step_cost: float = 0.5  # reward that each step costs, in training only
    least_spread: float = 2.0  # reward
    clip: float = 0.2
    kl_price: float = 0.02
    entropy_worth: float = 0.003
    validate_every: int = 5  # iterations

    @property
    def size(self) -> int:
        """Episodes of an iteration."""
        return self.seeds * self.group


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """What one iteration did, for the curves."""

    number: int
    reward: float  # mean of the sampled episodes, without the cost of steps
    resolved: float
    diagnosed: float
    loss: float
    kl: float  # to the imitation
    entropy: float

    def to_json(self) -> dict[str, float]:
        """As the provenance has it."""
        return {"iteration" if name == "number" else name: round(value, 5) for name, value in asdict(self).items()}


def improve(learner: Learner, batch: BatchedSimulator, plan: GrpoPlan) -> Iterator[Iteration]:
    """Iterations for as long as the caller goes on. The batch has `plan.size` places."""
    imitation = learner.frozen_copy()
    optimiser = torch.optim.AdamW(learner.learned(), lr=plan.learning_rate, weight_decay=0.0)
    for number in count(1):
        first = FIRST_GRPO_SEED + (number - 1) * plan.seeds
        seeds = np.repeat(np.arange(first, first + plan.seeds), plan.group).tolist()
        decisions, endings = play(batch, seeds, learner.sampled())
        rows = learner.rows(decisions)
        merit = torch.from_numpy(shared(merits(endings, plan), endings)[decisions.episode]).to(learner.device)
        before = learner.all_log_shares(rows)
        reference = imitation.all_log_shares(rows)
        told = [
            _step(learner, optimiser, plan, rows[places], merit[places], before[places], reference[places])
            for _ in range(plan.passes)
            for places in learner.shuffled(len(decisions), plan.at_once)
        ]
        loss, kl, entropy = np.mean(told, axis=0).tolist()
        yield Iteration(
            number=number,
            reward=float(endings.rewards.mean()),
            resolved=float(endings.resolved.mean()),
            diagnosed=float(endings.diagnosed.mean()),
            loss=loss,
            kl=kl,
            entropy=entropy,
        )


def merits(endings: Endings, plan: GrpoPlan) -> NDArray[np.float32]:  # (n,)
    """How much better each episode went than the others of its seed, in standard deviations of that seed."""
    earned = (endings.rewards - plan.step_cost * endings.steps).reshape(-1, plan.group)
    better = earned - earned.mean(axis=1, keepdims=True)
    # Where all went nearly alike, the difference is luck, and must not count as much as one between good and bad.
    spread = np.maximum(earned.std(axis=1, keepdims=True), plan.least_spread)
    found: NDArray[np.float32] = (better / spread).reshape(-1).astype(np.float32)
    return found


def shared(merit: NDArray[np.float32], endings: Endings) -> NDArray[np.float32]:  # (n,)
    """What each decision of an episode gets of its merit, so that a long episode counts no more than a short one.

    Bad episodes are the long ones. If each decision counted the same, the sum would be far below zero. The model would
    then mostly learn to do less of everything.
    """
    found: NDArray[np.float32] = (merit * (endings.steps.mean() / endings.steps)).astype(np.float32)
    return found


def _step(
    learner: Learner,
    optimiser: torch.optim.Optimizer,
    plan: GrpoPlan,
    rows: Rows,
    merit: Tensor,
    before: Tensor,
    reference: Tensor,
) -> tuple[float, float, float]:
    """One step of the optimiser: the loss, the distance to the imitation, the entropy."""
    now = learner.log_shares(rows.words, rows.allowed)
    chosen = rows.actions[:, None]
    ratio = (now.gather(1, chosen) - before.gather(1, chosen))[:, 0].exp()
    gain = torch.minimum(ratio * merit, ratio.clamp(1.0 - plan.clip, 1.0 + plan.clip) * merit).mean()
    # What is not allowed has probability 0 and logarithm -inf; it counts as 0 in both sums.
    safe = now.masked_fill(~rows.allowed, 0.0)
    share = now.exp()
    kl = (share * (safe - reference.masked_fill(~rows.allowed, 0.0))).sum(dim=-1).mean()
    entropy = -(share * safe).sum(dim=-1).mean()
    loss = plan.kl_price * kl - gain - plan.entropy_worth * entropy
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # PyTorch has no annotation for it
    torch.nn.utils.clip_grad_norm_(learner.learned(), 1.0)
    optimiser.step()
    return float(loss.detach()), float(kl.detach()), float(entropy.detach())
