"""Tests of an exam without a protocol: which client may play which episode, when, and what the client sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mirr.env.record import read_rollout
from mirr.env.recorded import play_back
from mirr.env.reward import Outcome
from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Diagnose, Fault, FaultMode, Restart, Service, Wait
from mirr.env.world import Snapshot, World, WorldError
from mirr.interfaces.mcp_server.answers import answer, as_text
from mirr.interfaces.mcp_server.exam import VOID_MESSAGE, Exam, ExamConfig, ExamError, Question, State
from mirr.lab.errors import LabInUse
from tests.env.fakes import FakeWorld
from tests.fakes.clock import FakeClock

FAULT = Fault.parse("crashed:payments")
QUESTION = Question(scenario=draw(3, FAULT), symptom="Nobody can pay.")
DIAGNOSE = Diagnose(Service.PAYMENTS, FaultMode.CRASHED)
RESTART = Restart(Service.PAYMENTS)


class Setup:
    """Opens worlds for the exam, and counts how many were opened and closed."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world
        self.opened = 0
        self.closed = 0
        self.refuses: Exception | None = None
        self.clock = FakeClock()
        self.messages: list[str] = []

    @contextmanager
    def open_world(self) -> Iterator[World]:
        if self.refuses is not None:
            raise self.refuses
        self.opened += 1
        try:
            yield self.world or SimulatedWorld()
        finally:
            self.closed += 1

    def exam(self, config: ExamConfig | None = None, questions: int = 1) -> Exam:
        ids = iter(["a", "b", "c"])
        return Exam(
            [QUESTION] * questions,
            config or ExamConfig(),
            open_world=self.open_world,
            new_id=lambda: next(ids),
            say=self.messages.append,
            now=self.clock.now,
        )


def text_of_error(error: pytest.ExceptionInfo[ExamError]) -> str:
    return str(error.value)


def test_the_first_call_starts_an_episode_but_status_does_not() -> None:
    setup = Setup()
    exam = setup.exam()
    assert exam.status("a").state is State.WAITING
    assert setup.opened == 0
    sight = exam.look("a")
    assert (sight.state, setup.opened) == (State.RUNNING, 1)
    assert exam.look("a").observation is sight.observation
    assert answer(sight).steps_left == 30


def test_an_action_as_the_first_call_starts_the_episode_and_takes_a_step() -> None:
    assert answer(Setup().exam().act("a", Wait())).step == 1


def test_an_episode_ends_with_a_score_and_is_then_closed() -> None:
    setup = Setup()
    exam = setup.exam()
    exam.act("a", DIAGNOSE)
    exam.act("a", RESTART)
    while exam.look("a").state is State.RUNNING:
        exam.act("a", Wait())
    ending = answer(exam.look("a")).ending
    assert ending is not None
    assert (ending.outcome, ending.diagnosis, ending.diagnosis_correct) == (
        "resolved",
        "diagnose(payments, crashed)",
        True,
    )
    assert ending.total_reward == round(exam.results()[0].report.total_reward, 6)
    assert "resolved: every service and the users are back inside their objectives\n" in as_text(exam.look("a"))
    assert (setup.opened, setup.closed) == (1, 1)
    with pytest.raises(ExamError) as refusal:
        exam.act("a", Wait())
    assert text_of_error(refusal) == "episode a is over, nothing can be done in it; next: status tells how it went"


def test_no_reward_is_shown_before_the_end() -> None:
    exam = Setup().exam()
    right, wrong = exam.act("a", DIAGNOSE), Setup().exam().act("a", Diagnose(Service.AUTH, FaultMode.CRASHED))
    assert set(answer(right).model_dump()) == set(answer(wrong).model_dump())
    assert answer(right).ending is None
    assert answer(right).services == answer(wrong).services
    assert "reward" not in as_text(right)


