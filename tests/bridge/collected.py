"""Recordings for tests: plays in a world, kept in memory, and recordings made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pytest

from mirr.bridge import collect_plays
from mirr.bridge.collect_plays import MakePolicy, Player, ProbePace
from mirr.bridge.recording import Phase, Play, PlayKind, Recording, Recordings, Session
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action, Fault, Feature, Journey, Reason, Restart, Service
from mirr.env.world import World
from tests.worlds import Altered

AT = "2026-01-31T12:00:00+00:00"

SHORT_PACE = ProbePace(steady_steps=1, fault_steps=2, response_steps=3)
"""For tests of what is done with plays. Three such plays on the simulator give the machine's numbers as well as whole
ones (tests/bridge/calibration/test_quick.py)."""


def shorten_plays(monkeypatch: pytest.MonkeyPatch) -> float:
    """Let all plays have the short pace. Returns how many seconds of each play are left out."""
    whole = ProbePace()
    monkeypatch.setattr(collect_plays, "ProbePace", lambda: SHORT_PACE)
    return (whole.steps - SHORT_PACE.steps) * whole.step_s


class OtherUsers(Altered):
    """A world with other users than the seed's: what a second recording of the same lab is."""

    def restore(self, key: int) -> None:
        super().restore(key ^ 1)


def collected(
    world: World, plays: Iterable[Play], *, name: str = "sim", policies: Mapping[str, MakePolicy] | None = None
) -> Recordings:
    """What the world does in these plays."""
    player, found = Player(world, policies=policies), {}
    for play in plays:
        played = player.play(play)
        found[play.key] = played.tape.recording(
            play, played.culprit, session=0, began=AT, seconds=0.0, ending=played.ending
        )
    return Recordings(sessions=(Session(world=name),), by_key=found)


def lab_of(plays: Iterable[Play], policies: Mapping[str, MakePolicy] | None = None) -> Recordings:
    """Recordings of a lab that the simulator models without error: other users, the same physics."""
    return collected(OtherUsers(SimulatedWorld()), plays, name="docker", policies=policies)


CRASHED_AUTH = Fault.parse("crashed:auth")


def probe_of(
    failed_share: Sequence[float],
    *,
    fault: Fault = CRASHED_AUTH,
    action: Action | None = None,
    played_round: int = 0,
    down: Sequence[bool] = (),
    degraded: Sequence[bool] = (),
) -> Recording:
    """A probe of 1 window in steady state, 3 with the fault, and the rest after the action.

    For each window, `failed_share` is the share of failed users. `down` says whether the culprit is down. If it is not,
    it is as well as the others. `degraded` says whether it runs a worse release."""
    steps, row = len(failed_share), SERVICE_ROW[fault.service]
    features = np.zeros((steps, len(Service), len(Feature)))
    for feature, value in {Feature.UP: 1.0, Feature.REQUEST_RATE: 20.0, Feature.LATENCY_P95_S: 0.02}.items():
        features[:, :, FEATURE_COLUMN[feature]] = value
    for step, is_down in enumerate(down):
        if is_down:
            features[step, row] = [0.0, *[np.nan] * (len(Feature) - 1)]
    journeys = np.zeros((steps, len(Journey), 2), dtype=np.int64)
    journeys[:, :, 0] = 100
    journeys[:, :, 1] = np.round(100 * np.array(failed_share))[:, None]
    worse = np.zeros((steps, len(Service)), dtype=np.bool_)
    worse[: len(degraded), row] = degraded
    return Recording(
        play=Play(
            kind=PlayKind.PROBE, round=played_round, seed=0, fault=fault, action=action or Restart(fault.service)
        ),
        culprit=fault,
        phases=(Phase.STEADY, *[Phase.FAULT] * 3, *[Phase.RESPONSE] * (steps - 4)),
        actions=("wait",) * steps,
        reasons=(Reason.DONE,) * steps,
        features=features,
        journeys=journeys,
        degraded=worse,
        overrun_s=np.zeros(steps),
        session=0,
        began=AT,
        seconds=28.0,
    )
