"""Tests of a session: its episodes, what a client sees and when, and what each reward component pays."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest

from mirr.agents.registry import SELF_SUFFICIENT, PolicyName, make_policy
from mirr.env.environment import Environment, EpisodeError
from mirr.env.rendering import render
from mirr.env.rollout import play
from mirr.env.scenario import BadScenario, draw, policy_rng
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action, Tier, UnknownName, parse_action
from mirr.env.world import ActionResult, World, WorldError
from mirr.interfaces.openenv.models import MirrAction, MirrObservation, from_wire
from mirr.interfaces.openenv.server.app import simulated
from mirr.interfaces.openenv.server.environment import IncidentEnvironment
from mirr.interfaces.openenv.server.exclusive import in_turns
from mirr.interfaces.openenv.tasks import Split, tasks_of
from mirr.lab.errors import LabInUse
from tests.trials import first_is_quick

WAIT = MirrAction(action="wait")


class BreaksDown(SimulatedWorld):
    """A world whose engine disappears in the third window. The window before the first step counts too."""

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


def test_a_step_before_the_first_reset_says_where_to_play_episodes() -> None:
    with pytest.raises(EpisodeError) as refused:
        session().step(WAIT)
    assert str(refused.value) == (
        "no episode is running in this session; call reset first, and stay on the WebSocket /ws: "
        "over HTTP, every call is a session of its own"
    )


def test_the_text_shows_the_last_windows_of_the_episode() -> None:
    environment = session()
    environment.reset(seed=3)
    assert "the last 2 steps, the oldest first:\n" in environment.step(WAIT).text
    assert "oldest first" not in environment.reset(seed=4).text


def test_a_reset_plays_the_tier_that_it_names_or_else_that_of_the_server() -> None:
    for environment, named, played in (
        (session(), None, Tier.EASY),
        (session(), "medium", Tier.MEDIUM),
        (session(tier=Tier.MEDIUM), None, Tier.MEDIUM),
        (session(tier=Tier.MEDIUM), "easy", Tier.EASY),
    ):
        seen = environment.reset(seed=3, tier=named)
        while not seen.done:
            seen = environment.step(WAIT)
        assert seen.report is not None
        assert seen.report["tier"] == played
        assert seen.report["scenario"] == draw(3, tier=played).to_json()


def test_an_unknown_tier_is_refused_and_the_episode_goes_on() -> None:
    environment = session()
    environment.reset(seed=3)
    with pytest.raises(UnknownName, match=r"^unknown tier 'insane'; one of: easy, medium, hard$"):
        environment.reset(seed=3, tier="insane")
    assert environment.step(WAIT).step == 1


def test_a_step_after_the_end_is_refused_and_a_reset_starts_a_new_episode() -> None:
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
        ({"seed": 1, "split": "train", "index": 1}, "reset takes a seed and a tier, or else a split and an index; "),
        ({"split": "train", "index": "first"}, "no task 'first' in train; its tasks go from 0 to 2699"),
        ({"sede": 1}, "reset takes seed, tier, episode_id, split and index; got sede"),
    ],
)
def test_a_wrong_reset_is_refused_and_the_running_episode_goes_on(arguments: dict[str, Any], message: str) -> None:
    environment = session()
    environment.reset(seed=1, episode_id="running")
    with pytest.raises((EpisodeError, BadScenario)) as refused:
        environment.reset(**arguments)
    assert str(refused.value).startswith(message)
    assert environment.step(WAIT).step == 1
    assert environment.state.episode_id == "running"


def test_every_reset_without_a_seed_draws_a_new_seed() -> None:
    seeds = iter([5, 6])
    environment = session(fresh_seed=lambda: next(seeds))
    assert environment.reset().features == session().reset(seed=5).features
    assert environment.reset().features == session().reset(seed=6).features


@pytest.mark.thorough
def test_the_truth_is_hidden_until_the_report_at_the_end_shows_it() -> None:
    for index in range(27):
        environment = session()
        task = tasks_of(Split.TEST)[index]
        seen = environment.reset(split="test", index=index)
        while not seen.done:
            assert seen.report is None
            assert environment.state.report is None
            visible = json.dumps([seen.model_dump(exclude={"features", "text"}), environment.state.model_dump()])
            assert str(task.scenario.seed) not in visible
            assert task.scenario.name == "" or task.scenario.name not in visible
            assert not any(str(fault.mode) in visible for fault in task.scenario.faults)
            seen = environment.step(WAIT)
        assert seen.report is not None
        assert seen.report["seed"] == task.scenario.seed
        assert seen.report["scenario"] == task.scenario.to_json()
        assert environment.state.report == seen.report


def test_the_state_counts_steps_and_reward_and_keeps_the_episode_id() -> None:
    environment = session()
    environment.reset(seed=4, episode_id="mine")
    environment.step(MirrAction(action="restart(auth)"))
    environment.step(WAIT)
    state = environment.state
    assert (state.episode_id, state.step_count, state.steps_left, state.running) == ("mine", 2, 28, True)
    assert state.total_reward == sum(state.earned.values())


@pytest.mark.parametrize(
    "name", first_is_quick(sorted(SELF_SUFFICIENT, key=lambda name: name is not PolicyName.HEURISTIC))
)
def test_the_reward_components_add_up_to_the_reward_at_every_step(name: PolicyName) -> None:
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


def test_each_component_pays_for_what_the_agent_did() -> None:
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


def test_a_session_plays_like_the_environment_itself() -> None:
    for seed in range(10):
        direct = play(_direct(), make_policy(PolicyName.HEURISTIC, draw(seed)), seed=seed)
        environment = session()
        environment.reset(seed=seed)
        rewards = [environment.step(MirrAction.of(move.action)).reward for move in direct.trajectory]
        assert rewards == [move.reward for move in direct.trajectory]
        assert environment.state.running is False


def _direct() -> Environment:
    return Environment(SimulatedWorld())


def test_a_failing_world_is_an_error_and_the_state_says_void() -> None:
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


def test_a_closed_session_says_that_it_has_ended() -> None:
    environment = session()
    environment.reset(seed=1)
    environment.close()
    ended = "^this session has ended, as it was silent for too long; next: connect again$"
    with pytest.raises(EpisodeError, match=ended):
        environment.step(WAIT)
    with pytest.raises(EpisodeError, match=ended):
        environment.reset(seed=1)


class Held(SimulatedWorld):
    """A world whose steps last until the test lets them end."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.under_way, self.goes_on = threading.Event(), threading.Event()

    def apply(self, action: Action) -> ActionResult:
        self.steps += 1
        self.under_way.set()
        assert self.goes_on.wait(timeout=30)
        return super().apply(action)


