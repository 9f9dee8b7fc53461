"""Random numbers by counting: the n-th draw of a stream is a function of its key and n, and of nothing else.

So a draw is the same alone or in a batch of thousands, whatever was drawn before it. A key is the first 64 bits of one
of the seed's generators; draws are SplitMix64's. The functions take whole numbers or arrays of them (uint64).
"""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirr.env.world import FEATURES_SHAPE

MASK: Final = 0xFFFFFFFFFFFFFFFF  # Python's whole numbers have no 64 bits to overflow
GOLDEN: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB

HALF: Final = 0xFFFFFFFF  # two uniform numbers of 32 bits in each draw are plenty for what is shown as float32
HALF_UNIT: Final = 2.0**-32
CELLS: Final = FEATURES_SHAPE[0] * FEATURES_SHAPE[1]
DRAWS_A_STEP: Final = (CELLS + 1) // 2


def mix(z: Any) -> Any:
    """Every bit of `z` spread over all 64."""
    z = (z ^ (z >> 30)) * _FIRST & MASK
    z = (z ^ (z >> 27)) * _SECOND & MASK
    return z ^ (z >> 31)


def key_of(rng: np.random.Generator) -> int:
    """The key of a stream, drawn from its generator."""
    return int(rng.integers(0, 2**64, dtype=np.uint64))


def following_seed(seed: int, number: int) -> int:
    """The seed of an episode that is begun without one: `number` episodes after the one of `seed`."""
    return seed if number == 0 else int(mix((seed + number * GOLDEN) & MASK)) >> 1


@functools.lru_cache(maxsize=8)
def _strides(steps: int) -> NDArray[np.uint64]:  # (steps, draws a step)
    """How far from its key each draw of an episode stands."""
    strides = np.arange(steps * DRAWS_A_STEP, dtype=np.uint64) * np.uint64(GOLDEN)
    strides.setflags(write=False)
    return strides.reshape(steps, DRAWS_A_STEP)


def noise_factors(key: int, steps: int, noise: float) -> NDArray[np.float64]:  # (steps, services, features)
    """What observations are multiplied by: even between 1 - noise and 1 + noise, one for each step whatever is played.

    The first feature, whether a service is up, is what it is.
    """
    drawn = mix(_strides(steps) + np.uint64(key))
    halves = np.empty((steps, DRAWS_A_STEP, 2))
    halves[:, :, 0] = drawn & HALF
    halves[:, :, 1] = drawn >> 32
    cells = halves.reshape(steps, 2 * DRAWS_A_STEP)[:, :CELLS].reshape(steps, *FEATURES_SHAPE)
    factors: NDArray[np.float64] = (1.0 - noise) + cells * HALF_UNIT * (2.0 * noise)
    factors[:, :, 0] = 1.0
    return factors
