"""Many simulated episodes side by side, with the notes that an agent keeps of them: for training and for judging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirr.agents.ppo.notes import Flags, Floats, Notes, Whole
from mirr.agents.registry import PolicyName, make_policy
from mirr.agents.training.episodes import Endings
from mirr.env.scenario import draw, policy_rng
from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.physics.faults import FORMS
from mirr.env.simulator.randomisation import ParameterSets
from mirr.env.vocabulary import ACTION_INDEX, Tier

Choose = Callable[[Notes, Flags], Whole]
"""The action in each episode, from the notes of all, and which episodes run. In the others, any action will do."""

_FORMS = len(FORMS)
_CASE = (k.CASE_BEGUN, k.CASE_NAMED, k.CASE_FIXED)
TRUTHS = k.MOST_FAULTS * (_FORMS + k.SERVICES + len(_CASE)) + 5
"""How many numbers say what is true in an episode."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The episodes that a step has ended."""

    rewards: NDArray[np.float64]  # (m,) the sum of each episode
    resolved: Flags  # (m,)
    diagnosed: Flags  # (m,)
    clean: Flags  # (m,)


class Arena:
    """A batch in which each episode is followed by another one at once, and the agent's notes of each."""

    def __init__(self, size: int, tier: Tier, *, threads: int, parameters: ParameterSets | None = None) -> None:
        self.batch = BatchedSimulator(
            size, tier=tier, threads=threads, parameters=parameters, autoreset=Autoreset.SAME_STEP
        )
        config = self.batch.config
        self.notes = Notes(size, alarms_may_be_false=config.none_diagnosis, max_steps=config.max_steps)

    @property
    def size(self) -> int:
        """How many episodes are played at once."""
        return self.batch.size

    def begin(self, seeds: Sequence[int]) -> None:
        """Begin an episode of each seed."""
        self.notes.begin(self.batch.reset(seeds))

    def step(self, actions: Whole) -> tuple[NDArray[np.float64], Flags]:  # (size,) each
        """Play one step everywhere: the rewards, and where an episode has ended and another one has begun."""
        batch = self.batch
        features, rewards, terminated, truncated = batch.step(actions)
        ended = terminated | truncated
        accepted = batch.column(k.RESULT) == k.ACCEPTED
        self.notes.note(actions, accepted, features, batch.logged(), batch.read_start_age_s)
        if ended.any():
            self.notes.begin(features, ended)
        return rewards.copy(), ended

    def endings(self, where: Flags) -> Ended:
        """How the last episodes ended in these places."""
        batch = self.batch
        return Ended(
            rewards=batch.column(k.REWARD, ended=True)[where],
            resolved=batch.column(k.OUTCOME, ended=True)[where] == k.RESOLVED,
            diagnosed=batch.column(k.DIAGNOSED, ended=True)[where] == 1.0,
            clean=batch.clean[where],
        )

    def truth(self) -> Floats:  # (size, TRUTHS)
        """What is true in each episode. For the critic: no agent sees it."""
        column = self.batch.column
        faults = column(k.FAULTS)
        parts = [(faults == 0.0)[:, None], column(k.SETTLED)[:, None], 0.5 * column(k.COMMITMENTS)[:, None]]
        parts += [0.5 * column(k.HEALTHY)[:, None], column(k.COLLAPSING)[:, None] / 3.0]
        for fault in range(k.MOST_FAULTS):
            there = (faults > fault)[:, None]
            parts.append(there * (column(k.FORM + fault)[:, None] == np.arange(_FORMS)))
            parts.append(there * (column(k.SERVICE + fault)[:, None] == np.arange(k.SERVICES)))
            parts += [there * column(each + fault)[:, None] for each in _CASE]
        found: Floats = np.concatenate(parts, axis=1, dtype=np.float32)
        return found


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What a policy decided, and from which notes."""

    own: Floats  # (m, services, OWN)
    shared: Floats  # (m, SHARED)
    allowed: Flags  # (m, actions)
    actions: Whole  # (m,)

    def __len__(self) -> int:
        return len(self.actions)


def _joined(each: Sequence[Decisions]) -> Decisions:
    return Decisions(
        own=np.concatenate([one.own for one in each]),
        shared=np.concatenate([one.shared for one in each]),
        allowed=np.concatenate([one.allowed for one in each]),
        actions=np.concatenate([one.actions for one in each]),
    )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How one episode of each seed ended."""

    endings: Endings
    mitigated_s: NDArray[np.float64]  # (n,) from step 0 to the start of the recovery; NaN if there was none

    def to_json(self) -> dict[str, object]:
        """Rates and means, with their intervals."""
        mean = float(np.nanmean(self.mitigated_s)) if self.endings.resolved.any() else None
        return self.endings.to_json() | {"mean_time_to_mitigate_s": None if mean is None else round(mean, 3)}

    def __str__(self) -> str:
        ended = self.endings
        told = (
            f"resolved {ended.resolved.mean():.2%}, diagnosed {ended.diagnosed.mean():.2%}, clean "
            f"{ended.clean.mean():.2%}, mean reward {ended.rewards.mean():.3f}"
        )
        return told + (f", {np.nanmean(self.mitigated_s):.2f} s to mitigate" if ended.resolved.any() else "")


