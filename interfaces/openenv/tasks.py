"""The tasks for training and testing: every fault and every scenario pack many times, in two splits that share no
seed. Two more splits have what seeds draw in the tier `medium`, and two in the tier `hard`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

import numpy as np

from mirr.env.quoting import quoted
from mirr.env.scenario import BadScenario, EpisodeConfig, Scenario, draw
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import ALL_FAULTS, Tier
from mirr.scenarios.packs import PACK_CONFIG, all_packs


class Split(StrEnum):
    """What a task is for."""

    TRAIN = "train"
    TEST = "test"
    TRAIN_MEDIUM = "train_medium"
    TEST_MEDIUM = "test_medium"
    TRAIN_HARD = "train_hard"
    TEST_HARD = "test_hard"


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """How a split is made."""

    first_seed: int  # task i has the seed `first_seed + i`, so that no two tasks share their noise
    rounds: int  # how often every fault and every pack comes; above `easy`, as many tasks as there are faults
    tier: Tier = Tier.EASY


_PLANS: dict[Split, _Plan] = {
    Split.TRAIN: _Plan(first_seed=1_000_000, rounds=100),
    Split.TEST: _Plan(first_seed=2_000_000, rounds=20),
    Split.TRAIN_MEDIUM: _Plan(first_seed=3_000_000, rounds=100, tier=Tier.MEDIUM),
    Split.TEST_MEDIUM: _Plan(first_seed=4_000_000, rounds=20, tier=Tier.MEDIUM),
    Split.TRAIN_HARD: _Plan(first_seed=5_000_000, rounds=100, tier=Tier.HARD),
    Split.TEST_HARD: _Plan(first_seed=6_000_000, rounds=20, tier=Tier.HARD),
}

ONE_BROKEN = "Users are affected. One of the five services is broken; find out which one and how."
ALARM = "There was an alarm, and it may be false. Find out which of the five services are broken, if any, and how."


def situation_of(config: EpisodeConfig) -> str:
    """What the person on call knows about an incident that a seed drew."""
    return ALARM if config.none_diagnosis else ONE_BROKEN


class UnknownSplit(BadScenario):
    """An unknown split. The message lists the known ones."""


class NoSuchTask(BadScenario, IndexError):
    """An index without a task. The message gives the range. OpenEnv expects an IndexError."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One incident to be played."""

    split: Split
    index: int
    scenario: Scenario
    config: EpisodeConfig
    situation: str  # what the person on call knows

    @property
    def id(self) -> str:
        """A name that reveals nothing about the incident."""
        return f"{self.split}-{self.index:05d}"

    def to_json(self) -> dict[str, object]:
        """What players may know about a task before they play it. It has no faults. It has no seed and no pack's name
        either, because both reveal the faults."""
        return {"id": self.id, "split": str(self.split), "index": self.index, "situation": self.situation}


def parse_split(name: object) -> Split:
    """The split of that name, or UnknownSplit."""
    try:
        return Split(name)  # type: ignore[arg-type]  # the client may send any value
    except ValueError as error:
        raise UnknownSplit(f"unknown split {quoted(name)}; one of: {', '.join(Split)}") from error


@cache
def tasks_of(split: Split) -> tuple[Task, ...]:
    """All tasks of a split. The kinds are shuffled, so any slice is a fair sample."""
    plan = _PLANS[split]
    if plan.tier is not Tier.EASY:
        return tuple(_drawn(split, plan, index) for index in range(plan.rounds * len(ALL_FAULTS)))
    kinds = [kind for _ in range(plan.rounds) for kind in _kinds()]
    order = np.random.default_rng(plan.first_seed).permutation(len(kinds))
    return tuple(
        Task(
            split=split,
            index=index,
            scenario=replace(kinds[kind].scenario, seed=plan.first_seed + index),
            config=kinds[kind].config,
            situation=kinds[kind].situation,
        )
        for index, kind in enumerate(order.tolist())
    )


def _drawn(split: Split, plan: _Plan, index: int) -> Task:
    """A task of a tier above `easy`: what its seed draws there."""
    return Task(
        split=split,
        index=index,
        scenario=draw(plan.first_seed + index, tier=plan.tier),
        config=TIERS[plan.tier].config,
        situation=situation_of(TIERS[plan.tier].config),
    )


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A fault or a pack, before it is given a seed."""

    scenario: Scenario
    config: EpisodeConfig
    situation: str


@cache
def _kinds() -> tuple[_Kind, ...]:
    drawn = (_Kind(scenario=draw(0, fault), config=EpisodeConfig(), situation=ONE_BROKEN) for fault in ALL_FAULTS)
    packs = (
        _Kind(scenario=pack.scenario(), config=PACK_CONFIG, situation=pack.symptom.strip()) for pack in all_packs()
    )
    return (*drawn, *packs)


def task_at(split: object, index: object) -> Task:
    """The task at `index` of `split`. Raises UnknownSplit or NoSuchTask."""
    chosen = parse_split(split)
    tasks = tasks_of(chosen)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(tasks):
        raise NoSuchTask(f"no task {quoted(index)} in {chosen}; its tasks go from 0 to {len(tasks) - 1}")
    return tasks[index]
