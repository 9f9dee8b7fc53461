"""The judge and the rule for health exist twice: plain and compiled. Both give the same ledger to the last bit."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from mirr.env.environment import Environment, EpisodeReport
from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES, SERVICE_ROW, Objectives
from mirr.env.reward import REWARDS, Judge, Outcome, RewardTable
from mirr.env.scenario import EpisodeConfig, Scenario, Scheduled
from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ACTION_INDEX,
    ALL_FAULTS,
    PACK_ACTIONS,
    REMEDY,
    Action,
    Breaks,
    Diagnose,
    DiagnoseNone,
    Ends,
    Event,
    Fault,
    FaultMode,
    Feature,
    Journey,
    Reason,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
)
from mirr.env.world import FEATURES_SHAPE, ActionResult, JourneyCount, Snapshot
from tests.env.compiled_judge import CompiledJudge, Ledger
from tests.trials import first_is_quick

EPISODES = 3_000
BLOCKS = 10  # the episodes are divided into blocks, with one test for each block


class ScriptedWorld:
    """A world with a snapshot from the test. The test also decides whether it accepts an action."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(features=np.zeros(FEATURES_SHAPE), journeys=counts([0, 0, 0], [0, 0, 0]))
        self.accepts = True

    def restore(self, key: int) -> None:
        """There is nothing to restore."""

    def inject(self, fault: Fault) -> None:
        """The fault has no effect."""

    def happen(self, event: Event) -> None:
        """Nothing that happens has an effect."""

    def apply(self, action: Action) -> ActionResult:
        return ActionResult(reason=Reason.DONE if self.accepts else Reason.NOT_RUNNING, text="")

    def advance(self, seconds: float) -> None:
        """Time has no effect."""

    def observe(self) -> Snapshot:
        return self.snapshot

    def close(self) -> None:
        """There is nothing to close."""


def counts(requests: list[int], failed: list[int]) -> dict[Journey, JourneyCount]:
    return {
        journey: JourneyCount(*both) for journey, both in zip(Journey, zip(requests, failed, strict=True), strict=True)
    }


def random_rewards(rng: np.random.Generator) -> RewardTable:
    steps = {name: int(rng.integers(1, 4)) for name in ("recovery_steps", "collapse_steps")}
    pays: dict[str, Any] = {
        field.name: float(rng.normal(0.0, 10.0)) for field in fields(RewardTable) if field.name not in steps
    }
    return RewardTable(**pays, **steps)


def random_objectives(rng: np.random.Generator) -> Objectives:
    return Objectives(
        user_sli=float(rng.uniform(0.2, 0.9)),
        user_rate_per_s=float(rng.integers(0, 8)),
        request_rate=float(rng.uniform(0.5, 2.0)),
        error_ratio=float(rng.uniform(0.0, 0.3)),
        latency_p95_s=float(rng.uniform(0.1, 1.0)),
        memory_share=float(rng.uniform(0.3, 0.9)),
        collapse_sli=float(rng.uniform(0.0, 0.3)),
    )


def random_snapshot(rng: np.random.Generator, objectives: Objectives) -> Snapshot:
    """Everything is healthy, or one value is at the edge of its objective, far away from it, or missing."""
    features = np.empty(FEATURES_SHAPE)
    features[:] = (1.0, objectives.request_rate + 1.0, 0.0, 0.01, 0.3, 0.2, 1.0)
    requests = [int(number) for number in rng.integers(0, 40, size=3)]
    failed = [0, 0, 0]
    degraded = {}
    if rng.random() < 0.6:
        cell = (SERVICE_ROW[Service(rng.choice(list(Service)))], int(rng.integers(len(Feature))))
        edge = {
            FEATURE_COLUMN[Feature.UP]: 1.0,
            FEATURE_COLUMN[Feature.REQUEST_RATE]: objectives.request_rate,
            FEATURE_COLUMN[Feature.ERROR_RATIO]: objectives.error_ratio,
            FEATURE_COLUMN[Feature.LATENCY_P95_S]: objectives.latency_p95_s,
            FEATURE_COLUMN[Feature.MEMORY_SHARE]: objectives.memory_share,
        }.get(cell[1], 0.5)
        features[cell] = rng.choice([edge, np.nextafter(edge, 9.0), np.nextafter(edge, -9.0), 0.0, 5.0, np.nan])
    if rng.random() < 0.5:
        failed = [int(rng.integers(0, number + 1)) for number in requests]
    elif rng.random() < 0.3:
        failed = list(requests)
    if rng.random() < 0.1:
        requests = failed = [0, 0, 0]
    if rng.random() < 0.1:
        degraded = {Service(rng.choice(list(Service))): "runs release 1.5.0, steady is 1.4.0"}
    return Snapshot(features=features, journeys=counts(requests, failed), degraded=degraded)


