"""Many episodes: on all cores, with a count on stderr, and with what there is after Ctrl-C."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from mirr.agents.registry import PolicyName
from mirr.cli import counting, evaluating, playing
from mirr.cli.counting import LineNowAndThen, Lines, counter
from mirr.cli.main import run
from mirr.cli.playing import Player
from mirr.cli.worlds import WorldName
from mirr.env.rollout import EpisodeResult
from mirr.env.scenario import Scenario, draw
from mirr.env.world import World
from tests.env.fakes import FakeWorld
from tests.fakes.clock import FakeClock

Printed = pytest.CaptureFixture[str]

HEURISTIC = Player(WorldName.SIM, PolicyName.HEURISTIC)


def scenarios(count: int) -> list[Scenario]:
    return [draw(seed) for seed in range(count)]


def one_result() -> EpisodeResult:
    return HEURISTIC.play_many("mirr", scenarios(1), "a test").results[0]


@dataclass
class InterruptedWorld(FakeWorld):
    """Ctrl-C comes in this many episodes."""

    after: int = 3
    begun: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def restore(self, key: int) -> None:
        self.begun += 1
        if self.begun > self.after:
            raise KeyboardInterrupt
        super().restore(key)


@dataclass
class Opened:
    """Opens the world of a test, and remembers that it was closed."""

    worlds: dict[str, World]
    closed: list[str] = field(default_factory=list)

    @contextmanager
    def __call__(self, name: str, lab: str, *, what: str, machine: str) -> Iterator[World]:
        try:
            yield self.worlds[name]
        finally:
            self.closed.append(name)


def test_ctrl_c_prints_the_episodes_so_far_marked_as_partial_and_exits_130(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    opened = Opened({"sim": InterruptedWorld(after=3)})
    monkeypatch.setattr(playing, "open_world", opened)
    assert run(["evaluate", "--policy", "oracle", "--episodes", "20", "--seed", "5"]) == 130
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == "oracle in sim: 3 of 20 episodes from seed 5 (easy), 0 void (partial: interrupted)"
    assert lines[2].split()[:3] == ["overall", "100.0%", "100.0%"]
    assert printed.err == "mirr: interrupted after 3 of 20 episodes\n"
    assert opened.closed == ["sim"]


def test_a_partial_answer_as_json_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    monkeypatch.setattr(evaluating, "open_world", Opened({"docker": InterruptedWorld(after=2)}))
    assert run(["evaluate", "--world", "docker", "--policy", "oracle", "--episodes", "9", "--json"]) == 130
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1] == (
        "mirr: interrupted after 2 of 9 episodes; revert what was left half done with: mirr revert"
    )
    answer = json.loads(printed.out)
    assert (answer["episodes"], answer["partial"], answer["asked"]) == (2, True, 9)
    assert answer["overall"]["episodes"] == 2


def test_ctrl_c_before_the_first_episode_is_over_prints_no_table(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(playing, "open_world", Opened({"sim": InterruptedWorld(after=0)}))
    assert run(["evaluate", "--episodes", "9"]) == 130
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "mirr: interrupted after 0 of 9 episodes\n"


def test_ctrl_c_during_a_comparison_compares_what_the_lab_has_played(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    worlds: dict[str, World] = {"docker": InterruptedWorld(after=2), "sim": FakeWorld()}
    monkeypatch.setattr(playing, "open_world", Opened(worlds))
    assert run(["compare", "--policy", "oracle", "--policy", "wait", "--episodes", "6", "--json"]) == 130
    policies = json.loads(capsys.readouterr().out)["policies"]
    assert list(policies) == ["oracle"]
    assert (policies["oracle"]["partial"], policies["oracle"]["asked"]) == (True, 6)
    assert policies["oracle"]["gap"]["pairs"] == 2


def test_ctrl_c_among_several_policies_prints_what_each_has_played(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(evaluating, "open_world", Opened({"docker": InterruptedWorld(after=3)}))
    asked = ["evaluate", "--world", "docker", "--policy", "oracle", "--policy", "wait", "--episodes", "9"]
    assert run([*asked, "--json"]) == 130
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1].startswith("mirr: interrupted after 3 of 18 episodes; ")
    policies = json.loads(printed.out)["policies"]
    assert {name: (answer["episodes"], answer["asked"]) for name, answer in policies.items()} == {
        "oracle": (2, 9),
        "wait": (1, 9),
    }


def test_on_the_lab_several_policies_play_each_seed_in_turn(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    opened = Opened({"docker": FakeWorld()})
    monkeypatch.setattr(evaluating, "open_world", opened)
    asked = ["evaluate", "--world", "docker", "--policy", "oracle", "--policy", "wait"]
    assert run([*asked, "--episodes", "2", "--seed", "7"]) == 0
    printed = capsys.readouterr()
    assert [line.split(":")[0] for line in printed.err.splitlines()] == [
        "[1/4] docker oracle seed 7",
        "[2/4] docker wait seed 7",
        "[3/4] docker oracle seed 8",
        "[4/4] docker wait seed 8",
    ]
    assert opened.closed == ["docker"]
    assert [line for line in printed.out.splitlines() if " in docker: " in line] == [
        "oracle in docker: 2 episodes from seed 7 (easy), 0 void",
        "wait in docker: 2 episodes from seed 7 (easy), 0 void",
    ]


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes begin to pay off with 60 episodes."""
    monkeypatch.setattr(playing, "SLICE", 20)
    monkeypatch.setattr(playing, "LEAST_FOR_PROCESSES", 60)


