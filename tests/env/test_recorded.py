"""A recorded episode as a world. It plays back the recorded actions and refuses all others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mirr.agents.registry import PolicyName, make_policy
from mirr.chaos.journal import Journal
from mirr.env.environment import Environment, EpisodeReport, Observation
from mirr.env.record import RecordError, Rollout, RolloutWriter, read_rollout
from mirr.env.recorded import NotRecorded, RecordedWorld, play_back
from mirr.env.reward import RewardTable
from mirr.env.rollout import EpisodeResult, play
from mirr.env.scenario import EpisodeConfig, Scenario, draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ACTIONS,
    Action,
    CheckLogs,
    Deploys,
    Fault,
    Restart,
    Service,
    Wait,
    action_text,
)
from mirr.env.world import World, WorldError
from mirr.scenarios.packs import PACK_CONFIG, Pack, all_packs
from tests.env.fakes import FakeWorld, write_version_1
from tests.fakes.assembly import fake_docker_world
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab

FAULT = Fault.parse("crashed:payments")


def recorded(
    path: Path, world: World, scenario: Scenario, policy: PolicyName, config: EpisodeConfig | None = None
) -> tuple[EpisodeResult, list[Observation]]:
    """Plays an episode and records it to `path`. Returns the result and the observations."""
    seen: list[Observation] = []
    with RolloutWriter(path) as writer:
        result = play(
            Environment(world, config),
            make_policy(policy, scenario),
            scenario=scenario,
            world_name="somewhere",
            policy_name=policy,
            record=writer,
            on_step=lambda observation, move: seen.append(observation),
        )
    return result, seen


def same_observation(one: Observation, other: Observation) -> bool:
    """Whether two observations are the same to the last bit."""
    fields = ("step", "steps_left", "last_action", "last_result", "logs", "logs_of")
    return np.array_equal(one.features, other.features, equal_nan=True) and all(
        vars(one)[field] == vars(other)[field] for field in fields
    )


def assert_playback_is_the_same(path: Path, result: EpisodeResult, seen: list[Observation]) -> None:
    again: list[Observation] = []
    playback = play_back(read_rollout(path), on_step=lambda observation, move: again.append(observation))
    assert playback.differences == ()
    assert playback.report == result.report
    assert len(again) == len(seen)
    assert all(same_observation(one, other) for one, other in zip(again, seen, strict=True))


@pytest.mark.parametrize("policy", [PolicyName.HEURISTIC, PolicyName.RANDOM, PolicyName.BRUTE_FORCE])
@pytest.mark.parametrize("seed", range(4))
def test_an_episode_of_the_simulator_plays_back_the_same(tmp_path: Path, policy: PolicyName, seed: int) -> None:
    path = tmp_path / "r.jsonl"
    assert_playback_is_the_same(path, *recorded(path, SimulatedWorld(), draw(seed), policy))


@pytest.mark.parametrize("pack", all_packs(), ids=lambda pack: pack.id)
def test_an_episode_of_a_pack_plays_back_the_same(tmp_path: Path, pack: Pack) -> None:
    path = tmp_path / "r.jsonl"
    assert_playback_is_the_same(
        path, *recorded(path, SimulatedWorld(), pack.scenario(), PolicyName.HEURISTIC, PACK_CONFIG)
    )


# tests/interfaces/mcp/test_real_lab.py plays an episode of the real lab back.
@pytest.mark.parametrize("fault", ["crashed:auth", "bad_deploy:orders", "overloaded:payments"])
def test_an_episode_of_the_fake_lab_plays_back_the_same(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "r.jsonl"
    world = fake_docker_world(FakeLab(FakeClock()), Journal(tmp_path))
    result, seen = recorded(path, world, draw(5, Fault.parse(fault)), PolicyName.HEURISTIC)
    assert result.report.steps > 1
    assert_playback_is_the_same(path, result, seen)


def test_an_episode_with_other_rewards_is_played_back_with_them(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    rewards = RewardTable(correct_diagnosis=1.0, recovery_steps=3)
    environment = Environment(SimulatedWorld(), rewards=rewards)
    with RolloutWriter(path) as writer:
        result = play(environment, make_policy(PolicyName.ORACLE, draw(7)), scenario=draw(7), record=writer)
    assert read_rollout(path).rewards == rewards
    assert result.report.reason == "every objective met for 3 steps running"
    assert play_back(read_rollout(path)).differences == ()


class Flaky(FakeWorld):
    """A world that fails in the step with the given action."""

    def __init__(self, action: Action) -> None:
        super().__init__()
        self.action = action

    def advance(self, seconds: float) -> None:
        if self.applied and self.applied[-1] == self.action:
            raise WorldError("the engine is gone; next: mirr doctor")
        super().advance(seconds)


def test_the_playback_fails_where_the_world_failed(tmp_path: Path) -> None:
    path = tmp_path / "void.jsonl"
    result, seen = recorded(path, Flaky(CheckLogs(Service.AUTH)), draw(3, FAULT), PolicyName.RANDOM)
    rollout = read_rollout(path)
    assert (str(result.report.outcome), rollout.attempted) == ("void", CheckLogs(Service.AUTH))
    assert len(seen) > 2
    assert_playback_is_the_same(path, result, seen)
    assert play_back(rollout).steps == len(seen) - 1


def test_an_episode_that_failed_at_its_start_is_void_in_the_playback_too(tmp_path: Path) -> None:
    path = tmp_path / "void.jsonl"
    world = FakeWorld()
    world.fails_with = "Prometheus is gone; next: mirr up"
    result, seen = recorded(path, world, draw(3, FAULT), PolicyName.WAIT)
    assert_playback_is_the_same(path, result, seen)
    with pytest.raises(WorldError, match=r"^Prometheus is gone; next: mirr up$"):
        Environment(RecordedWorld(read_rollout(path))).reset(seed=3, fault=FAULT)


@pytest.fixture
def rollout(tmp_path: Path) -> Rollout:
    """The episode of the oracle with seed 3: diagnose, restart, wait."""
    path = tmp_path / "oracle.jsonl"
    recorded(path, SimulatedWorld(), draw(3, FAULT), PolicyName.ORACLE)
    return read_rollout(path)


def started(rollout: Rollout) -> Environment:
    environment = Environment(RecordedWorld(rollout), rollout.config)
    environment.reset(scenario=rollout.scenario)
    return environment


def test_another_action_is_refused_and_the_episode_does_not_move(rollout: Rollout) -> None:
    environment = started(rollout)
    with pytest.raises(NotRecorded) as caught:
        environment.step(Restart(Service.AUTH))
    assert str(caught.value) == (
        f"{rollout.path}, step 1: the recording holds diagnose(payments, crashed), not restart(auth); "
        "a recording plays only its own actions"
    )
    rewards = [environment.step(step.action)[1] for step in rollout.steps[1:] if step.action is not None]
    assert rewards == [step.reward for step in rollout.steps[1:]]
    assert isinstance(environment.report, EpisodeReport)


def test_every_other_action_is_refused_at_every_step(rollout: Rollout) -> None:
    environment = started(rollout)
    for step in rollout.steps[1:]:
        for action in ACTIONS:
            if action != step.action:
                with pytest.raises(NotRecorded, match=f"step {step.step}: the recording holds"):
                    environment.step(action)
        assert step.action is not None
        environment.step(step.action)


def test_a_cut_recording_ends_where_it_was_cut(tmp_path: Path, rollout: Rollout) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_text("".join(rollout.path.read_text().splitlines(keepends=True)[:3]))
    cut = read_rollout(path)
    environment = started(cut)
    assert cut.steps[1].action is not None
    environment.step(cut.steps[1].action)
    with pytest.raises(NotRecorded) as caught:
        environment.step(Wait())
    assert str(caught.value) == f"{path}, step 2: the recording is cut off before it and holds no wait"
    playback = play_back(cut)
    assert (playback.steps, playback.report) == (1, None)
    assert playback.differences == ("the recording is cut off after step 1: it has no report",)


def test_a_recording_with_only_a_header_counts_as_cut(tmp_path: Path, rollout: Rollout) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_text(rollout.path.read_text().splitlines(keepends=True)[0])
    assert play_back(read_rollout(path)).differences == (
        "the recording is cut off before its first observation: it has no report",
    )
    with pytest.raises(NotRecorded) as caught:
        started(read_rollout(path))
    assert str(caught.value) == (f"{path}, step 0: the recording is cut off before it and holds no first observation")


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (draw(4, FAULT), "{path} is the episode of seed 3; play it with its own scenario"),
        (
            draw(3, Fault.parse("crashed:auth")),
            "{path}, step 0: the recording begins with crashed:payments, not with crashed:auth; "
            "play it with its own scenario",
        ),
    ],
)
def test_another_scenario_is_refused(rollout: Rollout, scenario: Scenario, message: str) -> None:
    with pytest.raises(NotRecorded) as caught:
        Environment(RecordedWorld(rollout)).reset(scenario=scenario)
    assert str(caught.value) == message.format(path=rollout.path)


def test_a_scenario_without_a_fault_of_the_recording_is_refused(rollout: Rollout) -> None:
    environment = Environment(RecordedWorld(rollout))
    environment.reset(scenario=Scenario(seed=3, timeline=()))
    with pytest.raises(NotRecorded) as caught:
        environment.step(Wait())
    assert str(caught.value) == (
        f"{rollout.path}, step 0: the recording begins with crashed:payments, not with no fault; "
        "play it with its own scenario"
    )


def test_an_event_that_did_not_happen_is_refused(rollout: Rollout) -> None:
    world = RecordedWorld(rollout)
    with pytest.raises(NotRecorded) as caught:
        world.happen(Deploys(Service.AUTH))
    assert str(caught.value).startswith(f"{rollout.path}, step 0: nothing such as Deploys(")


def test_version_1_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "v1.jsonl"
    write_version_1(path)
    with pytest.raises(RecordError) as caught:
        play_back(read_rollout(path))
    assert str(caught.value) == (
        f"{path} has schema version 1, which can be read but not played back: before version 3 a seed meant "
        "another episode; next: record the episode again"
    )


def test_what_version_4_did_not_report_is_not_compared(rollout: Rollout) -> None:
    def as_version_4(line: dict[str, object]) -> None:
        if line["kind"] == "header":
            line["version"] = 4
        else:
            report = line["report"]
            assert isinstance(report, dict)
            del report["clean"], report["wrong_fixes"]

    _edit(rollout.path, 0, as_version_4)
    assert play_back(_edit(rollout.path, -1, as_version_4)).differences == ()


def test_the_times_of_version_3_are_not_compared_as_they_did_not_count_the_time_to_think(rollout: Rollout) -> None:
    def as_version_3(line: dict[str, object]) -> None:
        if line["kind"] == "header":
            line["version"] = 3
        report = line.get("report")
        if isinstance(report, dict):
            report["time_to_mitigate_s"] = 1.0
            del report["steps_to_diagnose"], report["steps_to_mitigate"]

    _edit(rollout.path, 0, as_version_3)
    assert play_back(_edit(rollout.path, -1, as_version_3)).differences == ()


def _edit(path: Path, line: int, change: Callable[[dict[str, object]], None]) -> Rollout:
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    change(lines[line])
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return read_rollout(path)


def test_an_edited_reward_is_found(rollout: Rollout) -> None:
    edited = _edit(rollout.path, 2, lambda line: line.update(reward=80.0))
    assert play_back(edited).differences == ("step 1: reward 8.0, recorded 80.0",)


def test_an_edited_observation_is_found(rollout: Rollout) -> None:
    rows = rollout.steps[2].observation.copy()
    rows[0][1] += 1.0
    shown = [[None if np.isnan(cell) else float(cell) for cell in row] for row in rows]
    edited = _edit(rollout.path, 3, lambda line: line.update(observation=shown))
    assert play_back(edited).differences == ("step 2: the observation differs from the recorded one",)


def test_an_edited_report_is_found(rollout: Rollout) -> None:
    def change(line: dict[str, object]) -> None:
        report = line["report"]
        assert isinstance(report, dict)
        report["outcome"] = "exhausted"

    assert play_back(_edit(rollout.path, -1, change)).differences == (
        "report, outcome: 'resolved', recorded 'exhausted'",
    )


def test_a_recording_that_continues_after_the_end_is_found(tmp_path: Path, rollout: Rollout) -> None:
    lines = [json.loads(text) for text in rollout.path.read_text().splitlines()]
    extra = {**lines[-2], "step": lines[-2]["step"] + 1, "action": action_text(Wait()), "reward": 0.0}
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines[:-1], extra, lines[-1]]))
    last = lines[-2]["step"]
    assert play_back(read_rollout(path)).differences == (f"the episode ends after step {last}, the recording goes on",)