def random_action(rng: np.random.Generator, faults: tuple[Fault, ...]) -> Action:
    """A random action. Actions that matter for the faults are more frequent."""
    right: list[Action] = [Wait()]
    for fault in faults:
        right += [Diagnose(fault.service, fault.mode), REMEDY[fault.mode](fault.service)]
    if not faults:
        right.append(DiagnoseNone())
    actions = right if rng.random() < 0.6 else PACK_ACTIONS
    return actions[int(rng.integers(len(actions)))]


def random_timeline(rng: np.random.Generator) -> tuple[Scheduled, ...]:
    """No fault, one, or two, perhaps of one service. They begin at once or later, and some end by themselves."""
    timeline = []
    chosen = rng.choice(len(ALL_FAULTS), size=rng.choice(3, p=[0.1, 0.3, 0.6]), replace=False)
    for fault in [ALL_FAULTS[number] for number in chosen]:
        step = int(rng.choice([0, 0, 1, 2, 5, 20]))
        timeline.append(Scheduled(step, Breaks(fault)))
        if rng.random() < 0.3:
            timeline.append(Scheduled(step + int(rng.integers(0, 4)), Ends(fault)))
    return tuple(sorted(timeline, key=lambda entry: entry.step))


def plain_ledger(environment: Environment, judge: Judge) -> Ledger:
    """The ledger of a finished episode, from the report of `Environment` and from its Judge."""
    report = environment.report
    assert report is not None
    return Ledger(
        steps=report.steps,
        outcome=report.outcome,
        total_reward=report.total_reward,
        diagnosis=report.diagnosis,
        diagnosed=report.diagnosis_correct,
        settled=judge.settled,
        time_to_diagnose_s=report.time_to_diagnose_s,
        healthy_steps=judge.healthy_steps,
        failed_requests=report.harm.failed_requests,
        objective_lost_s=report.harm.objective_lost_s,
        needless_actions=report.harm.needless_actions,
        wrong_fixes=report.wrong_fixes,
        clean=report.clean,
    )


