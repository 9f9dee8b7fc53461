"""Tests of a session: episodes, what is told when, and what every component of the reward pays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment, EpisodeError
from mirr.env.rendering import render
from mirr.env.rollout import play
from mirr.env.scenario import BadScenario, draw, policy_rng
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import parse_action
from mirr.env.world import World, WorldError
from mirr.interfaces.openenv.models import MirrAction, MirrObservation, from_wire
from mirr.interfaces.openenv.server.app import simulated
from mirr.interfaces.openenv.server.environment import IncidentEnvironment
from mirr.interfaces.openenv.server.exclusive import in_turns
from mirr.interfaces.openenv.tasks import Split, tasks_of
from mirr.lab.errors import LabInUse

WAIT = MirrAction(action="wait")


class BreaksDown(SimulatedWorld):
    """A world whose engine goes away in the third window of an episode, the one before the first step included."""

    def __init__(self) -> None:
        super().__init__()
        self.windows = 0

    def observe(self) -> Any:
        self.windows += 1
        if self.windows == 3:
            raise WorldError("the engine is gone; see: mirr doctor")
        return super().observe()


@contextmanager
def breaking_down() -> Iterator[World]:
    yield BreaksDown()


def session(**options: Any) -> IncidentEnvironment:
    return IncidentEnvironment(simulated, **options)


def test_a_step_before_the_first_reset_says_where_episodes_live() -> None:
    with pytest.raises(EpisodeError) as refused:
        session().step(WAIT)
    assert str(refused.value) == (
        "no episode is running in this session; call reset first, and stay on the WebSocket /ws: "
        "over HTTP, every call is a session of its own"
    )


def test_a_step_after_the_end_is_refused_and_a_reset_begins_anew() -> None:
    environment = session()
    seen = environment.reset(seed=3)
    while not seen.done:
        seen = environment.step(WAIT)
    with pytest.raises(EpisodeError, match=r"^no episode is running; call reset\(seed=...\) first$"):
        environment.step(WAIT)
    assert environment.reset(seed=3).step == 0
    assert environment.state.report is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "a seed is a whole number from 0 up; got -1"),
        ({"seed": "abc"}, "a seed is a whole number from 0 up; got 'abc'"),
        ({"seed": 1.5}, "a seed is a whole number from 0 up; got 1.5"),
        ({"episode_id": ""}, "an episode_id is text of 1 to 255 characters"),
        ({"episode_id": ["x"]}, "an episode_id is text of 1 to 255 characters"),
        ({"split": "train"}, "a task is named by its split and its index; got one of the two"),
        ({"seed": 1, "split": "train", "index": 1}, "reset takes a seed, or else a split and an index; "),
        ({"split": "train", "index": "first"}, "no task 'first' in train; its tasks go from 0 to 2699"),
        ({"sede": 1}, "reset takes seed, episode_id, split and index; got sede"),
    ],
)
def test_a_reset_that_cannot_be_is_refused_and_the_running_episode_goes_on(
    arguments: dict[str, Any], message: str
) -> None:
    environment = session()
    environment.reset(seed=1, episode_id="running")
    with pytest.raises((EpisodeError, BadScenario)) as refused:
        environment.reset(**arguments)
    assert str(refused.value).startswith(message)
    assert environment.step(WAIT).step == 1
    assert environment.state.episode_id == "running"


def test_without_a_seed_every_reset_draws_another() -> None:
    seeds = iter([5, 6])
    environment = session(fresh_seed=lambda: next(seeds))
    assert environment.reset().features == session().reset(seed=5).features
    assert environment.reset().features == session().reset(seed=6).features


def test_nothing_tells_the_truth_before_the_end_and_the_report_does_at_the_end() -> None:
    for index in range(27):
        environment = session()
        task = tasks_of(Split.TEST)[index]
        seen = environment.reset(split="test", index=index)
        while not seen.done:
            assert seen.report is None
            assert environment.state.report is None
            told = json.dumps([seen.model_dump(exclude={"features", "text"}), environment.state.model_dump()])
            assert str(task.scenario.seed) not in told
            assert task.scenario.name == "" or task.scenario.name not in told
            assert not any(str(fault.mode) in told for fault in task.scenario.faults)
            seen = environment.step(WAIT)
        assert seen.report is not None
        assert seen.report["seed"] == task.scenario.seed
        assert seen.report["scenario"] == task.scenario.to_json()
        assert environment.state.report == seen.report


def test_the_state_counts_steps_and_reward_and_keeps_the_episode_s_name() -> None:
    environment = session()
    environment.reset(seed=4, episode_id="mine")
    environment.step(MirrAction(action="restart(auth)"))
    environment.step(WAIT)
    state = environment.state
    assert (state.episode_id, state.step_count, state.steps_left, state.running) == ("mine", 2, 28, True)
    assert state.total_reward == sum(state.earned.values())


@pytest.mark.parametrize("name", PolicyName)
def test_the_components_of_the_reward_add_up_to_it_at_every_step(name: PolicyName) -> None:
    for index in range(40):
        environment = session()
        task = tasks_of(Split.TRAIN)[index]
        policy = make_policy(name, task.scenario)
        policy.reset(policy_rng(task.scenario.seed))
        seen = environment.reset(split="train", index=index)
        while not seen.done:
            seen = environment.step(MirrAction.of(policy.act(from_wire(seen))))
            parts = {key: child.last_score for key, child in environment.rubric.named_children()}
            assert sum(parts.values()) == pytest.approx(seen.reward)
            assert environment.rubric.last_score == pytest.approx(seen.reward)
        assert seen.report is not None
        assert environment.state.total_reward == pytest.approx(seen.report["total_reward"], abs=1e-5)


def test_what_each_component_paid_is_what_was_done() -> None:
    environment = session()
    seen = environment.reset(split="train", index=_task_with("crashed:payments"))
    for text in ("restart(auth)", "diagnose(payments, crashed)", "restart(payments)"):
        seen = environment.step(MirrAction(action=text))
    while not seen.done:
        seen = environment.step(WAIT)
    earned = environment.state.earned
    assert (earned["diagnosis"], earned["fix"], earned["collapse"]) == (8.0, 8.0, 0.0)
    assert earned["recovery"] == pytest.approx(20.0 + 0.3 * seen.steps_left)


def _task_with(fault: str) -> int:
    return next(task.index for task in tasks_of(Split.TRAIN) if [str(one) for one in task.scenario.faults] == [fault])


def test_a_session_plays_as_the_environment_itself_does() -> None:
    for seed in range(10):
        direct = play(_direct(), make_policy(PolicyName.HEURISTIC, draw(seed)), seed=seed)
        environment = session()
        environment.reset(seed=seed)
        rewards = [environment.step(MirrAction.of(move.action)).reward for move in direct.trajectory]
        assert rewards == [move.reward for move in direct.trajectory]
        assert environment.state.running is False


def _direct() -> Environment:
    return Environment(SimulatedWorld())


def test_a_world_that_fails_underneath_is_an_error_and_the_state_says_void() -> None:
    environment = IncidentEnvironment(breaking_down)
    environment.reset(seed=1)
    environment.step(WAIT)
    with pytest.raises(WorldError, match=r"^the engine is gone; see: mirr doctor$"):
        environment.step(WAIT)
    state = environment.state
    assert state.running is False
    assert state.report is not None
    assert (state.report["outcome"], state.report["reason"]) == ("void", "the engine is gone; see: mirr doctor")


def test_a_session_opens_its_world_at_the_first_reset_and_closes_it_once() -> None:
    events: list[str] = []

    @contextmanager
    def watched() -> Iterator[World]:
        events.append("opened")
        yield SimulatedWorld()
        events.append("closed")

    environment = IncidentEnvironment(watched)
    assert environment.num_tasks("test") == 540
    assert environment.get_metadata().name == "mirr"
    assert events == []
    environment.reset(seed=1)
    environment.reset(seed=2)
    environment.close()
    environment.close()
    assert events == ["opened", "closed"]


def test_a_session_that_was_closed_says_so() -> None:
    environment = session()
    environment.reset(seed=1)
    environment.close()
    ended = "^this session has ended, as it was silent for too long; next: connect again$"
    with pytest.raises(EpisodeError, match=ended):
        environment.step(WAIT)
    with pytest.raises(EpisodeError, match=ended):
        environment.reset(seed=1)


def test_the_web_page_shows_the_text_and_runs_nothing_that_a_log_line_says() -> None:
    environment = session()
    seen: MirrObservation = environment.reset(seed=1)
    hostile = replace(from_wire(seen), last_action=parse_action("wait"), last_result="<script>alert(1)</script>")
    html = environment.render_web(seen.model_dump() | {"text": render(hostile), "situation": '"><img onerror=x>'})
    assert html.startswith("<pre>&quot;&gt;&lt;img onerror=x&gt;")
    assert "last action: wait: &lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert html.count("<") == 2


def test_the_rubric_describes_its_components() -> None:
    words = session().rubric.descriptions()
    assert words["collapse"] == "-15 when almost nothing worked for users for 3 steps running"
    assert list(words) == ["diagnosis", "fix", "recovery", "collapse"]


def test_a_world_of_which_there_is_one_is_waited_for_and_then_refused() -> None:
    source = in_turns(simulated, within_s=0.05)
    first, second = IncidentEnvironment(source), IncidentEnvironment(source)
    first.reset(seed=1)
    with pytest.raises(LabInUse, match=r"^another session of this server still has the lab after 0.05 s; wait for"):
        second.reset(seed=1)
    first.close()
    assert second.reset(seed=1).step == 0
