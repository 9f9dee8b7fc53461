"""The spaces and their observations, for one environment or for many at once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mirr.env.actions import still_of_use
from mirr.env.logs import LOG_NUMBERS_SHAPE, MAX_LINES, LogNumber
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import ACTIONS, PACK_ACTIONS, Action, Feature
from mirr.env.world import FEATURES_SHAPE

CHOICES: Final = len(ACTIONS)  # of the base task
NO_ACTION: Final = CHOICES  # the last action, before the first; with more choices it is their number

MOST: Final[dict[Feature, float]] = {
    Feature.UP: 1.0,
    Feature.REQUEST_RATE: 10_000.0,
    Feature.ERROR_RATIO: 2.0,
    Feature.LATENCY_P95_S: 100.0,
    Feature.CPU_SHARE: 10.0,
    Feature.MEMORY_SHARE: 10.0,
    Feature.IN_FLIGHT: 10_000.0,
}
"""Upper bounds of the space, far above what either world shows with noise."""

USUAL: Final[dict[Feature, float]] = {
    Feature.UP: 1.0,
    Feature.REQUEST_RATE: 40.0,
    Feature.ERROR_RATIO: 1.0,
    Feature.LATENCY_P95_S: 1.0,
    Feature.CPU_SHARE: 1.0,
    Feature.MEMORY_SHARE: 1.0,
    Feature.IN_FLIGHT: 50.0,
}
"""Divisors of a flat observation, so that values are about 1 during an incident."""

_LOG_CELLS = LOG_NUMBERS_SHAPE[0] * LOG_NUMBERS_SHAPE[1]
_MOST = np.array([MOST[feature] for feature in Feature], dtype=np.float32)
_USUAL = np.array([USUAL[feature] for feature in Feature], dtype=np.float32)

_COUNTS = (LogNumber.STARTS, LogNumber.ERRORS, LogNumber.WARNINGS, LogNumber.TURNED_AWAY)
USUAL_COUNT: Final = 3.0
"""The divisor of a log's counts in a flat observation."""

Seen = dict[str, Any]


def choices_of(config: EpisodeConfig) -> int:
    """How many actions an episode has: 41, or 42 with `diagnose(none)`."""
    return len(PACK_ACTIONS if config.none_diagnosis else ACTIONS)


def flat_size(choices: int = CHOICES, *, logs: bool = False) -> int:
    """The length of a flat observation."""
    return 2 * FEATURES_SHAPE[0] * FEATURES_SHAPE[1] + choices + 3 + (_LOG_CELLS if logs else 0)


def action_space(choices: int = CHOICES) -> spaces.Discrete:
    """The actions, by number."""
    return spaces.Discrete(choices)


def observation_space(max_steps: int, choices: int = CHOICES, *, logs: bool = False) -> spaces.Dict:
    """What an agent sees. There is no NaN: a value that could not be scraped is 0 in `features` and in `seen`. With
    `logs`, it also sees what the last reading of each service's log told, as numbers."""
    high = np.broadcast_to(_MOST, FEATURES_SHAPE)
    told = np.broadcast_to(_most_told(max_steps), LOG_NUMBERS_SHAPE)
    more = {"logs": spaces.Box(np.zeros(LOG_NUMBERS_SHAPE, np.float32), told, dtype=np.float32)} if logs else {}
    return spaces.Dict(
        {
            "features": spaces.Box(np.zeros(FEATURES_SHAPE, np.float32), high, dtype=np.float32),
            "seen": spaces.Box(0, 1, FEATURES_SHAPE, dtype=np.int8),
            "step": spaces.Discrete(max_steps + 1),
            "last_action": spaces.Discrete(choices + 1),
            "last_accepted": spaces.Discrete(2),
            **more,
        }
    )


def _most_told(max_steps: int) -> NDArray[np.float32]:
    """Upper bounds of the numbers about a log."""
    most = {LogNumber.STEPS_AGO: float(max_steps), **dict.fromkeys(_COUNTS, float(MAX_LINES))}
    return np.array([most.get(each, 1.0) for each in LogNumber], dtype=np.float32)


