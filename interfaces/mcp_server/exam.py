"""An exam: episodes under meaningless ids, each played once, by a client that knows the id. No protocol is here.

Only one thread at a time may run this code. `desk.py` makes sure of that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from mirr.chaos.errors import ChaosError
from mirr.env.environment import Environment, EpisodeReport, Observation
from mirr.env.quoting import quoted
from mirr.env.record import RecordError, RolloutWriter
from mirr.env.reward import Outcome
from mirr.env.rollout import EpisodeResult, Sitting
from mirr.env.scenario import EpisodeConfig, Scenario
from mirr.env.vocabulary import Action, action_text
from mirr.env.world import World, WorldError
from mirr.lab.errors import LabError

POLICY_NAME = "mcp"  # the policy's name in records


class ExamError(Exception):
    """A request that cannot be done. The message says why and what next, but not what is broken."""


class State(StrEnum):
    """How far an episode has come."""

    WAITING = "waiting"  # it waits for its first call
    RUNNING = "running"
    OVER = "over"


@dataclass(frozen=True, kw_only=True)
class Question:
    """One episode as the examiner set it."""

    scenario: Scenario
    symptom: str  # what the player can read; it must not reveal the answer


@dataclass(frozen=True, kw_only=True)
class ExamConfig:
    """How an exam is held."""

    world_name: str = "sim"
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    at_once: int | None = None  # how many episodes may run at the same time; None: any number
    idle_limit_s: float = 600.0
    """If the limit `at_once` is reached, an episode that was idle for this long is given up for a new one."""
    record_dir: Path | None = None  # where episodes are recorded; the player must not read it


@dataclass(frozen=True, kw_only=True)
class EpisodeView:
    """An episode as the player may see it."""

    episode_id: str
    state: State
    symptom: str
    config: EpisodeConfig
    observation: Observation | None = None  # None before it begins
    time_s: float = 0.0  # real seconds from the first observation to the last one
    report: EpisodeReport | None = None  # once it is over; None if it was given up


@dataclass(frozen=True)
class Answered:
    """An action that was taken, and what was answered: a view, or why there is none."""

    action: Action
    answer: EpisodeView | ExamError


@dataclass(kw_only=True)
class Paper:
    """One episode of an exam."""

    question: Question
    state: State = State.WAITING
    environment: Environment | None = None
    sitting: Sitting | None = None
    observation: Observation | None = None
    time_s: float = 0.0
    result: EpisodeResult | None = None
    answered: dict[str, Answered] = field(default_factory=dict)  # by the client's own id of the request
    called_at: float = 0.0
    holds: ExitStack = field(default_factory=ExitStack)  # the world and the record, while it runs


class Voided(ExamError):
    """The world failed during the request."""


VOID_MESSAGE = "the world failed: this episode is void and does not count; next: tell the person who runs the exam"


class Exam:
    """The episodes of one exam."""

    def __init__(
        self,
        questions: Sequence[Question],
        config: ExamConfig,
        *,
        open_world: Callable[[], AbstractContextManager[World]],
        new_id: Callable[[], str],
        say: Callable[[str], None],  # shows a text to the person who runs the exam
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._open_world = open_world
        self._say = say
        self._now = now
        self._papers = {new_id(): Paper(question=question) for question in questions}
        self._closed = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Every episode's id, in the order of the questions."""
        return tuple(self._papers)

    def states(self) -> dict[str, State]:
        """How far each episode has come."""
        return {name: paper.state for name, paper in self._papers.items()}

    def results(self) -> list[EpisodeResult]:
        """The results of the finished episodes, for the person who runs the exam."""
        return [paper.result for paper in self._papers.values() if paper.result is not None]

    def status(self, episode_id: str) -> EpisodeView:
        """The state of an episode. This does not begin it."""
        return self._view(episode_id, self._paper(episode_id))

    def look(self, episode_id: str) -> EpisodeView:
        """The last observation. Begins the episode if it is waiting."""
        paper = self._paper(episode_id)
        if paper.state is State.WAITING:
            self._begin(episode_id, paper)
        paper.called_at = self._now()
        return self._view(episode_id, paper)

    def act(self, episode_id: str, action: Action, request_id: str | None = None) -> EpisodeView:
        """Take an action and let its step pass. Begins the episode if it is waiting.

        A client whose call timed out does not know whether it was done. If it calls again with the same `request_id`,
        it gets the first answer, and nothing happens.
        """
        paper = self._paper(episode_id)
        if request_id is None:
            return self._take(episode_id, paper, action)
        if request_id not in paper.answered:
            try:
                view = self._take(episode_id, paper, action)
            except Voided as error:
                paper.answered[request_id] = Answered(action, error)
                raise
            paper.answered[request_id] = Answered(action, view)
        return _again(paper.answered[request_id], action, request_id)

    def _take(self, episode_id: str, paper: Paper, action: Action) -> EpisodeView:
        if paper.state is State.WAITING:
            self._begin(episode_id, paper)
        if paper.state is State.OVER:
            raise ExamError(f"episode {episode_id} is over, nothing can be done in it; next: status tells how it went")
        assert paper.sitting is not None
        assert paper.environment is not None
        paper.called_at = self._now()
        try:
            paper.observation, over = paper.sitting.act(action)
        except (WorldError, RecordError) as error:
            raise self._void(episode_id, paper, error) from error
        paper.time_s = paper.environment.elapsed_s
        if over:
            self._end(episode_id, paper)
        return self._view(episode_id, paper)

    def close(self) -> None:
        """End the exam: running episodes are given up and their faults reverted. Safe to call twice."""
        self._closed = True
        for episode_id, paper in self._papers.items():
            if paper.state is State.RUNNING:
                self._give_up(episode_id, paper, "the exam was closed")

    def _paper(self, episode_id: str) -> Paper:
        try:
            return self._papers[episode_id]
        except KeyError as error:
            raise ExamError(
                f"there is no episode {quoted(episode_id)}; next: use an id that the person who runs the exam gave you"
            ) from error

    def _view(self, episode_id: str, paper: Paper) -> EpisodeView:
        return EpisodeView(
            episode_id=episode_id,
            state=paper.state,
            symptom=paper.question.symptom,
            config=self.config.episode,
            observation=paper.observation,
            time_s=paper.time_s,
            report=paper.result.report if paper.result is not None else None,
        )

    def _begin(self, episode_id: str, paper: Paper) -> None:
        if self._closed:
            raise ExamError("the exam is over; no episode begins any more")
        self._make_room()
        scenario = paper.question.scenario
        try:
            world = paper.holds.enter_context(self._open_world())
        except (LabError, ChaosError, WorldError) as error:
            self._say(f"episode {episode_id} could not begin: {error}")
            raise ExamError(
                "the world is not available at the moment, so the episode has not begun; next: try again in a minute, "
                "or tell the person who runs the exam"
            ) from error
        paper.state = State.RUNNING
        paper.environment = Environment(world, self.config.episode)
        try:
            paper.sitting = Sitting(
                paper.environment,
                scenario,
                world_name=self.config.world_name,
                policy_name=POLICY_NAME,
                record=self._writer(episode_id, paper),
            )
            paper.observation = paper.sitting.begin()
        except (WorldError, RecordError) as error:
            raise self._void(episode_id, paper, error) from error

    def _writer(self, episode_id: str, paper: Paper) -> RolloutWriter | None:
        if self.config.record_dir is None:
            return None
        return paper.holds.enter_context(RolloutWriter(self.config.record_dir / f"{episode_id}.jsonl"))

    def _make_room(self) -> None:
        running = {name: paper for name, paper in self._papers.items() if paper.state is State.RUNNING}
        if self.config.at_once is None or len(running) < self.config.at_once:
            return
        oldest, paper = min(running.items(), key=lambda entry: entry[1].called_at)
        idle_s = self._now() - paper.called_at
        if idle_s < self.config.idle_limit_s:
            raise ExamError(
                f"another episode is being played, at most {self.config.at_once} at a time; next: play that one to its "
                f"end, or try again when nobody has played it for {self.config.idle_limit_s:g} s"
            )
        self._give_up(oldest, paper, f"nobody played it for {idle_s:.0f} s")

    def _end(self, episode_id: str, paper: Paper) -> None:
        assert paper.sitting is not None
        paper.result = paper.sitting.result()
        self._let_go(paper)
        report = paper.result.report
        self._say(
            f"episode {episode_id} {report.outcome} after {report.steps} steps, reward {report.total_reward:.1f}, "
            f"diagnosis {'correct' if report.diagnosis_correct else 'not correct'}: {report.reason}"
        )

    def _void(self, episode_id: str, paper: Paper, error: Exception) -> Voided:
        """End an episode whose world failed. The player does not see why, as the error may name what is broken."""
        if paper.environment is not None and paper.environment.report is not None:
            assert paper.sitting is not None
            paper.result = paper.sitting.result()
        self._let_go(paper)
        self._say(f"episode {episode_id} {Outcome.VOID}: {error}")
        return Voided(VOID_MESSAGE)

    def _give_up(self, episode_id: str, paper: Paper, why: str) -> None:
        self._let_go(paper)
        self._say(f"episode {episode_id} was given up: {why}")

    @staticmethod
    def _let_go(paper: Paper) -> None:
        paper.state = State.OVER
        paper.environment = paper.sitting = None
        paper.holds.close()


def _again(answered: Answered, action: Action, request_id: str) -> EpisodeView:
    """The answer that was given to this request. Raises ExamError if it was another one."""
    if answered.action != action:
        raise ExamError(
            f"request_id {quoted(request_id)} was already used for {action_text(answered.action)}, so nothing was "
            "done; next: a new request_id for each new action"
        )
    if isinstance(answered.answer, ExamError):
        raise answered.answer
    return answered.answer
