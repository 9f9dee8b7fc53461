"""Random sequences of injecting, fixing, ending, killing and reverting, after each of which the lab is as before.

`MIRR_SEQUENCES` says how many (4 if it says nothing), `MIRR_SEED` which. A single one is played again by its number:
`pytest tests/cli/test_real_storms.py -k "[17]"`.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import pytest
from docker.errors import APIError

from mirr.bridge.assembly import Parts, assemble
from mirr.bridge.docker_world import DockerWorld
from mirr.chaos.errors import ChaosError
from mirr.chaos.faults import faults
from mirr.env.vocabulary import Fault, Restart, Rollback, ScaleUp, Service
from mirr.env.world import WorldError
from mirr.lab.errors import LabNotUp
from mirr.lab.footprint import Footprint, differences
from tests.cli.on_real_lab import MIRR, REVERT_S, assert_steady, drawn, kill_after, made_of, start

SEQUENCES = range(int(os.environ.get("MIRR_SEQUENCES", "4")))
STEADY_EVERY = 10
LONGEST = 4
CONFLICT = 409  # the engine's word for: it is not in a state in which this could be done


class Kind(StrEnum):
    """What can happen to a lab."""

    INJECT = "inject"
    INJECTOR_KILLED = "mirr inject, killed"
    END = "let end"
    RESTART = "restart"
    ROLLBACK = "roll back"
    SCALE_UP = "scale up"
    KILL = "docker kill"
    STOP = "docker stop"
    PAUSE = "docker pause"
    REVERT = "revert"


KINDS = (*Kind, Kind.INJECT, Kind.INJECT, Kind.INJECTOR_KILLED)
"""What is drawn from: without something broken, the rest finds little to do."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """One thing that happens."""

    kind: Kind
    fault: Fault  # of which the others take the service
    after_s: float  # when the injector is killed

    @property
    def service(self) -> Service:
        """Which service it happens to."""
        return self.fault.service

    def __str__(self) -> str:
        return f"{self.kind} {self.fault}"


def sequence(draw: random.Random) -> list[Act]:
    """At most LONGEST acts. Every second one is on the service of the one before: that is where they meet."""
    acts: list[Act] = []
    for _ in range(draw.randint(1, LONGEST)):
        service = acts[-1].service if acts and draw.random() < 0.5 else draw.choice(list(Service))
        fault = draw.choice(faults(service=service))
        acts.append(Act(kind=draw.choice(KINDS), fault=fault, after_s=draw.uniform(0.0, 3.0)))
    return acts


class Hands:
    """Does acts to a lab. What is refused is as good as done: the lab has to come out of either."""

    def __init__(self, lab: str, parts: Parts) -> None:
        self._lab = lab
        self._parts = parts
        # It is handed no lock to hold: others are to act at the same time.
        self._world = DockerWorld(fleet=parts.fleet, chaos=parts.chaos, telemetry=parts.telemetry)

    def do(self, act: Act) -> None:
        began = time.monotonic()
        try:
            said = self._do(act)
        except (ChaosError, LabNotUp, WorldError) as error:  # an injector that was killed may have left no container
            said = f"refused: {error}"
        except APIError as error:
            if error.status_code != CONFLICT:
                raise
            said = f"refused: {error.explanation}"
        print(f"  {act} ({time.monotonic() - began:.1f} s): {said}")

    def _do(self, act: Act) -> str:
        chaos, containers = self._parts.chaos, self._parts.containers
        match act.kind:
            case Kind.INJECT:
                chaos.inject(act.fault)
            case Kind.INJECTOR_KILLED:
                kill_after(start(self._lab, "inject", act.fault.mode, act.service), act.after_s)
            case Kind.END:
                ending = chaos.open_faults()
                for fault in ending:
                    chaos.end(fault)
                return f"ended {', '.join(map(str, ending)) or 'nothing'}"
            case Kind.RESTART:
                return self._world.apply(Restart(act.service)).text
            case Kind.ROLLBACK:
                return self._world.apply(Rollback(act.service)).text
            case Kind.SCALE_UP:
                return self._world.apply(ScaleUp(act.service)).text
            case Kind.KILL:
                containers.service(act.service).kill()
            case Kind.STOP:
                containers.service(act.service).stop(timeout=0)
            case Kind.PAUSE:
                containers.service(act.service).pause()
            case Kind.REVERT:
                return ", ".join(chaos.revert()) or "nothing to revert"
            case _:
                assert_never(act.kind)
        return "done"


def timed(act: Callable[[], object]) -> float:
    """The seconds it took."""
    began = time.monotonic()
    act()
    return time.monotonic() - began


@pytest.fixture(scope="module")
def as_made(real_lab: str) -> Footprint:
    """What the lab is made of before anybody has a hand in it."""
    assemble(real_lab).chaos.revert()
    assert_steady(real_lab)
    return made_of(real_lab)


@pytest.fixture
def lab(real_lab: str, as_made: Footprint) -> Iterator[str]:
    """The lab, made anew after a sequence that has left something behind, so that the next one is judged alone."""
    yield real_lab
    if differences(as_made, made_of(real_lab)):
        for command in ("down", "up"):
            subprocess.run([MIRR, command, "--lab", real_lab], check=True, timeout=200)


@pytest.mark.docker
@pytest.mark.parametrize("number", SEQUENCES)
def test_whatever_happens_to_a_lab_it_is_put_back(lab: str, as_made: Footprint, number: int) -> None:
    acts = sequence(drawn("storms", number))
    parts = assemble(lab)
    hands = Hands(lab, parts)
    for act in acts:
        hands.do(act)
    parts.chaos.close()
    # Put back by somebody who remembers nothing of it.
    reverter = assemble(lab).chaos
    took_s = timed(lambda: print("  reverted:", reverter.revert()))
    assert took_s <= REVERT_S
    assert differences(as_made, made_of(lab)) == []
    if (number + 1) % STEADY_EVERY == 0 or number == SEQUENCES[-1]:
        assert_steady(lab)
        assert differences(as_made, made_of(lab)) == []


def test_a_sequence_is_the_same_whenever_it_is_played_again() -> None:
    assert sequence(drawn("storms", 3)) == sequence(drawn("storms", 3))
    assert len({str(sequence(drawn("storms", number))) for number in range(20)}) == 20