def test_an_unknown_id_is_refused() -> None:
    with pytest.raises(ExamError) as refusal:
        Setup().exam().look("z")
    assert (
        text_of_error(refusal) == "there is no episode 'z'; next: use an id that the person who runs the exam gave you"
    )


def test_a_failing_world_makes_the_episode_void_and_only_the_examiner_sees_the_error() -> None:
    world = FakeWorld()
    setup = Setup(world)
    exam = setup.exam()
    exam.look("a")
    world.fails_with = "crashed:payments did not hold"
    with pytest.raises(ExamError) as refusal:
        exam.act("a", Wait())
    assert text_of_error(refusal) == VOID_MESSAGE
    assert setup.messages == ["episode a void: crashed:payments did not hold"]
    assert (exam.status("a").state, setup.closed) == (State.OVER, 1)
    ending = answer(exam.status("a")).ending
    assert ending is not None
    assert (ending.outcome, ending.total_reward) == ("void", None)
    assert "crashed" not in as_text(exam.status("a"))
    assert exam.results()[0].report.outcome is Outcome.VOID


def test_a_world_that_fails_at_the_start_makes_the_episode_void_too() -> None:
    world = FakeWorld()
    world.fails_with = "crashed:payments did not land"
    setup = Setup(world)
    with pytest.raises(ExamError) as refusal:
        setup.exam().look("a")
    assert (text_of_error(refusal), setup.closed) == (VOID_MESSAGE, 1)


@pytest.mark.parametrize("error", [LabInUse("lab mirr is in use by `mirr demo`"), WorldError("it is gone")])
def test_an_episode_keeps_waiting_when_its_world_cannot_be_opened(error: Exception) -> None:
    setup = Setup()
    exam = setup.exam()
    setup.refuses = error
    with pytest.raises(ExamError) as refusal:
        exam.look("a")
    assert text_of_error(refusal) == (
        "the world is not available at the moment, so the episode has not begun; next: try again in a minute, "
        "or tell the person who runs the exam"
    )
    assert setup.messages == [f"episode a could not begin: {error}"]
    setup.refuses = None
    assert exam.look("a").state is State.RUNNING


def test_only_one_episode_at_a_time_runs_on_one_lab() -> None:
    setup = Setup()
    exam = setup.exam(ExamConfig(at_once=1, idle_limit_s=60.0), questions=2)
    exam.look("a")
    setup.clock.sleep(59.0)
    with pytest.raises(ExamError) as refusal:
        exam.look("b")
    assert text_of_error(refusal) == (
        "another episode is being played, at most 1 at a time; next: play that one to its end, "
        "or try again when nobody has played it for 60 s"
    )
    assert exam.status("b").state is State.WAITING


def test_a_repeated_request_acts_once_and_gets_the_first_answer() -> None:
    world = FakeWorld()
    exam = Setup(world).exam()
    first = exam.act("a", DIAGNOSE, "r1")
    assert exam.act("a", DIAGNOSE, "r1") == first
    assert world.applied == [DIAGNOSE]
    exam.act("a", RESTART, "r2")
    assert exam.act("a", DIAGNOSE, "r1") == first  # late, and still the first answer
    assert exam.act("a", Wait(), "r3").observation is not first.observation
    assert world.applied == [DIAGNOSE, RESTART, Wait()]


def test_a_request_id_belongs_to_one_action_and_to_one_episode() -> None:
    world = FakeWorld()
    exam = Setup(world).exam(questions=2)
    exam.act("a", Wait(), "r1")
    with pytest.raises(ExamError) as refusal:
        exam.act("a", RESTART, "r1")
    assert text_of_error(refusal) == (
        "request_id 'r1' was already used for wait, so nothing was done; next: a new request_id for each new action"
    )
    assert world.applied == [Wait()]
    assert answer(exam.act("b", RESTART, "r1")).step == 1


def test_without_a_request_id_every_call_acts() -> None:
    exam = Setup().exam()
    assert [answer(exam.act("a", Wait())).step for _ in range(3)] == [1, 2, 3]


