"""`mirr.env.dice` in a form that compiles: draws by counting, and the keys of a seed of 64 bits.

A test compares each function with the function of the same name there.
"""

from __future__ import annotations

from typing import Any

from mirr.env import dice
from mirr.env.simulator.fast.compiled import i64, inlined, u64

mix = inlined(dice.mix)


@inlined
def draw(key: Any, counter: int) -> Any:
    """Draw number `counter` of a key: 64 bits."""
    return mix((key + u64(counter) * u64(dice.GOLDEN)) & u64(dice.MASK))


@inlined
def below(key: Any, counter: int, limit: int) -> int:
    """A whole number from 0 up to `limit` - 1."""
    return int(i64((draw(key, counter) >> 32) * u64(limit) >> 32))


@inlined
def uniform(key: Any, counter: int) -> float:
    """A number from 0 up to 1, 1 excluded."""
    return float(i64(draw(key, counter) >> dice.UNIT_SHIFT)) * dice.UNIT


@inlined
def root_of(seed: Any) -> Any:
    """The number that all keys of a seed are made from."""
    return mix(u64(dice.GOLDEN) ^ seed)


@inlined
def stream_key(root: Any, stream: int) -> Any:
    """The key of a stream."""
    z = draw(root, stream + 1)
    return z ^ mix(z)


@inlined
def following_seed(seed: Any, number: Any) -> Any:
    """The seed of the episode that comes `number` episodes after the episode of `seed`."""
    if number == u64(0):
        return seed
    return mix((seed + number * u64(dice.GOLDEN)) & u64(dice.MASK)) >> 1
