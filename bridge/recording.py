"""What a world did, step by step: one play, and all plays of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mirr.env.forms import form_name
from mirr.env.reward import Outcome
from mirr.env.vocabulary import CALLS, Action, Fault, Journey, Reason, Service, Tier, action_text
from mirr.env.world import JourneyCount, Snapshot

STEADY_FORM = "steady"
"""The name that stands for a form where nothing is broken."""

SIMULATED = "sim"
"""The name of the simulator among the worlds of sessions."""

Facts = dict[str, object]  # as JSON has them


class PlayKind(StrEnum):
    """What is played."""

    STEADY = "steady"  # nothing breaks, and nobody acts
    PROBE = "probe"  # steady state, a fault, one action, and what comes of it
    RANDOMISED = "randomised"  # an episode under actions that its seed draws
    POLICY = "policy"  # an episode that a policy plays


class Phase(StrEnum):
    """A part of a play."""

    STEADY = "steady"
    FAULT = "fault"  # from the injection to the action
    RESPONSE = "response"  # from the action on
    EPISODE = "episode"


class Role(StrEnum):
    """What a service is to a fault."""

    CULPRIT = "culprit"
    NEIGHBOUR = "neighbour"  # it calls the culprit or is called by it, also through others: it has symptoms
    UNRELATED = "unrelated"


def _reached(service: Service) -> set[Service]:
    """The services that `service` calls, directly or through others."""
    return {found for called in CALLS[service] for found in (called, *_reached(called))}


def role_of(service: Service, culprit: Service | None) -> Role:
    """The role of a service. Without a culprit, every service is unrelated."""
    if service is culprit:
        return Role.CULPRIT
    if culprit is not None and (service in _reached(culprit) or culprit in _reached(service)):
        return Role.NEIGHBOUR
    return Role.UNRELATED


def in_role(role: Role, culprit: Service | None) -> tuple[Service, ...]:
    """The services of that role, in order. Everybody is a neighbour of the gateway, so nobody is unrelated to it."""
    return tuple(service for service in Service if role_of(service, culprit) is role)


def form_text(fault: Fault | None) -> str:
    """A fault's form with its mode, as in `bad_deploy/slow`."""
    return STEADY_FORM if fault is None else f"{fault.mode}/{form_name(fault.mode, fault.form)}"


@dataclass(frozen=True, kw_only=True)
class Play:
    """One thing to play. Both worlds play it alike."""

    kind: PlayKind
    round: int  # the same play again, which shows how far a world is from itself
    seed: int
    number: int = 0  # of a steady play
    fault: Fault | None = None  # of a probe
    action: Action | None = None  # of a probe
    tier: Tier | None = None  # of an episode
    policy: str = ""  # of an episode that a policy plays

    @property
    def name(self) -> str:
        """What is played. It is the same in every round and in every world."""
        match self.kind:
            case PlayKind.STEADY:
                return f"{self.kind} {self.number}"
            case PlayKind.PROBE:
                assert self.action is not None
                return f"{self.kind} {self.fault} {action_text(self.action)}"
            case PlayKind.RANDOMISED:
                return f"{self.kind} {self.tier} {self.seed}"
            case PlayKind.POLICY:
                return f"{self.kind} {self.tier} {self.seed} {self.policy}"

    @property
    def key(self) -> str:
        """The name with the round: unique within a folder."""
        return f"{self.name} round {self.round}"

    @property
    def deed(self) -> str:
        """The kind of a probe's action, as in `restart`."""
        return "" if self.action is None else action_text(self.action).partition("(")[0]

    @property
    def target_role(self) -> Role | None:
        """The role of the service that a probe acts on; None if it waits."""
        target = None if self.action is None else vars(self.action).get("service")
        return None if target is None or self.fault is None else role_of(target, self.fault.service)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an episode ended."""

    outcome: Outcome
    clean: bool
    reward: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """One play as it was measured, without observation noise."""

    play: Play
    culprit: Fault | None  # the fault of a probe, or the first of an episode
    phases: tuple[Phase, ...]  # (steps,)
    actions: tuple[str, ...]  # (steps,), as `action_text` writes them; empty before the first action of an episode
    reasons: tuple[Reason | None, ...]  # (steps,), the answer to the action
    features: NDArray[np.float64]  # (steps, services, features); NaN if a service could not be scraped
    journeys: NDArray[np.int64]  # (steps, journeys, 2): requests, and how many of them failed
    degraded: NDArray[np.bool_]  # (steps, services): whether the release or the limits are worse than in steady state
    overrun_s: NDArray[np.float64]  # (steps,)
    session: int  # which of the folder's sessions recorded it
    began: str  # when, in UTC, as in 2026-01-31T12:00:00+00:00
    seconds: float  # of real time
    ending: Ending | None = None  # of an episode

    @property
    def steps(self) -> int:
        """How many windows were measured."""
        return len(self.phases)

    @property
    def form(self) -> str:
        """The form of the culprit's fault, or `steady`."""
        return form_text(self.culprit)

    @property
    def culprit_service(self) -> Service | None:
        """The service that is broken."""
        return None if self.culprit is None else self.culprit.service

    def first(self, phase: Phase) -> int:
        """The number of the first step of a phase; the number of steps if there is none."""
        return self.phases.index(phase) if phase in self.phases else self.steps

    @cached_property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """The windows as the world gave them. The reason of a service that is degraded is not recorded."""
        return tuple(
            Snapshot(
                features=self.features[step],
                journeys={
                    journey: JourneyCount(*map(int, self.journeys[step, place]))
                    for place, journey in enumerate(Journey)
                },
                overrun_s=float(self.overrun_s[step]),
                degraded={
                    service: "it runs worse than in steady state"
                    for place, service in enumerate(Service)
                    if self.degraded[step, place]
                },
            )
            for step in range(self.steps)
        )


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run of `mirr collect`, and what one has to know to repeat it."""

    world: str
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """Everything that a folder holds."""

    sessions: tuple[Session, ...]
    by_key: Mapping[str, Recording]
    void: int = 0  # plays during which the world failed

    @property
    def world(self) -> str:
        """The name of the world that was recorded; empty if nothing was."""
        return self.sessions[0].world if self.sessions else ""