def test_a_repeated_last_request_gets_the_score() -> None:
    exam = Setup(FakeWorld(failed=60)).exam()
    exam.act("a", Wait())
    exam.act("a", Wait())
    last = exam.act("a", Wait(), "last")
    assert last.state is State.OVER
    assert answer(exam.act("a", Wait(), "last")).ending == answer(last).ending


def test_a_repeated_request_is_told_again_that_the_world_failed() -> None:
    world = FakeWorld()
    exam = Setup(world).exam()
    exam.look("a")
    world.fails_with = "crashed:payments did not hold"
    for _ in range(2):
        with pytest.raises(ExamError) as refusal:
            exam.act("a", Wait(), "r1")
        assert text_of_error(refusal) == VOID_MESSAGE


def test_a_request_that_could_not_be_done_can_be_repeated() -> None:
    setup = Setup()
    exam = setup.exam()
    setup.refuses = LabInUse("lab mirr is in use by `mirr demo`")
    with pytest.raises(ExamError):
        exam.act("a", Wait(), "r1")
    setup.refuses = None
    assert answer(exam.act("a", Wait(), "r1")).step == 1


class SlowToThink(FakeWorld):
    """Its agent thinks for 7 s before every action."""

    def observe(self) -> Snapshot:
        return replace(super().observe(), overrun_s=7.0 if self.applied else 0.0)


def test_the_time_of_an_answer_counts_how_long_the_player_thinks() -> None:
    exam = Setup(SlowToThink()).exam()
    assert answer(exam.look("a")).time_s == 0.0
    assert [answer(exam.act("a", Wait())).time_s for _ in range(2)] == [9.0, 18.0]


def test_an_idle_episode_ends_so_that_the_next_can_start() -> None:
    setup = Setup()
    exam = setup.exam(ExamConfig(at_once=1, idle_limit_s=60.0), questions=2)
    exam.look("a")
    setup.clock.sleep(61.0)
    assert exam.look("b").state is State.RUNNING
    assert (setup.opened, setup.closed) == (2, 1)
    assert setup.messages == ["episode a was given up: nobody played it for 61 s"]
    ending = answer(exam.status("a")).ending
    assert ending is not None
    assert (ending.outcome, ending.meaning) == ("given_up", "it was not played to its end")


def test_closing_the_exam_ends_the_running_episode_and_starts_no_other() -> None:
    setup = Setup()
    exam = setup.exam(questions=2)
    exam.look("a")
    exam.close()
    exam.close()
    assert (setup.opened, setup.closed) == (1, 1)
    with pytest.raises(ExamError) as refusal:
        exam.look("b")
    assert text_of_error(refusal) == "the exam is over; no episode begins any more"


def test_every_episode_is_recorded_and_can_be_played_back(tmp_path: Path) -> None:
    exam = Setup().exam(ExamConfig(record_dir=tmp_path))
    for action in (DIAGNOSE, RESTART, Wait(), Wait(), Wait()):
        if exam.status("a").state is not State.OVER:
            exam.act("a", action)
    rollout = read_rollout(tmp_path / "a.jsonl")
    assert (rollout.header["world"], rollout.header["policy"]) == ("sim", "mcp")
    assert play_back(rollout).differences == ()
    assert play_back(rollout).report == exam.results()[0].report


def test_the_episode_ends_and_the_examiner_is_informed_when_the_record_cannot_be_written(tmp_path: Path) -> None:
    setup = Setup()
    exam = setup.exam(ExamConfig(record_dir=tmp_path / "gone"))
    with pytest.raises(ExamError) as refusal:
        exam.look("a")
    assert text_of_error(refusal) == VOID_MESSAGE
    assert setup.messages == [
        f"episode a void: cannot write the record {tmp_path / 'gone' / 'a.jsonl'}: No such file or directory"
    ]
    assert setup.closed == 1
