"""The usual wrappers: a flat Box, the last few observations, text."""

from __future__ import annotations

import string
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces as gym_spaces
from gymnasium.vector import VectorEnv, VectorObservationWrapper
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import FrameStackObservation
from numpy.typing import NDArray

from mirr.env.rendering import render
from mirr.interfaces.gymnasium_envs import spaces
from mirr.interfaces.gymnasium_envs.single import EpisodeEnv
from mirr.interfaces.gymnasium_envs.vector import SimVectorEnv

LONGEST_TEXT = 20_000


class FlatObservation(gymnasium.ObservationWrapper[Any, Any, spaces.Seen]):
    """Observations as one row of numbers, made by `spaces.flat`."""

    def __init__(self, env: gymnasium.Env[spaces.Seen, Any]) -> None:
        super().__init__(env)
        self._max_steps, self._choices, logs = _sizes(env.observation_space)
        self.observation_space = spaces.flat_space(self._choices, logs=logs)

    def observation(self, observation: spaces.Seen) -> NDArray[np.float32]:
        """The observation as one row."""
        return spaces.flat(observation, self._max_steps, self._choices)


class VectorFlatObservation(VectorObservationWrapper[Any, Any, spaces.Seen, NDArray[Any]]):
    """A row of numbers for each environment."""

    def __init__(self, env: VectorEnv[spaces.Seen, Any, NDArray[Any]]) -> None:
        super().__init__(env)
        self._max_steps, self._choices, logs = _sizes(env.single_observation_space)
        self.single_observation_space = spaces.flat_space(self._choices, logs=logs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def observations(self, observations: spaces.Seen) -> NDArray[np.float32]:
        """The observation as one row."""
        return spaces.flat(observations, self._max_steps, self._choices)


class TextObservation(gymnasium.ObservationWrapper[Any, Any, spaces.Seen]):
    """Observations as text: the table, the last windows of each metric, the last action's result and log lines."""

    def __init__(self, env: gymnasium.Env[spaces.Seen, Any]) -> None:
        super().__init__(env)
        self.observation_space = gym_spaces.Text(LONGEST_TEXT, charset=frozenset(string.printable))

    def observation(self, observation: spaces.Seen) -> str:
        """The whole observation as text, including what is not in the arrays."""
        environment = self.unwrapped
        assert isinstance(environment, EpisodeEnv)
        return environment.text()


def history(env: gymnasium.Env[spaces.Seen, Any], steps: int) -> gymnasium.Env[Any, Any]:
    """The last `steps` flat observations, the oldest first."""
    return FrameStackObservation(FlatObservation(env), steps)


def texts(env: SimVectorEnv) -> list[str]:
    """Each environment's observation as text, without earlier windows: a vector keeps none. It costs as much as a
    thousand steps, so call it only when needed."""
    return [render(env.observation(e)) for e in range(env.num_envs)]


def _sizes(space: gymnasium.Space[Any]) -> tuple[int, int, bool]:
    """The most steps, the number of actions, and whether logs are seen, of an environment with that observation
    space."""
    assert isinstance(space, gym_spaces.Dict)
    steps, last_action = space["step"], space["last_action"]
    assert isinstance(steps, gym_spaces.Discrete)
    assert isinstance(last_action, gym_spaces.Discrete)
    return int(steps.n) - 1, int(last_action.n) - 1, "logs" in space.spaces