def judged(seeds: Sequence[int], tier: Tier, choose: Choose, *, threads: int) -> Judged:
    """Play one episode of each seed on the simulator as it is."""
    return _played(Arena(len(seeds), tier, threads=threads), seeds, choose)


def judged_policy(
    policy: PolicyName, seeds: Sequence[int], tier: Tier, *, threads: int, parameters: ParameterSets | None = None
) -> tuple[Judged, Decisions]:
    """The same for any policy, and what it decided."""
    arena = Arena(len(seeds), tier, threads=threads, parameters=parameters)
    policies = [make_policy(policy, draw(seed, None, tier)) for seed in seeds]
    for each, seed in zip(policies, seeds, strict=True):
        each.reset(policy_rng(seed))

    found: list[Decisions] = []

    def choose(notes: Notes, running: Flags) -> Whole:
        actions = np.zeros(len(seeds), dtype=np.int64)
        for e in np.flatnonzero(running).tolist():
            actions[e] = ACTION_INDEX[policies[e].act(arena.batch.observation(e))]
        found.append(
            Decisions(
                own=notes.own()[running],
                shared=notes.shared()[running],
                allowed=notes.allowed[running],
                actions=actions[running],
            )
        )
        return actions

    return _played(arena, seeds, choose), _joined(found)


def _played(arena: Arena, seeds: Sequence[int], choose: Choose) -> Judged:
    arena.begin(seeds)
    size, batch = arena.size, arena.batch
    running = np.ones(size, dtype=np.bool_)
    rewards, steps, mitigated_s = np.zeros(size), np.zeros(size, dtype=np.int64), np.full(size, np.nan)
    flags = {name: np.zeros(size, dtype=np.bool_) for name in ("resolved", "diagnosed", "clean")}
    while running.any():
        # Where an episode is over, another one goes on, and nobody looks.
        _, ended = arena.step(choose(arena.notes, running))
        now = running & ended
        if not now.any():
            continue
        found = arena.endings(now)
        rewards[now] = found.rewards
        flags["resolved"][now], flags["diagnosed"][now], flags["clean"][now] = (
            found.resolved,
            found.diagnosed,
            found.clean,
        )
        taken, healthy = batch.column(k.STEP, ended=True)[now], batch.column(k.HEALTHY, ended=True)[now]
        steps[now] = taken.astype(np.int64)
        mitigated_s[now] = np.where(found.resolved, (taken - healthy) * batch.config.step_s, np.nan)
        running &= ~now
    return Judged(endings=Endings(rewards=rewards, steps=steps, **flags), mitigated_s=mitigated_s)
