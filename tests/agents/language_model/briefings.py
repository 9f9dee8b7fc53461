"""Random briefings and networks for tests."""

from __future__ import annotations

import numpy as np

from mirr.agents.language_model.network import Floats, Size, weight_shapes
from mirr.agents.language_model.words import (
    DIAGNOSES,
    FEATURES,
    LATEST_STEP,
    LOG_FLAGS,
    PAST,
    SERVICES,
    UNSEEN,
    Briefing,
)
from mirr.env.vocabulary import ACTIONS

TINY = Size(width=16, heads=2, layers=2)


def random_briefing(size: int, seed: int = 0) -> Briefing:
    """Any briefing that an agent could get, and some more."""
    rng = np.random.default_rng(seed)
    window = (size, SERVICES, len(FEATURES))
    return Briefing(
        step=rng.integers(LATEST_STEP + 1, size=size),
        diagnosis=rng.integers(DIAGNOSES + 1, size=size),
        past=rng.integers(2 * len(ACTIONS) + 1, size=(size, PAST)),
        logs=rng.integers(2 ** len(LOG_FLAGS) + 1, size=(size, SERVICES)),
        before=rng.integers(UNSEEN + 1, size=window),
        now=rng.integers(UNSEEN + 1, size=window),
    )


def random_weights(size: Size = TINY, seed: int = 0) -> dict[str, Floats]:
    """The weights of a network that has learned nothing."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0.0, 0.3, shape).astype(np.float32) for name, shape in weight_shapes(size).items()}
