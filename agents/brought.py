"""Agents that others bring: found by name, made, and kept from ending a run.

An agent is `act(observation) -> action`. If it raises, does not answer in time, or answers what is no action, it loses
that step.
"""

from __future__ import annotations

import io
import pkgutil
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import numpy as np

from mirr.agents.over_http import HttpAgent, checked_address, is_address
from mirr.agents.registry import PolicyName, alarms_may_be_false, make_policy
from mirr.agents.registry import refuse_unready as refuse_policy
from mirr.env.actions import NotAnAction, action_number
from mirr.env.environment import Observation
from mirr.env.quoting import quoted, shortened
from mirr.env.rollout import Policy, StepLost
from mirr.env.scenario import Scenario
from mirr.env.vocabulary import ACTION_INDEX, ACTIONS, PACK_ACTIONS, Action, UnknownName, action_text, parse_action

GROUP: Final = "mirr.agents"
"""The group of entry points in which a package names its agents."""

DEADLINE_S: Final = 10.0  # for each step; on the lab, the services do not wait either

_LONGEST_REASON: Final = 200  # characters


class BadAgent(UnknownName):
    """A name that leads to no agent, or to one that cannot be made. The message says what is missing."""


def parse_agent(name: str) -> str:
    """`name`, if it names a policy or an agent: one of ours, an entry point, `module:Class` or an address. Raises
    UnknownName or BadAgent."""
    if name not in list(PolicyName):
        _maker(name)
    return name


def make_agent(name: str, scenario: Scenario, *, deadline_s: float = DEADLINE_S) -> Policy:
    """A policy or an agent of that name for an episode. Only our own policies get the scenario. Raises UnknownName or
    BadAgent."""
    if name in list(PolicyName):
        return make_policy(PolicyName(name), scenario)
    return Guarded(name, none_diagnosis=alarms_may_be_false(scenario), deadline_s=deadline_s)


def refuse_unready(name: str) -> None:
    """Raises BadSettings if it is a policy of ours that cannot play here, as one that needs an endpoint."""
    if name in list(PolicyName):
        refuse_policy(PolicyName(name))


# From a name to an agent


@cache
def _maker(name: str) -> Callable[[], Any]:
    """What makes the agent of that name. It is looked up once in a process."""
    if is_address(name):
        checked_address(name)
        return lambda: HttpAgent(name)
    if ":" in name:
        return _maker_of(name, lambda: _resolved(name))
    found = _entry_points().get(name)
    if found is None:
        known = ", ".join([*PolicyName, *_entry_points()])
        raise UnknownName(
            f"unknown policy {quoted(name)}; one of: {known}; or an agent of your own: module:Class, or "
            "http://127.0.0.1:PORT/act"
        )
    return _maker_of(name, found.load)


def _entry_points() -> dict[str, EntryPoint]:
    return {each.name: each for each in entry_points(group=GROUP)}


def _resolved(name: str) -> Any:
    # As with `python -m`, modules in the current folder are found. They replace none that is installed.
    if "" not in sys.path:
        sys.path.append("")
    return pkgutil.resolve_name(name)


def _maker_of(name: str, load: Callable[[], Any]) -> Callable[[], Any]:
    try:
        with _prints_to_stderr():
            found = load()
    except (Exception, SystemExit) as error:  # whatever the code of others raises when it is imported
        raise BadAgent(
            f"the agent {quoted(name)} cannot be loaded: {_said(error)}; next: see docs/agents.md"
        ) from error
    if isinstance(found, type) and hasattr(found, "act"):
        return found
    if hasattr(found, "act"):
        return lambda: found
    if callable(found) and not isinstance(found, type):
        return lambda: _Function(found)
    raise BadAgent(f"the agent {quoted(name)} has no act(observation); next: see docs/agents.md")


@dataclass(frozen=True)
class _Function:
    """A function as an agent."""

    act: Callable[[Observation], object]


_made: dict[str, Any] = {}
"""The agents of this process by their names. One may have a model that takes a while to load, so it is made once."""


def _agent(name: str) -> Any:
    if name not in _made:
        try:
            maker = _maker(name)
            with _prints_to_stderr():
                _made[name] = maker()
        except (Exception, SystemExit) as error:  # whatever the code of others raises
            if isinstance(error, UnknownName):
                raise
            raise BadAgent(
                f"the agent {quoted(name)} cannot be made: {_said(error)}; next: let its class take no arguments"
            ) from error
    return _made[name]


