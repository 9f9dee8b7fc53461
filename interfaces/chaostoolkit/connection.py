"""What every activity needs: the lab that the experiment names, a clock, and errors as the toolkit expects them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# chaostoolkit-lib ships no types, so what comes from it is Any.
from chaoslib.exceptions import ActivityFailed  # type: ignore[import-untyped]
from chaoslib.types import Configuration  # type: ignore[import-untyped]

from mirr.bridge.assembly import Parts, assemble
from mirr.bridge.docker_world import DockerWorld
from mirr.chaos.errors import ChaosError
from mirr.env.vocabulary import BadSeverity, UnknownName
from mirr.env.world import WorldError
from mirr.lab.errors import LabError
from mirr.lab.lock import hold
from mirr.lab.names import DEFAULT_LAB, parse_lab


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time, for activities that wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()


def lab_name(configuration: Configuration) -> str:
    """The lab that the experiment's configuration names with `lab`, or BadLabName."""
    return parse_lab(str((configuration or {}).get("lab", DEFAULT_LAB)))


@contextmanager
def as_activity_failures() -> Iterator[None]:
    """Turn our errors into ActivityFailed, which is the error that the toolkit expects."""
    try:
        yield
    except (LabError, ChaosError, WorldError, UnknownName, BadSeverity) as error:
        raise ActivityFailed(str(error)) from error


@contextmanager
def looking(configuration: Configuration) -> Iterator[Parts]:
    """The parts of the lab, to read from."""
    with as_activity_failures():
        yield assemble(lab_name(configuration))


@contextmanager
def acting(configuration: Configuration, what: str) -> Iterator[Parts]:
    """The parts of the lab. Meanwhile the lab is held for `what`, so that nobody else acts on it."""
    with looking(configuration) as parts, hold(lab_name(configuration), f"chaos run: {what}"):
        yield parts


def world_of(parts: Parts, clock: Clock) -> DockerWorld:
    """The parts as a World. Do not close it: that would revert what the experiment has just injected."""
    return DockerWorld(
        fleet=parts.fleet, chaos=parts.chaos, telemetry=parts.telemetry, now=clock.now, sleep=clock.sleep
    )