def _usually_told(max_steps: int) -> NDArray[np.float32]:
    """Divisors of the numbers about a log, in a flat observation."""
    usual = {LogNumber.STEPS_AGO: float(max_steps), **dict.fromkeys(_COUNTS, USUAL_COUNT)}
    return np.array([usual.get(each, 1.0) for each in LogNumber], dtype=np.float32)


def seen_features(features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """New arrays: the features with 0 for missing values, and which values are there."""
    known = features == features
    return np.where(known, np.minimum(features, _MOST), np.float32(0.0)), known.view(np.int8)


def _left(actions: tuple[Action, ...], *, one_fault: bool) -> NDArray[np.int8]:  # (accepted, taken, other)
    return np.array(
        [
            [[still_of_use(taken, accepted, other, one_fault=one_fault) for other in actions] for taken in actions]
            for accepted in (False, True)
        ],
        dtype=np.int8,
    )


_LEFT = {len(ACTIONS): _left(ACTIONS, one_fault=True), len(PACK_ACTIONS): _left(PACK_ACTIONS, one_fault=False)}


def flat(observation: Seen, max_steps: int, choices: int = CHOICES) -> NDArray[np.float32]:  # (..., flat_size)
    """One row of numbers around 0 to 1, in this order: scaled features, and which of them are there; the last action
    (one-hot); what the logs told, if the observation has it. Then come whether the last action was accepted, and the
    share of steps taken."""
    features = observation["features"]
    batch = features.shape[:-2]
    row = np.zeros((*batch, flat_size(choices, logs="logs" in observation)), dtype=np.float32)
    cells = FEATURES_SHAPE[0] * FEATURES_SHAPE[1]
    row[..., :cells] = (features / _USUAL).reshape(*batch, cells)
    row[..., cells : 2 * cells] = observation["seen"].reshape(*batch, cells)
    actions = row[..., 2 * cells : 2 * cells + choices + 1]
    np.put_along_axis(actions, np.asarray(observation["last_action"], dtype=np.int64)[..., None], 1.0, axis=-1)
    if "logs" in observation:
        told = observation["logs"] / _usually_told(max_steps)
        row[..., 2 * cells + choices + 1 : -2] = told.reshape(*batch, _LOG_CELLS)
    row[..., -2] = observation["last_accepted"]
    row[..., -1] = np.asarray(observation["step"], dtype=np.float32) / np.float32(max_steps)
    return row


def flat_space(choices: int = CHOICES, *, logs: bool = False) -> spaces.Box:
    """The space of `flat`."""
    size, cells = flat_size(choices, logs=logs), FEATURES_SHAPE[0] * FEATURES_SHAPE[1]
    high = np.concatenate([np.tile(_MOST / _USUAL, FEATURES_SHAPE[0]), np.ones(size - cells)]).astype(np.float32)
    if logs:
        high[-2 - _LOG_CELLS : -2] = np.tile(_most_told(1) / _usually_told(1), LOG_NUMBERS_SHAPE[0])
    return spaces.Box(np.zeros(size, np.float32), high, dtype=np.float32)


def fresh_mask(size: int, choices: int = CHOICES) -> NDArray[np.int8]:  # (size, actions)
    """The mask before the first action: everything is allowed."""
    return np.ones((size, choices), dtype=np.int8)


def narrow_mask(mask: NDArray[np.int8], actions: NDArray[np.int64], accepted: NDArray[np.bool_]) -> None:
    """Remove the actions that each agent's last action has made pointless: a second scale-up and, where there is
    exactly one fault, a second diagnosis, or a rollback without an earlier release. The agent may still take them. The
    mask depends only on what the agent did and read, so it reveals nothing of the truth."""
    mask &= _LEFT[mask.shape[-1]][accepted.astype(np.int64), actions]
