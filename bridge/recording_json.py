"""Recordings and sessions as JSON, to the last bit, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from mirr.bridge.recording import Ending, Phase, Play, PlayKind, Recording, Session
from mirr.env.record import finite
from mirr.env.reward import Outcome
from mirr.env.vocabulary import Fault, Journey, Reason, Service, Tier, action_text, parse_action
from mirr.env.world import FEATURES_SHAPE

Json = dict[str, Any]

DAMAGED = (ArithmeticError, AssertionError, AttributeError, KeyError, TypeError, ValueError)
"""What the functions here raise if a field is missing, or has a value of another type or size than it should."""


def session_json(session: Session) -> Json:
    """A session as JSON."""
    return {"world": session.world, "facts": session.facts}


def parse_session(raw: Json) -> Session:
    """A session from JSON. Raises KeyError, TypeError or ValueError."""
    world, facts = raw["world"], raw["facts"]
    if not isinstance(world, str) or not isinstance(facts, dict):
        raise TypeError("world is a text, and facts are an object")
    return Session(world=world, facts=facts)


def play_json(play: Play) -> Json:
    """A play as JSON."""
    return {
        "kind": play.kind,
        "round": play.round,
        "seed": play.seed,
        "number": play.number,
        "fault": None if play.fault is None else str(play.fault),
        "action": None if play.action is None else action_text(play.action),
        "tier": play.tier,
        "policy": play.policy,
    }


def parse_play(raw: Json) -> Play:
    """A play from JSON. Raises KeyError, TypeError or ValueError."""
    return Play(
        kind=PlayKind(raw["kind"]),
        round=int(raw["round"]),
        seed=int(raw["seed"]),
        number=int(raw["number"]),
        fault=None if raw["fault"] is None else Fault.parse(raw["fault"]),
        action=None if raw["action"] is None else parse_action(raw["action"]),
        tier=None if raw["tier"] is None else Tier(raw["tier"]),
        policy=str(raw["policy"]),
    )


def ending_json(ending: Ending | None) -> Json | None:
    """How an episode ended, as JSON."""
    if ending is None:
        return None
    return {"outcome": ending.outcome, "clean": ending.clean, "reward": ending.reward}


def parse_ending(raw: Json | None) -> Ending | None:
    """How an episode ended, from JSON. Raises KeyError, TypeError or ValueError."""
    if raw is None:
        return None
    return Ending(outcome=Outcome(raw["outcome"]), clean=bool(raw["clean"]), reward=float(raw["reward"]))


def recording_json(recording: Recording) -> Json:
    """A recording as JSON."""
    return {
        "play": play_json(recording.play),
        "culprit": None if recording.culprit is None else str(recording.culprit),
        "session": recording.session,
        "began": recording.began,
        "seconds": recording.seconds,
        "ending": ending_json(recording.ending),
        "phases": list(recording.phases),
        "actions": list(recording.actions),
        "reasons": list(recording.reasons),
        "features": [finite(window) for window in recording.features.tolist()],
        "journeys": recording.journeys.tolist(),
        "degraded": recording.degraded.tolist(),
        "overrun_s": recording.overrun_s.tolist(),
    }


def parse_recording(raw: Json) -> Recording:
    """A recording from JSON. Raises KeyError, TypeError, ValueError or one of the vocabulary's errors, which are
    ValueErrors."""
    recording = Recording(
        play=parse_play(raw["play"]),
        culprit=None if raw["culprit"] is None else Fault.parse(raw["culprit"]),
        phases=tuple(Phase(phase) for phase in raw["phases"]),
        actions=tuple(str(action) for action in raw["actions"]),
        reasons=tuple(None if reason is None else Reason(reason) for reason in raw["reasons"]),
        features=np.array(raw["features"], dtype=np.float64),  # None becomes NaN
        journeys=np.array(raw["journeys"], dtype=np.int64),
        degraded=np.array(raw["degraded"], dtype=np.bool_),
        overrun_s=np.array(raw["overrun_s"], dtype=np.float64),
        session=int(raw["session"]),
        began=str(raw["began"]),
        seconds=float(raw["seconds"]),
        ending=parse_ending(raw["ending"]),
    )
    check_shapes(recording)
    return recording


def check_shapes(recording: Recording) -> None:
    """Raises ValueError unless every part of a recording has the same steps."""
    steps = recording.steps
    found = {
        "actions": (len(recording.actions),),
        "reasons": (len(recording.reasons),),
        "features": recording.features.shape,
        "journeys": recording.journeys.shape,
        "degraded": recording.degraded.shape,
        "overrun_s": recording.overrun_s.shape,
    }
    wanted = {
        "actions": (steps,),
        "reasons": (steps,),
        "features": (steps, *FEATURES_SHAPE),
        "journeys": (steps, len(Journey), 2),
        "degraded": (steps, len(Service)),
        "overrun_s": (steps,),
    }
    for name, shape in wanted.items():
        if found[name] != shape:
            raise ValueError(f"{name} has the shape {found[name]}, and not {shape}")