@pytest.mark.parametrize("block", first_is_quick(range(BLOCKS)))
def test_both_judges_give_the_same_ledger_for_random_episodes(block: int) -> None:
    outcomes = set()
    for number in range(EPISODES // BLOCKS):
        rng = np.random.default_rng([block, number])
        scenario = Scenario(seed=number, timeline=random_timeline(rng))
        config = EpisodeConfig(
            max_steps=int(rng.integers(1, 13)), step_s=float(rng.choice([0.4, 2.0, 3.6])), none_diagnosis=True
        )
        objectives, rewards = random_objectives(rng), random_rewards(rng)
        world = ScriptedWorld()
        environment = Environment(world, config, objectives, rewards)
        environment.reset(scenario=scenario)
        judge = environment._judge
        assert judge is not None
        compiled = CompiledJudge(scenario, config, objectives, rewards)
        over = False
        while not over:
            action = random_action(rng, scenario.faults)
            world.snapshot, world.accepts = random_snapshot(rng, objectives), bool(rng.random() < 0.8)
            _, reward, terminated, truncated, _ = environment.step(action)
            over = terminated or truncated
            assert compiled.step(action, world.accepts, world.snapshot) == reward
            assert (compiled.ledger().outcome is not None) == over
        assert compiled.ledger() == plain_ledger(environment, judge)
        outcomes.add(compiled.ledger().outcome)
    assert outcomes == {Outcome.RESOLVED, Outcome.COLLAPSED, Outcome.EXHAUSTED}


CHANGED_REWARDS = {
    field.name: replace(REWARDS, **{field.name: getattr(REWARDS, field.name) + 1}) for field in fields(RewardTable)
}
CHANGED_OBJECTIVES = {
    "user_sli": replace(OBJECTIVES, user_sli=1.01),
    "user_rate_per_s": replace(OBJECTIVES, user_rate_per_s=1_000.0),
    "request_rate": replace(OBJECTIVES, request_rate=1_000.0),
    "error_ratio": replace(OBJECTIVES, error_ratio=-1.0),
    "latency_p95_s": replace(OBJECTIVES, latency_p95_s=0.0),
    "memory_share": replace(OBJECTIVES, memory_share=0.0),
    "collapse_sli": replace(OBJECTIVES, collapse_sli=1.0),
}
SHORT = EpisodeConfig(max_steps=10)
FAULTS = [Fault(mode, service) for mode in FaultMode for service in (Service.GATEWAY, Service.PAYMENTS)]
WRONG_FIX: dict[FaultMode, type[Restart] | type[Rollback] | type[ScaleUp]] = {
    FaultMode.CRASHED: Rollback,
    FaultMode.MEMORY_LEAK: Rollback,
    FaultMode.OVERLOADED: Rollback,
    FaultMode.BAD_DEPLOY: ScaleUp,
}


def scripts(fault: Fault) -> list[list[Action]]:
    """Three scripts: only right actions, the right fix after wrong actions, and only waiting."""
    right = [Diagnose(fault.service, fault.mode), REMEDY[fault.mode](fault.service)]
    wrong = [Diagnose(Service.AUTH, fault.mode), WRONG_FIX[fault.mode](fault.service)]
    return [[*right], [*wrong, right[1]], []]


def played(objectives: Objectives, rewards: RewardTable, *, batched: bool) -> list[tuple[object, ...]]:
    """Plays each script of each fault, in a batch or in one environment. Returns the rewards and the reports."""
    games = [(fault, script) for fault in FAULTS for script in scripts(fault)]
    numbers = [[ACTION_INDEX[action] for action in script] + [0] * SHORT.max_steps for _, script in games]
    if batched:
        batch = BatchedSimulator(
            len(games), config=SHORT, objectives=objectives, rewards=rewards, autoreset=Autoreset.NEXT_STEP
        )
        batch.reset(range(len(games)), faults=[fault for fault, _ in games])
        rewards_paid = np.zeros((SHORT.max_steps, len(games)))
        reports: dict[int, EpisodeReport] = {}
        for step in range(SHORT.max_steps):
            _, step_rewards, terminated, truncated = batch.step([script[step] for script in numbers])
            # The other environments already play their next episode.
            running = [e for e in range(len(games)) if e not in reports]
            rewards_paid[step, running] = step_rewards[running]
            reports |= {e: batch.report(e) for e in running if terminated[e] or truncated[e]}
        return [(rewards_paid[:, e].tolist(), reports[e]) for e in range(len(games))]
    found: list[tuple[object, ...]] = []
    environment = Environment(SimulatedWorld(), SHORT, objectives, rewards)
    for seed, ((fault, _), script) in enumerate(zip(games, numbers, strict=True)):
        environment.reset(seed=seed, fault=fault)
        each = [0.0] * SHORT.max_steps
        for step in range(SHORT.max_steps):
            _, each[step], is_resolved_or_collapsed, is_exhausted, _ = environment.step(script[step])
            if is_resolved_or_collapsed or is_exhausted:
                break
        found.append((each, environment.report))
    return found


@pytest.fixture(scope="module")
def with_defaults() -> list[tuple[object, ...]]:
    return played(OBJECTIVES, REWARDS, batched=False)


def test_every_field_of_the_objectives_is_tested() -> None:
    assert set(CHANGED_OBJECTIVES) == {field.name for field in fields(Objectives)}


@pytest.mark.parametrize("name", CHANGED_REWARDS)
def test_every_reward_counts_the_same_alone_and_in_a_batch(name: str, with_defaults: list[tuple[object, ...]]) -> None:
    alone = played(OBJECTIVES, CHANGED_REWARDS[name], batched=False)
    assert alone == played(OBJECTIVES, CHANGED_REWARDS[name], batched=True)
    assert alone != with_defaults


@pytest.mark.parametrize("name", CHANGED_OBJECTIVES)
def test_every_objective_counts_the_same_alone_and_in_a_batch(
    name: str, with_defaults: list[tuple[object, ...]]
) -> None:
    alone = played(CHANGED_OBJECTIVES[name], REWARDS, batched=False)
    assert alone == played(CHANGED_OBJECTIVES[name], REWARDS, batched=True)
    assert alone != with_defaults
