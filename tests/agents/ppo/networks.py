"""Small networks that have learned nothing, and their checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mirr.agents.ppo.network import Size, weight_shapes
from mirr.agents.ppo.notes import Floats
from mirr.agents.weights import SIZE_KEY, save_weights

TINY = Size(width=8, together=8)


def random_weights(size: Size = TINY, seed: int = 0) -> dict[str, Floats]:
    """The weights of a network that has learned nothing."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0.0, 0.3, shape).astype(np.float32) for name, shape in weight_shapes(size).items()}


def saved(path: Path, size: Size = TINY, seed: int = 0) -> Path:
    """The same, as a checkpoint."""
    save_weights(path, random_weights(size, seed), {SIZE_KEY: json.dumps(size.to_json())})
    return path
