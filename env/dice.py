"""Random numbers by counting: draw n of a stream depends only on the stream's key and on n.

So a draw is the same alone and in a batch of thousands, and earlier draws do not change it. A seed has one key
for each stream (`Stream`). The algorithm is SplitMix64. `mirr.env.simulator.fast.dice` has the same, compiled.
"""

from __future__ import annotations

import functools
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirr.env.world import FEATURES_SHAPE

MASK: Final = 0xFFFFFFFFFFFFFFFF  # Python's whole numbers do not overflow at 64 bits
GOLDEN: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB

HALF: Final = 0xFFFFFFFF  # each draw gives two uniform numbers of 32 bits: enough for what is shown as float32
HALF_UNIT: Final = 2.0**-32
UNIT_SHIFT: Final = 11  # a float has 53 bits
UNIT: Final = 2.0**-53
CELLS: Final = FEATURES_SHAPE[0] * FEATURES_SHAPE[1]
DRAWS_A_STEP: Final = (CELLS + 1) // 2


class Stream(IntEnum):
    """What a seed is used for. Each stream has a key of its own, so no stream disturbs another."""

    SCENARIO = 0
    WORLD = 1
    NOISE = 2
    POLICY = 3


def mix(z: Any) -> Any:
    """Spread every bit of `z` over all 64. Takes whole numbers or arrays of them (uint64)."""
    z = (z ^ (z >> 30)) * _FIRST & MASK
    z = (z ^ (z >> 27)) * _SECOND & MASK
    return z ^ (z >> 31)


def draw(key: int, counter: int) -> int:
    """Draw number `counter` of a key: 64 bits."""
    return int(mix((key + counter * GOLDEN) & MASK))


def below(key: int, counter: int, limit: int) -> int:
    """A whole number from 0 up to `limit` - 1, from draw `counter`. `limit` is small, so the bias is below 2**-27."""
    return (draw(key, counter) >> 32) * limit >> 32


def uniform(key: int, counter: int) -> float:
    """A number from 0 up to 1, 1 excluded, from draw `counter`."""
    return (draw(key, counter) >> UNIT_SHIFT) * UNIT


def root_of(seed: int) -> int:
    """The number that all keys of a seed are made from. If a seed has more than 64 bits, its parts of 64 bits are
    mixed, the highest part first."""
    words = [seed & MASK]
    while seed := seed >> 64:
        words.append(seed & MASK)
    root = 0
    for word in reversed(words):
        root = int(mix((root + GOLDEN & MASK) ^ word))
    return root


def stream_key(root: int, stream: int) -> int:
    """The key of a stream. `mix` can be inverted, but `z ^ mix(z)` cannot. So nobody can compute the root or
    another key from a key."""
    z = draw(root, stream + 1)
    return z ^ int(mix(z))


def following_seed(seed: int, number: int) -> int:
    """The seed of an episode that begins without a seed, `number` episodes after the episode of `seed`."""
    return seed if number == 0 else int(mix((seed + number * GOLDEN) & MASK)) >> 1


@functools.lru_cache(maxsize=8)
def _strides(steps: int) -> NDArray[np.uint64]:  # (steps, draws a step)
    """The offset of each draw of an episode from its key."""
    strides = np.arange(steps * DRAWS_A_STEP, dtype=np.uint64) * np.uint64(GOLDEN)
    strides.setflags(write=False)
    return strides.reshape(steps, DRAWS_A_STEP)


def noise_factors(key: int, steps: int, noise: float) -> NDArray[np.float64]:  # (steps, services, features)
    """The factors of the observation noise, even between 1 - noise and 1 + noise. They do not depend on the actions.

    The first feature, whether a service is up, has no noise.
    """
    drawn = mix(_strides(steps) + np.uint64(key))
    halves = np.empty((steps, DRAWS_A_STEP, 2))
    halves[:, :, 0] = drawn & HALF
    halves[:, :, 1] = drawn >> 32
    cells = halves.reshape(steps, 2 * DRAWS_A_STEP)[:, :CELLS].reshape(steps, *FEATURES_SHAPE)
    factors: NDArray[np.float64] = (1.0 - noise) + cells * HALF_UNIT * (2.0 * noise)
    factors[:, :, 0] = 1.0
    return factors
