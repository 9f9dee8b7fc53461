"""What `mirr.env.scenario.streams(seed)` gives, worked out for thousands of seeds at once: keys, and the fault drawn.

numpy's SeedSequence and the beginning of its PCG64, whose streams it promises never to change. Whole numbers of 64 bits
throughout: those of 32 are kept in the lower half, those of 128 in two.
"""

from __future__ import annotations

from typing import Any, Final

from mirr.env.simulator.compiled import i64, inlined, jit, u64

SCENARIO: Final = 0
WORLD: Final = 1
NOISE: Final = 2

_LOW = 0xFFFFFFFF
_MASK = 0xFFFFFFFFFFFFFFFF

# SeedSequence
_INIT_A = 0x43B0D7E5
_MULT_A = 0x931E8875
_INIT_B = 0x8B51F9DD
_MULT_B = 0x58F38DED
_MIX_LEFT = 0xCA01F9DD
_MIX_RIGHT = 0x4973F715

# PCG64
_MULTIPLIER_HIGH = 0x2360ED051FC65DA4
_MULTIPLIER_LOW = 0x4385DF649FCCF645


@inlined
def _hashed(value: Any, constant: Any, multiplier: Any) -> Any:
    """One word hashed with the hash's constant as it is and as it is next."""
    value = ((value ^ constant) * (constant * multiplier & u64(_LOW))) & u64(_LOW)
    return value ^ (value >> 16)


@inlined
def _mixed(x: Any, y: Any) -> Any:
    value = (u64(_MIX_LEFT) * x - u64(_MIX_RIGHT) * y) & u64(_LOW)
    return value ^ (value >> 16)


@jit
def entropy(seed: Any) -> tuple[Any, Any, Any, Any, Any]:
    """What all children of `seed` have in common: their entropy pool, before each one's spawn key goes into it, and the
    hash's constant."""
    low, multiplier, constant = u64(_LOW), u64(_MULT_A), u64(_INIT_A)
    a = _hashed(seed & low, constant, multiplier)
    constant = constant * multiplier & low
    b = _hashed(seed >> 32, constant, multiplier)
    constant = constant * multiplier & low
    c = _hashed(u64(0), constant, multiplier)
    constant = constant * multiplier & low
    d = _hashed(u64(0), constant, multiplier)
    constant = constant * multiplier & low
    # Each word of the pool into the others.
    b, c, d, constant = _into_three(a, b, c, d, constant)
    a, c, d, constant = _into_three(b, a, c, d, constant)
    a, b, d, constant = _into_three(c, a, b, d, constant)
    a, b, c, constant = _into_three(d, a, b, c, constant)
    return a, b, c, d, constant


@inlined
def _into_three(word: Any, x: Any, y: Any, z: Any, constant: Any) -> tuple[Any, Any, Any, Any]:
    low, multiplier = u64(_LOW), u64(_MULT_A)
    x = _mixed(x, _hashed(word, constant, multiplier))
    constant = constant * multiplier & low
    y = _mixed(y, _hashed(word, constant, multiplier))
    constant = constant * multiplier & low
    z = _mixed(z, _hashed(word, constant, multiplier))
    return x, y, z, constant * multiplier & low


@jit
def _pool(common: Any, place: int) -> tuple[Any, Any, Any, Any]:
    """The entropy pool of the child with the spawn key `place`."""
    low, multiplier = u64(_LOW), u64(_MULT_A)
    a, b, c, d, constant = common
    key = u64(place)
    a = _mixed(a, _hashed(key, constant, multiplier))
    constant = constant * multiplier & low
    b, c, d, _ = _into_three(key, b, c, d, constant)
    return a, b, c, d


@jit
def _state_words(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any, Any, Any]:
    """The four words of 64 bits that seed a PCG64."""
    low, multiplier, constant = u64(_LOW), u64(_MULT_B), u64(_INIT_B)
    first = _hashed(a, constant, multiplier)
    constant = constant * multiplier & low
    first |= _hashed(b, constant, multiplier) << 32
    constant = constant * multiplier & low
    second = _hashed(c, constant, multiplier)
    constant = constant * multiplier & low
    second |= _hashed(d, constant, multiplier) << 32
    constant = constant * multiplier & low
    third = _hashed(a, constant, multiplier)
    constant = constant * multiplier & low
    third |= _hashed(b, constant, multiplier) << 32
    constant = constant * multiplier & low
    fourth = _hashed(c, constant, multiplier)
    constant = constant * multiplier & low
    fourth |= _hashed(d, constant, multiplier) << 32
    return first, second, third, fourth


@inlined
def _added(high: Any, low: Any, other_high: Any, other_low: Any) -> tuple[Any, Any]:
    """The sum of two numbers of 128 bits."""
    total = (low + other_low) & u64(_MASK)
    carry = u64(1) if total < low else u64(0)
    return (high + other_high + carry) & u64(_MASK), total


@inlined
def _stepped(high: Any, low: Any, inc_high: Any, inc_low: Any) -> tuple[Any, Any]:
    """A PCG64's next state."""
    half = u64(_LOW)
    by_high, by_low = u64(_MULTIPLIER_HIGH), u64(_MULTIPLIER_LOW)
    x0, x1, y0, y1 = low & half, low >> 32, by_low & half, by_low >> 32
    middle = x1 * y0 + ((x0 * y0) >> 32)
    other = x0 * y1 + (middle & half)
    carried = x1 * y1 + (middle >> 32) + (other >> 32)
    product_high = (carried + high * by_low + low * by_high) & u64(_MASK)
    return _added(product_high, (low * by_low) & u64(_MASK), inc_high, inc_low)


@jit
def output(common: Any, place: int, number: int) -> Any:
    """The `number`th 64 bits, from 0, of the generator with the spawn key `place` and the `entropy` of its seed."""
    a, b, c, d = _pool(common, place)
    seed_high, seed_low, stream_high, stream_low = _state_words(a, b, c, d)
    inc_high = ((stream_high << 1) | (stream_low >> 63)) & u64(_MASK)
    inc_low = ((stream_low << 1) | u64(1)) & u64(_MASK)
    # From zero one step, the seed added, one step; then one more before each output.
    high, low = _added(inc_high, inc_low, seed_high, seed_low)
    for _ in range(number + 2):
        high, low = _stepped(high, low, inc_high, inc_low)
    turn = high >> 58
    value = high ^ low
    return ((value >> turn) | (value << ((u64(64) - turn) & u64(63)))) & u64(_MASK)


@jit
def below(common: Any, place: int, limit: int) -> int:
    """As `Generator.integers(limit)` of that generator's first use: a half of an output, refused where unfair."""
    bound = u64(limit)
    refused = (u64(_LOW) - bound + u64(1)) % bound
    half = 0
    while True:
        drawn = output(common, place, half // 2)
        word = (drawn >> 32) if half % 2 == 1 else drawn & u64(_LOW)
        product = word * bound
        if (product & u64(_LOW)) >= refused:
            return int(i64(product >> 32))
        half += 1