def test_a_call_during_a_step_is_refused_before_anything_happens() -> None:
    world = Held()
    environment = IncidentEnvironment(lambda: nullcontext(world))
    environment.reset(seed=1)
    answers: list[MirrObservation] = []
    first = threading.Thread(target=lambda: answers.append(environment.step(MirrAction(action="check_logs(auth)"))))
    first.start()
    assert world.under_way.wait(timeout=30)
    busy = "^another call of this session is under way, so this one was not taken; next: wait for its answer$"
    with pytest.raises(EpisodeError, match=busy):
        environment.step(MirrAction(action="restart(auth)"))
    with pytest.raises(EpisodeError, match=busy):
        environment.reset(seed=2)
    world.goes_on.set()
    first.join()
    assert (world.steps, answers[0].last_action, answers[0].step) == (1, "check_logs(auth)", 1)
    seen = environment.step(WAIT)
    assert (seen.last_action, seen.step) == ("wait", 2)


def test_the_web_page_shows_the_text_and_runs_no_code_from_a_log_line() -> None:
    environment = session()
    seen: MirrObservation = environment.reset(seed=1)
    hostile = replace(from_wire(seen), last_action=parse_action("wait"), last_result="<script>alert(1)</script>")
    html = environment.render_web(seen.model_dump() | {"text": render(hostile), "situation": '"><img onerror=x>'})
    assert html.startswith("<pre>&quot;&gt;&lt;img onerror=x&gt;")
    assert "last action: wait: &lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert html.count("<") == 2


def test_the_rubric_describes_its_components() -> None:
    descriptions = session().rubric.descriptions()
    assert descriptions["collapse"] == "-15 when almost nothing worked for users for 3 steps running"
    assert list(descriptions) == ["diagnosis", "fix", "recovery", "collapse"]


def test_a_second_session_waits_for_the_only_world_and_is_then_refused() -> None:
    source = in_turns(simulated, within_s=0.05)
    first, second = IncidentEnvironment(source), IncidentEnvironment(source)
    first.reset(seed=1)
    with pytest.raises(LabInUse, match=r"^another session of this server still has the lab after 0.05 s; wait for"):
        second.reset(seed=1)
    first.close()
    assert second.reset(seed=1).step == 0