@pytest.mark.thorough
@pytest.mark.usefixtures("few_are_many")
def test_all_cores_give_the_same_results_in_the_same_order_as_one() -> None:
    many = scenarios(90)
    on_two = HEURISTIC.play_many("mirr", many, "a test", cores=2)
    assert on_two == HEURISTIC.play_many("mirr", many, "a test", cores=1)
    assert [result.seed for result in on_two.results] == list(range(90))


class Interrupts:
    """A count at which Ctrl-C comes."""

    def __init__(self, at: int) -> None:
        self.at = at

    def after(self, result: EpisodeResult, number: int) -> None:
        if number >= self.at:
            raise KeyboardInterrupt


@pytest.mark.thorough
@pytest.mark.usefixtures("few_are_many")
def test_ctrl_c_on_all_cores_keeps_what_has_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "counter", lambda *_: contextlib.nullcontext(Interrupts(at=40)))
    played = HEURISTIC.play_many("mirr", scenarios(1_000), "a test", cores=2)
    assert multiprocessing.active_children() == []
    assert (played.interrupted, [result.seed for result in played.results]) == (True, list(range(40)))


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("error", [PermissionError(13, "no shared memory"), BrokenExecutor("one was killed")])
def test_where_there_can_be_no_processes_everything_is_played_in_this_one(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, error: Exception
) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(playing, "ProcessPoolExecutor", refuses)
    played = HEURISTIC.play_many("mirr", scenarios(60), "a test", cores=2)
    assert len(played.results) == 60
    assert capsys.readouterr().err == f"mirr: no processes to play in ({error!r}); going on in this one\n"


def test_a_pipe_gets_a_line_now_and_then(capsys: Printed) -> None:
    clock, result = FakeClock(), one_result()
    count = LineNowAndThen("sim heuristic", 1000, now=clock.now)
    for number in range(1, 1001):
        clock.sleep(0.03125)
        count.after(result, number)
    assert capsys.readouterr().err == "".join(f"[{number}/1000] sim heuristic\n" for number in (320, 640, 960))


def test_the_lab_gets_a_line_for_each_episode(capsys: Printed) -> None:
    result = one_result()
    with counter(WorldName.DOCKER, "heuristic", 7) as count:
        assert isinstance(count, Lines)
        count.after(result, 3)
    report = result.report
    assert capsys.readouterr().err == (
        f"[3/7] sim heuristic seed 0: {report.scenario.faults[0]} resolved after {report.steps} steps, "
        f"reward {report.total_reward:.1f}\n"
    )


class Terminal(io.StringIO):
    """A terminal that keeps what it shows."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_bar_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    result = one_result()
    with contextlib.redirect_stderr(Terminal()) as err, counter(WorldName.SIM, "heuristic", 50) as count:
        assert isinstance(count, counting.Bar)
        for number in range(1, 51):
            count.after(result, number)
    assert "50/50" in err.getvalue()
    assert err.getvalue().endswith("\x1b[2K")  # the bar's line is erased
