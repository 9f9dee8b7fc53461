"""What a language model reads before each step: an observation and its short history, as 45 words.

A word is a whole number. Each place of the prompt has its kind of word, and each kind has its own range of numbers. So
nothing is lost on the way: `decode(encode(briefing))` is the briefing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirr.env.objectives import FEATURE_COLUMN
from mirr.env.vocabulary import ACTIONS, FaultMode, Feature, Service

Whole = NDArray[np.int64]

SERVICES: Final = len(Service)
PAST: Final = 8  # how many of its last actions an agent is reminded of
LATEST_STEP: Final = 30  # later steps read as this one
UNSEEN: Final = 9  # the level of what could not be measured

FLOORS: Final[dict[Feature, tuple[float, ...]]] = {
    Feature.ERROR_RATIO: (0.01, 0.04, 0.08, 0.15, 0.3, 0.5, 0.75, 0.95),
    Feature.LATENCY_P95_S: (0.02, 0.04, 0.07, 0.12, 0.2, 0.3, 0.5, 0.9),
    Feature.CPU_SHARE: (0.1, 0.2, 0.3, 0.45, 0.6, 0.7, 0.8, 0.9),
    Feature.MEMORY_SHARE: (0.2, 0.25, 0.3, 0.36, 0.42, 0.48, 0.55, 0.65),
    Feature.IN_FLIGHT: (0.5, 1.5, 2.5, 4.5, 8.0, 14.0, 25.0, 40.0),
    Feature.REQUEST_RATE: (0.5, 2.0, 5.0, 8.0, 12.0, 18.0, 27.0, 40.0),
}
"""For each feature, where its levels 1 to 8 begin. Level 0 is below. `up` has no levels: what is down is unseen."""

FEATURES: Final = tuple(FLOORS)
_COLUMNS: Final = tuple(FEATURE_COLUMN[feature] for feature in FEATURES)
_LEVELS: Final = UNSEEN + 1

DIAGNOSES: Final = len(FaultMode) * SERVICES
LOG_FLAGS: Final = ("restarted", "errors", "calls failed", "turned requests away", "other release")
"""What a log that was read may have told. A word about a log has one bit for each."""


@dataclass(frozen=True, kw_only=True)
class Briefing:
    """What the model is told in each of n episodes, in whole numbers."""

    step: Whole  # (n,) 0..30
    diagnosis: Whole  # (n,) 0: none yet; else 1 + its place among the actions that diagnose
    past: Whole  # (n, 8) the latest last; 0: nothing; else 1 + the action's number, and 41 more if it was refused
    logs: Whole  # (n, services) 0: not read; else 1 + the bits of LOG_FLAGS
    before: Whole  # (n, services, features) levels: what was last seen in an earlier window
    now: Whole  # (n, services, features) levels


@dataclass(frozen=True)
class Kind:
    """A kind of word: its numbers are `first` to `first + count - 1`."""

    first: int
    count: int


def _kinds(*counts: int) -> tuple[Kind, ...]:
    firsts = np.cumsum([0, *counts]).tolist()
    return tuple(Kind(first, count) for first, count in zip(firsts, counts, strict=False))


_WINDOW: Final = (_LEVELS**2,) * (len(FEATURES) // 2)
"""Two levels are one word: errors with latency, CPU with memory, requests in flight with their rate."""

STEP, DIAGNOSIS, ACT, LOG, *_PAIRS = _kinds(
    LATEST_STEP + 1, DIAGNOSES + 1, 2 * len(ACTIONS) + 1, 2 ** len(LOG_FLAGS) + 1, *_WINDOW, *_WINDOW
)
_BEFORE: Final = _PAIRS[: len(_WINDOW)] * SERVICES
_NOW: Final = _PAIRS[len(_WINDOW) :] * SERVICES

PLACES: Final = (STEP, DIAGNOSIS, *[ACT] * PAST, *[LOG] * SERVICES, *_BEFORE, *_NOW)
"""The kind of the word at each place of a prompt."""

_ASKED: Final = PAST + SERVICES
_EACH: Final = tuple(PAST + row for row in range(SERVICES))
_OF_WINDOW: Final = tuple(spot for spot in _EACH for _ in _WINDOW)
SPOTS: Final = (_ASKED, _ASKED, *range(PAST), *_EACH, *_OF_WINDOW, *_OF_WINDOW)
"""Where the word at each place is read. Words on the same thing are read at the same spot: one spot for each past
action, one for each service, and the last one, where the model answers, for step and diagnosis."""

SPOT_COUNT: Final = _ASKED + 1
LENGTH: Final = len(PLACES)
VOCABULARY: Final = _PAIRS[-1].first + _PAIRS[-1].count
_FIRSTS: Final = np.array([kind.first for kind in PLACES])
_COUNTS: Final = np.array([kind.count for kind in PLACES])


class NotAPrompt(ValueError):
    """Words that are no prompt. The message says which one is wrong."""


def levels(features: NDArray[np.float32]) -> Whole:  # (n, services, features)
    """The levels of an observation's `features`, (n, services, 7)."""
    found = np.empty((*features.shape[:-1], len(FEATURES)), dtype=np.int64)
    for place, (feature, column) in enumerate(zip(FEATURES, _COLUMNS, strict=True)):
        values = features[..., column]
        found[..., place] = np.where(np.isnan(values), UNSEEN, np.searchsorted(FLOORS[feature], values, side="right"))
    found[features[..., FEATURE_COLUMN[Feature.UP]] < 1.0] = UNSEEN
    return found


