"""The trained policy: it keeps notes, and takes the action that its network favours among those that may be of use."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mirr.agents.ppo.network import Size, scores, weight_shapes
from mirr.agents.ppo.notes import Floats, Notes
from mirr.agents.weights import load_network
from mirr.env.environment import Observation
from mirr.env.logs import STARTED, LogBook
from mirr.env.vocabulary import ACTION_INDEX, PACK_ACTIONS, Action, Tier
from mirr.env.world import LogLine

_TRAINED: Final = Path(__file__).parent / "trained"
SHIPPED: Final[dict[Tier, Path]] = {
    Tier.EASY: _TRAINED / "easy.safetensors",
    Tier.MEDIUM: _TRAINED / "hard.safetensors",
    Tier.HARD: _TRAINED / "hard.safetensors",
}
"""For each tier, the checkpoint that ships."""
CHOSEN: Final = "MIRR_PPO"
"""The environment variable that names another checkpoint, to be played in every tier."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a trained network, and its size."""

    size: Size
    weights: dict[str, Floats]


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of `mirr train`. Raises BadCheckpoint."""
    return Checkpoint(*load_network(path, Size, weight_shapes, "mirr train"))


@functools.cache
def _read_once(path: Path) -> Checkpoint:
    return load_checkpoint(path)


def chosen_checkpoint(tier: Tier | None) -> Checkpoint:
    """The checkpoint that ships for a tier, or the one that MIRR_PPO names. A pack of incidents has no tier, and gets
    that of `hard`. Raises BadCheckpoint."""
    chosen = os.environ.get(CHOSEN)
    return _read_once(Path(chosen) if chosen else SHIPPED[tier or Tier.HARD])


class PpoPolicy:
    """Plays a checkpoint. With `alarms_may_be_false`, it may also say that nothing is broken."""

    def __init__(self, checkpoint: Checkpoint, *, alarms_may_be_false: bool) -> None:
        self._checkpoint = checkpoint
        self._alarms_may_be_false = alarms_may_be_false
        self._begin()

    def _begin(self) -> None:
        self._notes = Notes(1, alarms_may_be_false=self._alarms_may_be_false)
        self._logs = LogBook()

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the last episode."""
        self._begin()

    def act(self, observation: Observation) -> Action:
        """The action with the highest score."""
        notes = self.noted(observation)
        found = scores(self._checkpoint.weights, notes.own(), notes.shared())
        return PACK_ACTIONS[int(np.where(notes.allowed, found, -np.inf)[0].argmax())]

    def noted(self, observation: Observation) -> Notes:
        """The notes of this episode, with one more observation."""
        features = observation.features[None]
        self._logs.note(observation.step, observation.logs_of, observation.logs)
        if observation.last_action is None:
            self._notes.begin(features)
        else:
            self._notes.note(
                np.array([ACTION_INDEX[observation.last_action]]),
                np.array([observation.last_accepted]),
                features,
                self._logs.numbers()[None],
                np.array([start_age_s(observation.logs)]),
            )
        return self._notes


def start_age_s(lines: Iterable[LogLine]) -> float:
    """How long ago the last process started that a log tells of; NaN if it tells of none."""
    return min((line.age_s for line in lines if line.event == STARTED), default=math.nan)
