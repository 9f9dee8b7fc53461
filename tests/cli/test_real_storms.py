"""Random sequences of injections, fixes, ends, kills and reverts. After each sequence the lab is as before.

`MIRR_SEQUENCES` is the number of sequences (default 4). `MIRR_SEED` is their seed. To play one sequence again, give its
number: `pytest tests/cli/test_real_storms.py -k "[17]"`.
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
from tests.cli.on_real_lab import MIRR, REVERT_S, assert_steady, kill_after, made_of, random_of_case, start

SEQUENCES = range(int(os.environ.get("MIRR_SEQUENCES", "4")))
STEADY_EVERY = 10
LONGEST = 4
CONFLICT = 409  # the engine's status code for: the state of the container does not allow this


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
"""A random kind comes from this tuple. Injections are frequent, because the other kinds need a fault."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """One act of a sequence."""

    kind: Kind
    fault: Fault  # all kinds but the injections use only its service
    after_s: float  # the injector is killed after this time

    @property
    def service(self) -> Service:
        """The service of the act."""
        return self.fault.service

    def __str__(self) -> str:
        return f"{self.kind} {self.fault}"


def sequence(draw: random.Random) -> list[Act]:
    """A random list of at most LONGEST acts. About half of the acts are on the same service as the act before."""
    acts: list[Act] = []
    for _ in range(draw.randint(1, LONGEST)):
        service = acts[-1].service if acts and draw.random() < 0.5 else draw.choice(list(Service))
        fault = draw.choice(faults(service=service))
        acts.append(Act(kind=draw.choice(KINDS), fault=fault, after_s=draw.uniform(0.0, 3.0)))
    return acts


class Actor:
    """Performs acts on a lab. An act may be refused. In both cases revert has to work afterwards."""

    def __init__(self, lab: str, parts: Parts) -> None:
        self._lab = lab
        self._parts = parts
        # This world holds no lock: other processes act at the same time.
        self._world = DockerWorld(fleet=parts.fleet, chaos=parts.chaos, telemetry=parts.telemetry)

    def do(self, act: Act) -> None:
        began = time.monotonic()
        try:
            outcome = self._do(act)
        except (ChaosError, LabNotUp, WorldError) as error:  # a killed injector may have removed the container
            outcome = f"refused: {error}"
        except APIError as error:
            if error.status_code != CONFLICT:
                raise
            outcome = f"refused: {error.explanation}"
        print(f"  {act} ({time.monotonic() - began:.1f} s): {outcome}")

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


def timed(call: Callable[[], object]) -> float:
    """The duration of a call in seconds."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


@pytest.fixture(scope="module")
def footprint_before(real_lab: str) -> Footprint:
    """The footprint of the lab before the first sequence."""
    assemble(real_lab).chaos.revert()
    assert_steady(real_lab)
    return made_of(real_lab)


@pytest.fixture
def lab(real_lab: str, footprint_before: Footprint) -> Iterator[str]:
    """The lab. If a sequence leaves a difference, the lab is created again for the next sequence."""
    yield real_lab
    if differences(footprint_before, made_of(real_lab)):
        for command in ("down", "up"):
            subprocess.run([MIRR, command, "--lab", real_lab], check=True, timeout=200)


@pytest.mark.docker
@pytest.mark.parametrize("number", SEQUENCES)
def test_revert_removes_all_differences_after_a_random_sequence(
    lab: str, footprint_before: Footprint, number: int
) -> None:
    acts = sequence(random_of_case("storms", number))
    parts = assemble(lab)
    actor = Actor(lab, parts)
    for act in acts:
        actor.do(act)
    parts.chaos.close()
    # Another Chaos reverts. It knows only what is on disk and on the engine.
    reverter = assemble(lab).chaos
    took_s = timed(lambda: print("  reverted:", reverter.revert()))
    assert took_s <= REVERT_S
    assert differences(footprint_before, made_of(lab)) == []
    if (number + 1) % STEADY_EVERY == 0 or number == SEQUENCES[-1]:
        assert_steady(lab)
        assert differences(footprint_before, made_of(lab)) == []


def test_a_number_always_gives_the_same_sequence() -> None:
    assert sequence(random_of_case("storms", 3)) == sequence(random_of_case("storms", 3))
    assert len({str(sequence(random_of_case("storms", number))) for number in range(20)}) == 20
