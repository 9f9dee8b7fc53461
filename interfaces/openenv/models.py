"""The messages to and from an OpenEnv client: action, observation, state."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np

# openenv ships no types, so its names are Any here and everywhere in this folder.
from openenv.core.env_server.types import Action, Observation, State  # type: ignore[import-untyped]
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from mirr.env import environment as episode
from mirr.env.environment import EpisodeReport
from mirr.env.quoting import quoted
from mirr.env.rendering import render
from mirr.env.rollout import EpisodeResult
from mirr.env.vocabulary import (
    ACTION_BY_TEXT,
    PACK_ACTIONS,
    Feature,
    Reason,
    Service,
    action_text,
    parse_action,
    parse_service,
)
from mirr.env.vocabulary import Action as EpisodeAction
from mirr.env.world import Level, LogLine

Report = dict[str, Any]
"""The truth about an episode that is over, in the fields of `mirr episode --json`."""

_NOT_IN_A_REPORT = ("world", "policy", "trajectory")  # the client knows these


def _as_text(value: object) -> str:
    """The action as text, given as text or as number."""
    if isinstance(value, str) and value.strip() in ACTION_BY_TEXT:
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(PACK_ACTIONS):
        return action_text(PACK_ACTIONS[value])
    # A ValueError would be part of the answer, and it cannot be written as JSON.
    raise PydanticCustomError(
        "unknown_action",
        "unknown action {given}; an action is a number from 0 to {last}, or written as in: "
        "wait, check_logs(auth), diagnose(payments, bad_deploy), restart(auth)",
        {"given": quoted(value), "last": len(PACK_ACTIONS) - 1},
    )


ActionText = Annotated[
    str,
    BeforeValidator(_as_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": [action_text(action) for action in PACK_ACTIONS]},
                {"type": "integer", "minimum": 0, "maximum": len(PACK_ACTIONS) - 1},
            ]
        }
    ),
]


class MirrAction(Action):  # type: ignore[misc]  # Action is Any: openenv ships no types
    """One action, as text or as its number; each takes one step."""

    action: ActionText = Field(
        description="What to do, as text or as its number. The number of choices is in the observation: "
        "diagnose(none) is only there if the alarm may be false."
    )

    @classmethod
    def of(cls, action: EpisodeAction) -> MirrAction:
        """`action` as it is sent."""
        return cls(action=action_text(action))

    def taken(self) -> EpisodeAction:
        """The action that was sent."""
        return parse_action(self.action)


class MirrLogLine(BaseModel):
    """One line that a service wrote."""

    model_config = ConfigDict(extra="forbid")

    age_s: float = Field(description="Seconds before the moment of reading.")
    level: str
    event: str
    text: str


class MirrObservation(Observation):  # type: ignore[misc]  # Observation is Any: openenv ships no types
    """What an agent sees after a step. The truth comes only at the end."""

    features: list[list[float | None]] = Field(
        description=f"A row each for {', '.join(Service)}; columns {', '.join(Feature)}. "
        "null if a service could not be scraped."
    )
    text: str = Field(description="The same as text, for people and language models.")
    step: int = Field(ge=0, description="Steps taken so far.")
    steps_left: int = Field(ge=0)
    choices: int = Field(description="Action numbers go from 0 to choices - 1; 42 if the alarm may be false, else 41.")
    situation: str = Field(default="", description="What the person on call knows; only after a reset.")
    last_action: str | None = None
    result: str = Field(default="", description="What became of the last action, for people.")
    reason: Reason | None = Field(default=None, description="The same for programs; null before the first action.")
    logs: list[MirrLogLine] = Field(default_factory=list, description="Oldest first; only after check_logs.")
    logs_of: str | None = None
    truncated: bool = Field(default=False, description="Whether the episode ended because no steps were left.")
    report: Report | None = Field(default=None, description="The truth, once the episode is over.")


class MirrState(State):  # type: ignore[misc]  # State is Any: openenv ships no types
    """The state of an episode, for the trainer. It has no seed, because a seed reveals the scenario and a harness may
    show the state to its agent. The caller of reset knows the seed, and the report has it at the end."""

    steps_left: int = 0
    running: bool = False
    total_reward: float = 0.0
    earned: dict[str, float] = Field(default_factory=dict, description="The total reward by the rubric's components.")
    report: Report | None = Field(default=None, description="The truth, once the episode is over or void.")


def report_json(report: EpisodeReport) -> Report:
    """A report in the fields of `mirr episode --json`."""
    content = EpisodeResult(world="", policy="", report=report, trajectory=()).to_json()
    return {key: value for key, value in content.items() if key not in _NOT_IN_A_REPORT}


def to_wire(
    seen: episode.Observation,
    *,
    choices: int,
    situation: str = "",
    reward: float | None = None,
    truncated: bool = False,
    report: EpisodeReport | None = None,
) -> MirrObservation:
    """An observation as it is sent. The reward of a reset is None."""
    return MirrObservation(
        features=[[None if math.isnan(value) else value for value in row] for row in seen.features.tolist()],
        text=render(seen),
        step=seen.step,
        steps_left=seen.steps_left,
        choices=choices,
        situation=situation,
        last_action=None if seen.last_action is None else action_text(seen.last_action),
        result=seen.last_result,
        reason=seen.last_reason,
        logs=[
            MirrLogLine(age_s=line.age_s, level=str(line.level), event=line.event, text=line.text) for line in seen.logs
        ],
        logs_of=None if seen.logs_of is None else str(seen.logs_of),
        truncated=truncated,
        report=None if report is None else report_json(report),
        reward=reward,
        done=report is not None,
    )


def from_wire(received: MirrObservation) -> episode.Observation:
    """A received observation, in the form that this project's policies take."""
    features = [[math.nan if value is None else value for value in row] for row in received.features]
    return episode.Observation(
        features=np.array(features, dtype=np.float32),
        step=received.step,
        steps_left=received.steps_left,
        last_action=None if received.last_action is None else parse_action(received.last_action),
        last_result=received.result,
        last_reason=received.reason,
        logs=tuple(
            LogLine(age_s=line.age_s, level=Level(line.level), event=line.event, text=line.text)
            for line in received.logs
        ),
        logs_of=None if received.logs_of is None else parse_service(received.logs_of),
    )
