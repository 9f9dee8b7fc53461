"""The trained language model as a policy: it reads its briefing and takes the action that its network favours."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mirr.agents.language_model.network import Floats, Size, scores, weight_shapes
from mirr.agents.language_model.notebook import Notebook
from mirr.agents.language_model.words import Whole, encode
from mirr.agents.weights import load_network
from mirr.env.environment import Observation
from mirr.env.logs import LogBook
from mirr.env.vocabulary import ACTION_INDEX, ACTIONS, Action

SHIPPED: Final = Path(__file__).parent / "trained" / "small.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a small transformer, and its size."""

    size: Size
    weights: dict[str, Floats]

    def scores(self, words: Whole) -> Floats:  # (n, actions)
        """How much it favours each action after each prompt, (n, LENGTH)."""
        return scores(self.weights, self.size, words)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of `mirr train-llm`. Raises BadCheckpoint."""
    return Checkpoint(*load_network(path, Size, weight_shapes, "mirr train-llm"))


@functools.cache
def shipped_checkpoint() -> Checkpoint:
    """The checkpoint that comes with the package, read once."""
    return load_checkpoint(SHIPPED)


Scores = Callable[[Whole], Floats]
"""From prompts, (n, LENGTH), to a number for each action, (n, actions)."""


class LanguageModelPolicy:
    """Takes the favoured action among those that may still be of use. Without `favour`, the shipped model decides."""

    def __init__(self, favour: Scores | None = None) -> None:
        self._favour = shipped_checkpoint().scores if favour is None else favour
        self._begin()

    def _begin(self) -> None:
        self._notebook = Notebook(1)
        self._logs = LogBook()

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the last episode."""
        self._begin()

    def act(self, observation: Observation) -> Action:
        """The action with the highest score."""
        features = observation.features[None]
        self._logs.note(observation.step, observation.logs_of, observation.logs)
        if observation.last_action is None:
            self._notebook.begin(features)
        else:
            taken = np.array([ACTION_INDEX[observation.last_action]])
            accepted = np.array([observation.last_accepted])
            self._notebook.note(taken, accepted, features, self._logs.numbers()[None])
        found = self._favour(encode(self._notebook.briefing()))
        return ACTIONS[int(np.where(self._notebook.allowed, found, -np.inf)[0].argmax())]