def encode(briefing: Briefing) -> Whole:  # (n, LENGTH)
    """The words of a briefing."""
    size = len(briefing.step)
    windows = [_paired(window).reshape(size, -1) for window in (briefing.before, briefing.now)]
    values = [briefing.step[:, None], briefing.diagnosis[:, None], briefing.past, briefing.logs, *windows]
    words: Whole = np.concatenate(values, axis=1) + _FIRSTS
    return words


def values_of(words: Whole) -> Whole:  # (n, LENGTH)
    """What each word stands for: its number within its kind. Raises NotAPrompt for words that are no prompts."""
    if words.ndim != 2 or words.shape[1] != LENGTH:
        raise NotAPrompt(f"a prompt has {LENGTH} words, so prompts are (n, {LENGTH}); got {words.shape}")
    values: Whole = words - _FIRSTS
    wrong = np.argwhere((values < 0) | (values >= _COUNTS))
    if len(wrong):
        row, place = wrong[0].tolist()
        kind = PLACES[place]
        raise NotAPrompt(
            f"prompt {row} has word {int(words[row, place])} at place {place}; "
            f"there it is one of {kind.first} to {kind.first + kind.count - 1}"
        )
    return values


def decode(words: Whole) -> Briefing:
    """The briefing of `words`, (n, LENGTH). Raises NotAPrompt."""
    values = values_of(words)
    ends = np.cumsum([1, 1, PAST, SERVICES, len(_BEFORE)]).tolist()
    step, diagnosis, past, logs, before, now = np.split(values, ends, axis=1)
    return Briefing(
        step=step[:, 0], diagnosis=diagnosis[:, 0], past=past, logs=logs, before=_unpaired(before), now=_unpaired(now)
    )


def same(one: Briefing, other: Briefing) -> bool:
    """Whether two briefings say the same."""
    return all(np.array_equal(vars(one)[each.name], vars(other)[each.name]) for each in fields(Briefing))


def _paired(window: Whole) -> Whole:  # (n, services, pairs)
    return window[..., 0::2] * _LEVELS + window[..., 1::2]


def _unpaired(pairs: Whole) -> Whole:  # (n, services, features)
    return np.stack([pairs // _LEVELS, pairs % _LEVELS], axis=-1).reshape(len(pairs), SERVICES, len(FEATURES))
