"""Plays the plays of a recording in the simulator, with other parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from mirr.bridge.collect_plays import MakePolicy, Player
from mirr.bridge.provenance import REFERENCE_PROFILE, simulator_facts
from mirr.bridge.recording import SIMULATED, Facts, Play, Recording, Recordings, Session
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.world import WorldError


def simulated(
    plays: Iterable[Play],
    parameters: Parameters,
    *,
    policies: Mapping[str, MakePolicy] | None = None,
    profile: str = REFERENCE_PROFILE,
    facts: Facts | None = None,
) -> Recordings:
    """The same plays in the simulator. A play in which a fault does not land is void.

    `facts` are more of what the session says. Raises KeyError for a play of a policy that `policies` does not have."""
    player = Player(SimulatedWorld(parameters), policies=policies)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    by_key: dict[str, Recording] = {}
    void = 0
    for play in plays:
        try:
            played = player.play(play)
        except WorldError:
            void += 1
            continue
        by_key[play.key] = played.tape.recording(
            play, played.culprit, session=0, began=began, seconds=0.0, ending=played.ending
        )
    session = Session(world=SIMULATED, facts=simulator_facts(parameters, profile) | (facts or {}))
    return Recordings(sessions=(session,), by_key=by_key, void=void)
