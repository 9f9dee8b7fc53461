"""Agents that others bring: how they are found, and that none of them can end a run."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirr.agents import brought
from mirr.agents.brought import BadAgent, make_agent, parse_agent
from mirr.agents.registry import PolicyName
from mirr.cli.main import run
from mirr.env.environment import Environment, Observation
from mirr.env.evaluation import evaluation
from mirr.env.record import RolloutWriter, read_rollout
from mirr.env.recorded import play_back
from mirr.env.rollout import EpisodeResult, LostStep, play
from mirr.env.scenario import EpisodeConfig, draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Fault, Restart, Service, Tier, UnknownName, action_text

HERE = __name__
EXAMPLE = "docs.examples.my_agent:MyAgent"
SHORT = EpisodeConfig(max_steps=4)
CRASH = Fault.parse("crashed:auth")


class Scripted:
    """Answers each step with what a test has put here."""

    answers: Callable[[Observation], object] = staticmethod(lambda _: "wait")

    def act(self, observation: Observation) -> object:
        return type(self).answers(observation)


class Remembers:
    """Knows how often a new episode began."""

    begun: list[np.random.Generator] = []  # noqa: RUF012 - that is what a test looks at

    def reset(self, rng: np.random.Generator) -> None:
        self.begun.append(rng)

    def act(self, observation: Observation) -> object:
        return 0


class CannotBeMade:
    def __init__(self) -> None:
        raise RuntimeError("no weights\nin this folder")

    def act(self, observation: Observation) -> object:
        return "wait"


def restarts_auth(observation: Observation) -> object:
    return Restart(Service.AUTH)


NOT_AN_AGENT = 5


@pytest.fixture(autouse=True)
def _forget_agents() -> Iterator[None]:
    brought._made.clear()
    brought._maker.cache_clear()
    yield
    brought._made.clear()


def played(
    monkeypatch: pytest.MonkeyPatch, answers: Callable[[Observation], object], *, deadline_s: float = 10.0
) -> EpisodeResult:
    """Four steps of an agent that answers like this."""
    monkeypatch.setattr(Scripted, "answers", staticmethod(answers))
    agent = make_agent(f"{HERE}:Scripted", draw(3), deadline_s=deadline_s)
    return play(Environment(SimulatedWorld(), SHORT), agent, seed=3, fault=CRASH)


def actions(result: EpisodeResult) -> list[str]:
    return [action_text(move.action) for move in result.trajectory]


@pytest.mark.parametrize("name", PolicyName)
def test_every_policy_of_ours_keeps_its_name(name: PolicyName) -> None:
    assert parse_agent(str(name)) == name


def test_an_unknown_name_lists_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = EntryPoint(name="theirs", value=f"{HERE}:Scripted", group=brought.GROUP)
    monkeypatch.setattr(brought, "entry_points", lambda group: [theirs])
    with pytest.raises(UnknownName) as caught:
        parse_agent("clever")
    assert str(caught.value) == (
        f"unknown policy 'clever'; one of: {', '.join(PolicyName)}, theirs; or an agent of your own: module:Class, or "
        "http://127.0.0.1:PORT/act"
    )


def test_an_entry_point_names_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = EntryPoint(name="theirs", value=f"{HERE}:restarts_auth", group=brought.GROUP)
    monkeypatch.setattr(brought, "entry_points", lambda group: [theirs] if group == "mirr.agents" else [])
    result = play(Environment(SimulatedWorld()), make_agent(parse_agent("theirs"), draw(3)), seed=3, fault=CRASH)
    assert set(actions(result)) == {"restart(auth)"}


def test_the_example_of_the_page_resolves_a_crash() -> None:
    agent = make_agent(parse_agent(EXAMPLE), draw(1))
    result = play(Environment(SimulatedWorld()), agent, seed=1, fault=CRASH)
    assert actions(result)[:2] == ["diagnose(auth, crashed)", "restart(auth)"]
    assert result.report.clean
    assert result.lost_steps == ()


def test_the_page_shows_the_example_as_it_is() -> None:
    root = Path(brought.__file__).resolve().parents[1]
    shown = (root / "docs" / "agents.md").read_text(encoding="utf-8")
    assert (root / "docs" / "examples" / "my_agent.py").read_text(encoding="utf-8") in shown


def test_a_function_is_an_agent() -> None:
    agent = make_agent(f"{HERE}:restarts_auth", draw(1))
    result = play(Environment(SimulatedWorld(), SHORT), agent, seed=1, fault=CRASH)
    assert set(actions(result)) == {"restart(auth)"}


def test_an_agent_is_made_once_and_told_of_every_episode() -> None:
    Remembers.begun.clear()
    environment = Environment(SimulatedWorld(), SHORT)
    for seed in (1, 2):
        play(environment, make_agent(f"{HERE}:Remembers", draw(seed)), seed=seed)
    assert len(Remembers.begun) == 2
    assert len(brought._made) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no_such_module:Agent",
            "the agent 'no_such_module:Agent' cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'; "
            "next: see docs/agents.md",
        ),
        (
            f"{HERE}:Nobody",
            f"the agent '{HERE}:Nobody' cannot be loaded: AttributeError: module '{HERE}' has no attribute 'Nobody'; "
            "next: see docs/agents.md",
        ),
        (f"{HERE}:NOT_AN_AGENT", f"the agent '{HERE}:NOT_AN_AGENT' has no act(observation); next: see docs/agents.md"),
        (f"{HERE}:Path", f"the agent '{HERE}:Path' has no act(observation); next: see docs/agents.md"),
    ],
)
def test_an_agent_that_cannot_be_loaded_says_why(name: str, message: str) -> None:
    with pytest.raises(BadAgent) as caught:
        parse_agent(name)
    assert str(caught.value) == message


def test_a_module_that_exits_when_it_is_imported_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a_script.py").write_text("import sys; sys.exit(0)", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadAgent) as caught:
        parse_agent("a_script:Agent")
    assert str(caught.value) == ("the agent 'a_script:Agent' cannot be loaded: SystemExit: 0; next: see docs/agents.md")


def prints_and_closes(_: Observation) -> object:
    print("thinking")
    sys.stdout.close()
    return "wait"


def test_what_an_agent_prints_does_not_get_into_the_answer_of_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Scripted, "answers", staticmethod(prints_and_closes))
    assert run(["episode", "--policy", f"{HERE}:Scripted", "--seed", "3", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["steps"] == 30
    assert printed.err.count("thinking") == 30


def test_an_agent_that_cannot_be_made_says_why() -> None:
    with pytest.raises(BadAgent) as caught:
        make_agent(f"{HERE}:CannotBeMade", draw(1))
    assert str(caught.value) == (
        f"the agent '{HERE}:CannotBeMade' cannot be made: RuntimeError: no weights in this folder; next: let its class "
        "take no arguments"
    )


@pytest.mark.parametrize(
    "answer", [Restart(Service.AUTH), "restart(auth)", " restart(auth) ", 27, np.int64(27)], ids=repr
)
def test_an_answer_is_an_action_its_text_or_its_number(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    result = played(monkeypatch, lambda _: answer)
    assert set(actions(result)) == {"restart(auth)"}
    assert result.lost_steps == ()


@pytest.mark.parametrize(
    "answer", [None, "restart everything", 41, -1, 2.0, True, ["wait"], Restart, "diagnose(none)"], ids=repr
)
def test_nonsense_loses_the_step(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    result = played(monkeypatch, lambda _: answer)
    assert actions(result) == ["wait"] * 4
    assert [lost.step for lost in result.lost_steps] == [1, 2, 3, 4]


def test_what_was_answered_is_in_the_record_of_the_lost_step(monkeypatch: pytest.MonkeyPatch) -> None:
    result = played(monkeypatch, lambda observation: "wait" if observation.step else "panic")
    assert result.lost_steps == (
        LostStep(
            1,
            "it answered 'panic'; an action is an Action, its number from 0 to 40, or written as in: wait, "
            "restart(auth)",
        ),
    )


def test_nothing_is_broken_is_an_answer_where_alarms_may_be_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "answers", staticmethod(lambda _: "diagnose(none)"))
    scenario = draw(3, tier=Tier.HARD)
    config = EpisodeConfig(max_steps=2, none_diagnosis=True)
    result = play(Environment(SimulatedWorld(), config), make_agent(f"{HERE}:Scripted", scenario), scenario=scenario)
    assert set(actions(result)) == {"diagnose(none)"}


def raises(_: Observation) -> object:
    raise ValueError("what\nnow")


def leaves(_: Observation) -> object:
    raise SystemExit


def interrupts(_: Observation) -> object:
    raise KeyboardInterrupt


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raises_the_unspeakable(_: Observation) -> object:
    raise Unspeakable


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (raises, "it raised ValueError: what now"),
        (leaves, "it raised SystemExit"),
        (interrupts, "it raised KeyboardInterrupt"),
        (raises_the_unspeakable, "it raised Unspeakable: its text cannot be read"),
    ],
)
def test_an_agent_that_raises_loses_its_step_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, answers: Callable[[Observation], object], why: str
) -> None:
    result = played(monkeypatch, lambda o: answers(o) if o.step == 1 else "restart(auth)")
    assert actions(result)[:3] == ["restart(auth)", "wait", "restart(auth)"]
    assert result.lost_steps == (LostStep(2, why),)


@dataclass
class Stuck:
    """Hangs in one step until a test lets it go."""

    go: threading.Event

    def __call__(self, observation: Observation) -> object:
        if observation.step == 1:
            self.go.wait(30.0)
        return "check_logs(auth)"


def test_an_agent_that_hangs_loses_its_steps_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck(threading.Event())
    try:
        result = played(monkeypatch, stuck, deadline_s=0.05)
    finally:
        stuck.go.set()
    assert actions(result) == ["check_logs(auth)", "wait", "wait", "wait"]
    assert result.lost_steps == (
        LostStep(2, "it did not answer within 0.05 s"),
        LostStep(3, "it is still busy with an earlier step"),
        LostStep(4, "it is still busy with an earlier step"),
    )


def test_an_answer_that_came_too_late_is_not_taken_for_a_later_step(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    stuck = Stuck(threading.Event())

    def late(observation: Observation) -> object:
        if observation.step == 1:
            stuck(observation)
            return "restart(payments)"
        return "restart(auth)"

    monkeypatch.setattr(Scripted, "answers", staticmethod(late))
    agent = brought.Guarded(f"{HERE}:Scripted", none_diagnosis=False, deadline_s=0.05)
    steps: list[EpisodeResult] = []

    class LetsItGo:
        """The agent, which is let go after its step was lost."""

        def reset(self, rng: np.random.Generator) -> None:
            agent.reset(rng)

        def act(self, observation: Observation) -> Any:
            if observation.step == 2:
                stuck.go.set()
                assert agent._worker is not None
                while agent._worker.busy:
                    answered.wait(0.001)
            return agent.act(observation)

    steps.append(play(Environment(SimulatedWorld(), SHORT), LetsItGo(), seed=3, fault=CRASH))
    assert actions(steps[0]) == ["restart(auth)", "wait", "restart(auth)", "restart(auth)"]


def test_a_record_of_lost_steps_plays_back_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Scripted, "answers", staticmethod(raises))
    path = tmp_path / "episode.jsonl"
    with RolloutWriter(path) as writer:
        environment = Environment(SimulatedWorld(), SHORT)
        play(environment, make_agent(f"{HERE}:Scripted", draw(3)), seed=3, fault=CRASH, record=writer)
    rollout = read_rollout(path)
    assert rollout.end is not None
    assert rollout.end["report"]["lost_steps"][0] == {"step": 1, "why": "it raised ValueError: what now"}
    assert play_back(rollout).differences == ()


def test_statistics_count_lost_steps_only_if_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    lost, fine = played(monkeypatch, raises), played(monkeypatch, lambda _: "wait")
    assert evaluation("sim", "mine", [lost, fine])["lost_steps"] == 4
    assert "lost_steps" not in evaluation("sim", "mine", [fine])
    assert "lost_steps" not in fine.to_json()


def test_the_command_line_plays_an_agent_and_says_what_it_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Scripted, "answers", staticmethod(lambda o: raises(o) if o.step == 2 else "wait"))
    assert run(["evaluate", "--policy", f"{HERE}:Scripted", "--episodes", "2", "--seed", "8"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{HERE}:Scripted in sim: 2 episodes from seed 8 (easy), 0 void\n")
    assert printed.err.splitlines()[-1].endswith("steps; the first in seed 8, step 3: it raised ValueError: what now")
    assert run(["episode", "--policy", f"{HERE}:Scripted", "--seed", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lost_steps"] == [{"step": 3, "why": "it raised ValueError: what now"}]
    assert run(["episode", "--policy", f"{HERE}:Scripted", "--seed", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == f"   3  {'wait':<32}   +0.0  waited (step lost: it raised ValueError: what now)"
    assert lines[-1] == "  lost        1 steps of the agent"


def test_an_agent_that_loses_every_step_is_bad_news(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Scripted, "answers", staticmethod(raises))
    assert run(["evaluate", "--policy", f"{HERE}:Scripted", "--policy", "wait", "--episodes", "2", "--seed", "8"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{HERE}:Scripted in sim: 2 episodes from seed 8 (easy), 0 void\n")
    assert re.sub(r"\d+ of \d+", "N of N", printed.err) == (
        f"mirr: {HERE}:Scripted lost N of N steps, so these are the figures of wait and say nothing about it; "
        "the first in seed 8, step 1: it raised ValueError: what now\n"
    )
    assert run(["episode", "--policy", f"{HERE}:Scripted", "--seed", "8", "--json"]) == 1
    printed = capsys.readouterr()
    lost = len(json.loads(printed.out)["lost_steps"])
    assert printed.err == (
        f"mirr: {HERE}:Scripted lost {lost} of {lost} steps, so these are the figures of wait and say nothing about "
        "it; the first in seed 8, step 1: it raised ValueError: what now\n"
    )


def test_what_was_lost_is_also_said_of_episodes_that_are_read_from_records(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(Scripted, "answers", staticmethod(raises))
    command = ["evaluate", "--policy", f"{HERE}:Scripted", "--episodes", "1", "--record", str(tmp_path)]
    assert run(command) == 1
    first = capsys.readouterr().err
    assert "the first in seed 0, step 1: it raised ValueError: what now\n" in first
    assert run(command) == 1
    assert capsys.readouterr().err == (f"mirr: 1 of 1 episodes are read from their records in {tmp_path}\n" + first)


def test_the_command_line_refuses_an_agent_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "--policy", "no_such_module:Agent"]) == 2
    assert capsys.readouterr().err == (
        "mirr: the agent 'no_such_module:Agent' cannot be loaded: ModuleNotFoundError: No module named "
        "'no_such_module'; next: see docs/agents.md\n"
    )