def _said(error: BaseException) -> str:
    """An error of others, in one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - its text is the code of others, too
        text = "its text cannot be read"
    return shortened(f"{type(error).__name__}: {text}" if text else type(error).__name__, _LONGEST_REASON)


class _Prints(io.TextIOBase):
    """What an agent prints: it goes to stderr, because stdout has the answer of the command. Closing it closes
    nothing else."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return sys.stderr.write(text)


def _prints_to_stderr() -> AbstractContextManager[object]:
    return redirect_stdout(_Prints())


# What keeps an agent from ending a run


@dataclass
class _Answer:
    """What came of one question."""

    value: object = None
    error: BaseException | None = None


class Guarded:
    """An agent as a policy. It is asked in a thread of its own, because nothing can stop code that hangs."""

    def __init__(self, name: str, *, none_diagnosis: bool, deadline_s: float = DEADLINE_S) -> None:
        self._name = name
        self._actions = PACK_ACTIONS if none_diagnosis else ACTIONS
        self._deadline_s = deadline_s
        self._agent = _agent(name)
        self._rng: np.random.Generator | None = None
        self._worker: _Worker | None = None

    def reset(self, rng: np.random.Generator) -> None:
        """The agent learns of it together with the first observation, so that this too has a deadline."""
        self._rng = rng

    def act(self, observation: Observation) -> Action:
        """What the agent answers. Raises StepLost if that is nothing that can be played."""
        if self._worker is None:
            self._worker = _Worker()
        elif self._worker.busy:
            raise StepLost("it is still busy with an earlier step")
        rng, self._rng = self._rng, None
        with _prints_to_stderr():
            answer = self._worker.ask(lambda: self._asked(rng, observation), self._deadline_s)
        if answer is None:
            _made.pop(self._name, None)  # the next episode gets an agent that does not hang yet
            raise StepLost(f"it did not answer within {self._deadline_s:g} s")
        if answer.error is not None:
            raise StepLost(f"it raised {_said(answer.error)}") from answer.error
        return self._checked(answer.value)

    def _asked(self, rng: np.random.Generator | None, observation: Observation) -> object:
        if rng is not None and hasattr(self._agent, "reset"):
            self._agent.reset(rng)
        return self._agent.act(observation)

    def _checked(self, answer: object) -> Action:
        """The action that the agent means: an Action, its text or its number."""
        with suppress(UnknownName, NotAnAction, TypeError):  # TypeError: what cannot be a key
            if isinstance(answer, str):
                answer = parse_action(answer)
            if answer in ACTION_INDEX and not isinstance(answer, int | float):
                answer = ACTION_INDEX[answer]
            return self._actions[action_number(answer, len(self._actions))]
        raise StepLost(
            f"it answered {quoted(answer)}; an action is an Action, its number from 0 to {len(self._actions) - 1}, or "
            f"written as in: {action_text(self._actions[0])}, restart(auth)"
        )


class _Worker:
    """A thread that answers one question after the other. It ends when nobody can ask any more."""

    def __init__(self) -> None:
        self._questions: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._owed = 0  # answers that nobody waits for any more
        # A daemon: an agent that hangs does not keep the process alive.
        threading.Thread(target=_work, args=(self._questions, self._answers), daemon=True, name="agent").start()

    def __del__(self) -> None:
        self._questions.put(None)

    @property
    def busy(self) -> bool:
        """Whether an answer is still owed that came too late."""
        while self._owed and not self._answers.empty():
            self._answers.get()
            self._owed -= 1
        return self._owed > 0

    def ask(self, question: Callable[[], object], deadline_s: float) -> _Answer | None:
        """The answer; None if there is none in time."""
        self._questions.put(question)
        try:
            return self._answers.get(timeout=deadline_s)
        except queue.Empty:
            self._owed += 1
            return None


def _work(questions: queue.SimpleQueue[Callable[[], object] | None], answers: queue.SimpleQueue[_Answer]) -> None:
    while (question := questions.get()) is not None:
        try:
            answers.put(_Answer(value=question()))
        except BaseException as error:  # noqa: BLE001 - whatever others raise; the asker says so
            answers.put(_Answer(error=error))
