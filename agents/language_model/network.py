"""The small transformer, computed with numpy: words in, one number for each action out.

It is a decoder as in GPT-2: each spot of the prompt sees itself and the spots before it, and what is computed at the
last one is the answer. `agents/training/small.py` has the same network for PyTorch. A test compares them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirr.agents.language_model.words import SPOT_COUNT, SPOTS, VOCABULARY, Whole
from mirr.env.vocabulary import ACTIONS

Floats = NDArray[np.float32]

SMALLEST_VARIANCE: Final = 1e-5
_READ_AT: Final = [np.flatnonzero(np.array(SPOTS) == spot) for spot in range(SPOT_COUNT)]
"""The places of the words that are read at each spot."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the transformer is."""

    width: int = 64  # numbers for each word
    heads: int = 4
    layers: int = 3

    def to_json(self) -> dict[str, int]:
        """As a checkpoint has it."""
        return asdict(self)


def weight_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    """The name and the shape of each weight."""
    width = size.width
    shapes: dict[str, tuple[int, ...]] = {
        "words": (VOCABULARY, width),
        "spots": (SPOT_COUNT, width),
        "answer_norm": (width,),
        "answer": (len(ACTIONS), width),
    }
    for layer in range(size.layers):
        shapes |= {
            f"layers.{layer}.attention_norm": (width,),
            f"layers.{layer}.attention": (3 * width, width),
            f"layers.{layer}.attention_out": (width, width),
            f"layers.{layer}.thought_norm": (width,),
            f"layers.{layer}.thought": (4 * width, width),
            f"layers.{layer}.thought_out": (width, 4 * width),
        }
    return shapes


def scores(weights: Mapping[str, Floats], size: Size, words: Whole) -> Floats:  # (n, actions)
    """How much the network favours each action after each prompt, as logits. `words` is (n, LENGTH)."""
    read = weights["words"][words]
    x = np.stack([read[:, places].sum(axis=1) for places in _READ_AT], axis=1) + weights["spots"]
    unseen = np.triu(np.full((SPOT_COUNT, SPOT_COUNT), -np.inf, dtype=np.float32), 1)
    for layer in range(size.layers):
        of = f"layers.{layer}."
        x = x + _attended(weights, of, size, _normed(x, weights[of + "attention_norm"]), unseen)
        thought = _normed(x, weights[of + "thought_norm"]) @ weights[of + "thought"].T
        x = x + _gelu(thought) @ weights[of + "thought_out"].T
    return _normed(x[:, -1], weights["answer_norm"]) @ weights["answer"].T


def _attended(weights: Mapping[str, Floats], of: str, size: Size, x: Floats, unseen: Floats) -> Floats:
    n, length, width = x.shape
    parts = (x @ weights[of + "attention"].T).reshape(n, length, 3, size.heads, width // size.heads)
    query, key, value = (parts[:, :, part].transpose(0, 2, 1, 3) for part in range(3))  # (n, heads, length, ...)
    likeness = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(width // size.heads)) + unseen
    share = np.exp(likeness - likeness.max(axis=-1, keepdims=True))
    share /= share.sum(axis=-1, keepdims=True)
    joined = (share @ value).transpose(0, 2, 1, 3).reshape(n, length, width)
    attended: Floats = joined @ weights[of + "attention_out"].T
    return attended


def _normed(x: Floats, scale: Floats) -> Floats:
    """RMSNorm: no mean is subtracted, and there is no offset."""
    root = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(SMALLEST_VARIANCE))
    normed: Floats = x / root * scale
    return normed


def _gelu(x: Floats) -> Floats:
    """The tanh form of GELU, as in GPT-2."""
    inner = np.float32(math.sqrt(2.0 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return (np.float32(0.5) * x * (np.float32(1.0) + np.tanh(inner))).astype(np.float32, copy=False)
