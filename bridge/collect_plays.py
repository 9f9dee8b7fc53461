"""Plays one play in any World and records it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from mirr.bridge.recording import Ending, Phase, Play, PlayKind
from mirr.bridge.tape import Tape
from mirr.chaos.lifecycle import KINDS_OF_FIX
from mirr.env.environment import Environment, Observation
from mirr.env.reward import Outcome
from mirr.env.rollout import Move, Policy
from mirr.env.rollout import play as play_out
from mirr.env.scenario import Scenario, draw, streams
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Action, Fault, Service, Wait
from mirr.env.world import World, WorldError

MakePolicy = Callable[[Scenario], Policy]

_FIXES: tuple[Action, ...] = tuple(kind(service) for kind in KINDS_OF_FIX for service in Service)
_WAITS_SHARE = 0.5  # of the steps of a randomised episode


@dataclass(frozen=True, kw_only=True)
class ProbePace:
    """How many steps each part of a probe has."""

    step_s: float = 2.0
    steady_steps: int = 2
    fault_steps: int = 6  # every fault loses an objective within three, and an overload then takes a few to be full
    response_steps: int = 8  # as long as the right fix may take to restore everything, and two good steps more

    @property
    def steps(self) -> int:
        """All of them."""
        return self.steady_steps + self.fault_steps + self.response_steps


class RandomisedActions:
    """Waits or takes any fix, whatever it sees. So the same seed has the same actions in every world."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def reset(self, rng: np.random.Generator) -> None:
        """Keep this episode's generator."""
        self._rng = rng

    def act(self, observation: Observation) -> Action:
        """Wait in half of the steps, else one of the 15 fixes."""
        waits, fix = self._rng.random() < _WAITS_SHARE, int(self._rng.integers(len(_FIXES)))
        return Wait() if waits else _FIXES[fix]


@dataclass(frozen=True, kw_only=True)
class Played:
    """What is on the tape, and what it belongs to."""

    tape: Tape
    culprit: Fault | None
    ending: Ending | None = None


class Player:
    """Plays in one world. `policies` makes the policies by their names."""

    def __init__(
        self, world: World, *, pace: ProbePace | None = None, policies: Mapping[str, MakePolicy] | None = None
    ) -> None:
        self._world = world
        self._pace = pace or ProbePace()
        self._policies = policies or {}

    def play(self, play: Play) -> Played:
        """Play it from steady state to its end. Raises WorldError if the world fails."""
        match play.kind:
            case PlayKind.STEADY:
                return self._steady(play)
            case PlayKind.PROBE:
                return self._probe(play)
            case PlayKind.RANDOMISED:
                return self._episode(play, RandomisedActions())
            case PlayKind.POLICY:
                return self._episode(play, None)
            case _:
                assert_never(play.kind)

    def _steady(self, play: Play) -> Played:
        tape = Tape()
        self._world.restore(streams(play.seed).world)
        self._wait(tape, Phase.STEADY, self._pace.steps)
        return Played(tape=tape, culprit=None)

    def _probe(self, play: Play) -> Played:
        assert play.fault is not None
        assert play.action is not None
        tape, pace = Tape(), self._pace
        self._world.restore(streams(play.seed).world)
        self._wait(tape, Phase.STEADY, pace.steady_steps)
        self._world.inject(play.fault)
        self._wait(tape, Phase.FAULT, pace.fault_steps)
        self._step(tape, Phase.RESPONSE, play.action)
        self._wait(tape, Phase.RESPONSE, pace.response_steps - 1)
        return Played(tape=tape, culprit=play.fault)

    def _wait(self, tape: Tape, phase: Phase, steps: int) -> None:
        for _ in range(steps):
            self._step(tape, phase, Wait())

    def _step(self, tape: Tape, phase: Phase, action: Action) -> None:
        result = self._world.apply(action)
        self._world.advance(self._pace.step_s)
        tape.note(phase, action, result.reason, self._world.observe())

    def _episode(self, play: Play, policy: Policy | None) -> Played:
        assert play.tier is not None
        scenario = draw(play.seed, tier=play.tier)
        environment = Environment(self._world, TIERS[play.tier].config)
        tape = Tape()

        def note(observation: Observation, move: Move | None) -> None:
            assert environment.last_snapshot is not None
            action = None if move is None else move.action
            tape.note(Phase.EPISODE, action, environment.last_reason, environment.last_snapshot)

        player = policy or self._policies[play.policy](scenario)
        report = play_out(environment, player, scenario=scenario, on_step=note).report
        if report.outcome is Outcome.VOID:
            raise WorldError(report.reason)
        ending = Ending(outcome=report.outcome, clean=report.clean, reward=report.total_reward)
        faults = scenario.faults
        return Played(tape=tape, culprit=faults[0] if faults else None, ending=ending)
