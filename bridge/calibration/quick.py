"""The machine's handful of numbers, measured on a lab within five minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mirr.bridge.calibration import readings
from mirr.bridge.calibration.closed_form import evidence, intervals, solved
from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.fitters import FITTERS
from mirr.bridge.calibration.machine import Machine, machine_of
from mirr.bridge.collect_plays import Player
from mirr.bridge.recording import Play, PlayKind, Recording
from mirr.env.simulator.parameters import Parameters
from mirr.env.vocabulary import Fault, Restart, Service
from mirr.env.world import WorldError

BUDGET_S = 280.0
DRAWS = 50

QUICK_FITTERS = tuple(fitter for fitter in FITTERS if fitter.read in (readings.idle, readings.steady, readings.boot))

QUICK_PLAYS: tuple[Play, ...] = (
    Play(
        kind=PlayKind.PROBE,
        round=0,
        seed=1,
        fault=Fault.parse("crashed:gateway"),
        action=Restart(Service.GATEWAY),
    ),
    Play(kind=PlayKind.STEADY, round=0, seed=2),
    Play(kind=PlayKind.STEADY, round=0, seed=3, number=1),
    Play(kind=PlayKind.PROBE, round=0, seed=4, fault=Fault.parse("crashed:auth"), action=Restart(Service.AUTH)),
    Play(kind=PlayKind.STEADY, round=0, seed=5, number=2),
)
"""The most important first: a restart that shows idle services, too, and steady state. There is no crowd: it would say
more about the service that it comes to than about the machine."""

LEAST_PLAYS = 3


@dataclass(frozen=True, kw_only=True)
class Quick:
    """What was measured."""

    machine: Machine
    measured: Mapping[str, tuple[float, float, float]]  # value and interval of each parameter that was read
    plays: int
    seconds: float


def quick(
    player: Player,
    base: Parameters,
    *,
    budget_s: float = BUDGET_S,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    now: Callable[[], float] = time.monotonic,
) -> Quick:
    """Play and fit. No play begins that would end after the budget. Raises WorldError, or CalibrationError if there was
    not enough time."""
    began, longest, recordings = now(), 0.0, list[Recording]()
    for play in QUICK_PLAYS:
        since = now()
        if since - began + longest > budget_s:
            break
        say(f"{play.name}, after {since - began:.0f} s")
        try:
            played = player.play(play)
        except WorldError:
            if not recordings:
                raise
            continue  # what was measured before may be enough
        longest = max(longest, now() - since)
        recordings.append(played.tape.recording(play, played.culprit, session=0, began="", seconds=now() - since))
    if len(recordings) < LEAST_PLAYS:
        raise CalibrationError(
            f"only {len(recordings)} of {LEAST_PLAYS} plays within {budget_s:g} s; next: mirr doctor, then try again"
        )
    found = evidence(recordings, QUICK_FITTERS)
    result = solved(found, base, QUICK_FITTERS)
    ends = intervals(found, base, QUICK_FITTERS, draws=DRAWS, rng=np.random.default_rng(seed))
    return Quick(
        machine=machine_of(result.parameters, base, result.values),
        measured={name: (value, *ends.get(name, (value, value))) for name, value in result.values.items()},
        plays=len(recordings),
        seconds=now() - began,
    )
