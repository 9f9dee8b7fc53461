"""Many simulated episodes at once, and what happened in them: for demonstrations, for training, for judging."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirr.agents.language_model.notebook import Notebook
from mirr.agents.language_model.words import Whole, encode
from mirr.agents.registry import PolicyName, make_policy
from mirr.env.evaluation import Z_95, wilson_interval
from mirr.env.scenario import draw, policy_rng
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.randomisation import Randomisation
from mirr.env.vocabulary import ACTION_INDEX, Tier

FIRST_TRAINING_SEED: Final = 1_000_000
"""Training plays this seed and later ones. All seeds below are held out."""

Choose = Callable[[Whole, Whole, NDArray[np.bool_]], Whole]
"""The action in each running episode, from their numbers, their prompts and what is allowed there."""


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Every decision of some episodes."""

    words: NDArray[np.int16]  # (m, LENGTH): there are many, and no word is above 1,000
    allowed: NDArray[np.bool_]  # (m, actions)
    actions: Whole  # (m,)
    episode: Whole  # (m,) the place of its episode

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True, kw_only=True)
class Endings:
    """How each episode ended."""

    rewards: NDArray[np.float64]  # (n,)
    steps: Whole  # (n,)
    resolved: NDArray[np.bool_]  # (n,)
    diagnosed: NDArray[np.bool_]  # (n,)
    clean: NDArray[np.bool_]  # (n,)

    def to_json(self) -> dict[str, object]:
        """Rates and means, with their intervals."""
        rates = {"resolved": self.resolved, "diagnosed": self.diagnosed, "clean": self.clean}
        found: dict[str, object] = {"episodes": len(self.rewards)}
        for name, each in rates.items():
            found[name] = round(float(each.mean()), 4)
            found[f"{name}_interval"] = [round(end, 4) for end in wilson_interval(int(each.sum()), len(each)) or ()]
        mean, half = mean_interval(self.rewards)
        return found | {
            "mean_reward": round(mean, 3),
            "mean_reward_interval": [round(mean - half, 3), round(mean + half, 3)],
            "mean_steps": round(float(self.steps.mean()), 3),
        }


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The mean, and half the width of its 95% interval."""
    return float(values.mean()), Z_95 * float(values.std(ddof=1)) / math.sqrt(len(values))


def open_batch(size: int, tier: Tier, *, threads: int, spread: float, seed: int) -> BatchedSimulator:
    """A batch of the simulator. With a `spread` above 0, each parameter varies by up to that share of it."""
    parameters = Randomisation.everything(spread, seed=seed).draw() if spread > 0.0 else None
    return BatchedSimulator(size, tier=tier, threads=threads, parameters=parameters)


def play(batch: BatchedSimulator, seeds: Sequence[int], choose: Choose) -> tuple[Decisions, Endings]:
    """Play one episode of each seed, all at once. Raises EpisodeError unless the batch has as many places."""
    notebook, size = Notebook(batch.size), batch.size
    notebook.begin(batch.reset(seeds))
    running = np.ones(size, dtype=np.bool_)
    rewards, steps = np.zeros(size), np.zeros(size, dtype=np.int64)
    outcome, diagnosed, clean = np.zeros(size), np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    prompts, allowed, chosen, places = [], [], [], []
    while running.any():
        here = np.flatnonzero(running)
        words, may = encode(notebook.briefing())[here], notebook.allowed[here].copy()
        taken = choose(here, words, may)
        prompts.append(words.astype(np.int16))
        allowed.append(may)
        chosen.append(taken)
        places.append(here)
        actions = np.zeros(size, dtype=np.int64)  # where the episode is over, another one goes on, and nobody looks
        actions[here] = taken
        features, paid, terminated, truncated = batch.step(actions)
        rewards[here] += paid[here]
        steps[here] += 1
        ended = running & (terminated | truncated)
        outcome[ended] = batch.column(k.OUTCOME, ended=True)[ended]
        diagnosed[ended] = batch.column(k.DIAGNOSED, ended=True)[ended] == 1.0
        clean[ended] = batch.clean[ended]
        running &= ~ended
        notebook.note(actions, batch.column(k.RESULT) == k.ACCEPTED, features, batch.logged())
    decisions = Decisions(
        words=np.concatenate(prompts),
        allowed=np.concatenate(allowed),
        actions=np.concatenate(chosen),
        episode=np.concatenate(places),
    )
    return decisions, Endings(
        rewards=rewards, steps=steps, resolved=outcome == k.RESOLVED, diagnosed=diagnosed, clean=clean
    )


def demonstrate(batch: BatchedSimulator, teacher: PolicyName, seeds: Sequence[int]) -> tuple[Decisions, Endings]:
    """What `teacher` does in an episode of each seed."""
    policies = [make_policy(teacher, draw(seed, None, batch.tier)) for seed in seeds]
    for policy, seed in zip(policies, seeds, strict=True):
        policy.reset(policy_rng(seed))

    def choose(here: Whole, words: Whole, allowed: NDArray[np.bool_]) -> Whole:
        return np.array([ACTION_INDEX[policies[e].act(batch.observation(e))] for e in here.tolist()])

    return play(batch, seeds, choose)
