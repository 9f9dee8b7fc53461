"""The simulator's draws, by counting: users who begin, the scatter of a campaign, and of what is shown.

Nothing here rounds as a library pleases: normals and Poisson numbers are looked up in tables worked out once.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from mirr.env import dice
from mirr.env.simulator import layout as k
from mirr.env.simulator.compiled import Numbers, constants, i64, inlined, u64

_GAUGES: Final = 1 << 40  # the counters above it are for what is shown, those below for the ticks
_DRAWS_A_WINDOW: Final = 8  # one for each journey, one for each service
_CELLS: Final = 512  # of the normal distribution, all equally likely
_FRACTION: Final = 2.0**-23


def _normal_knots() -> list[float]:
    """The quantiles between which normals are interpolated; the outermost so that the tails keep their mean."""
    normal = NormalDist()
    inner = [normal.inv_cdf(cell / _CELLS) for cell in range(1, _CELLS)]
    tail_mean = normal.pdf(inner[0]) * _CELLS
    outermost = 2.0 * tail_mean + inner[0]
    # Rounded, so that they are the same wherever they are worked out.
    return [round(value, 9) for value in (-outermost, *inner, outermost)]


_KNOTS = constants(_normal_knots())

mix = inlined(dice.mix)


@inlined
def draw(key: Any, counter: int) -> Any:
    """As `mirr.env.dice.draw`."""
    return mix((key + u64(counter) * u64(dice.GOLDEN)) & u64(dice.MASK))


@inlined
def below(key: Any, counter: int, limit: int) -> int:
    """As `mirr.env.dice.below`."""
    return int(i64((draw(key, counter) >> 32) * u64(limit) >> 32))


@inlined
def uniform_at(key: Any, counter: int) -> float:
    """As `mirr.env.dice.uniform`."""
    return float(i64(draw(key, counter) >> dice.UNIT_SHIFT)) * dice.UNIT


@inlined
def root_of(seed: Any) -> Any:
    """As `mirr.env.dice.root_of`, for a seed of 64 bits."""
    return mix(u64(dice.GOLDEN) ^ seed)


@inlined
def stream_key(root: Any, stream: int) -> Any:
    """As `mirr.env.dice.stream_key`."""
    z = draw(root, stream + 1)
    return z ^ mix(z)


@inlined
def arrivals(p: Numbers, journey: int, drawn: Any) -> float:
    """A Poisson number of users of a journey in a tick, from its bits of a `users_draw`."""
    return _looked_up(p, k.GUIDE + journey * k.GUIDES, k.STEPS + journey * k.MOST_ARRIVALS, _bits_of(drawn, journey))


@inlined
def arrivals_in_block(p: Numbers, journey: int, drawn: Any) -> float:
    """The same of a whole block of ticks."""
    guide, steps = k.BLOCK_GUIDE + journey * k.GUIDES, k.BLOCK_STEPS + journey * k.MOST_IN_BLOCK
    return _looked_up(p, guide, steps, _bits_of(drawn, journey))


@inlined
def _bits_of(drawn: Any, journey: int) -> int:
    """The 21 bits of a draw that are a journey's."""
    return int(i64((drawn >> (k.ARRIVAL_BITS * journey)) & ((1 << k.ARRIVAL_BITS) - 1)))


@inlined
def _looked_up(p: Numbers, guide: int, steps: int, place: int) -> float:
    count = i64(p[guide + (place >> k.GUIDE_SHIFT)])
    # Once without a jump, since whether one more is due is a coin's toss; a second one is rare.
    count += i64(place >= p[steps + count])
    while place >= p[steps + count]:
        count += 1
    return float(count)


@inlined
def normal(bits: Any) -> float:
    """A standard normal number, from the lower 32 bits."""
    cell = i64((bits >> 23) & 511)
    return float(_KNOTS[cell] + (_KNOTS[cell + 1] - _KNOTS[cell]) * (float(i64(bits & 0x7FFFFF)) * _FRACTION))


@inlined
def uniform(bits: Any) -> float:
    """A number from 0 up to 1, from the upper 32 bits."""
    return float(i64(bits >> 32)) * dice.HALF_UNIT


@inlined
def users_draw(key: Any, tick: float) -> Any:
    """For the users who begin in a tick: 21 bits for each journey."""
    return draw(key, 2 * i64(tick))


@inlined
def campaign_draw(key: Any, tick: float) -> Any:
    """For the campaign's requests in a tick."""
    return draw(key, 2 * i64(tick) + 1)


@inlined
def gauge_draw(key: Any, window: float, place: int) -> Any:
    """For what is shown of a journey (its number) or a service (`JOURNEYS` more than its number)."""
    return draw(key, _GAUGES + i64(window) * _DRAWS_A_WINDOW + place)


def arrival_tables(means: list[float], most: int) -> tuple[list[float], list[float]]:
    """For `arrivals`: where to begin to look, and the bits at which each next number of users begins, below `most`."""
    guides: list[float] = []
    steps: list[float] = []
    for mean in means:
        own = np.full(most, float(1 << k.ARRIVAL_BITS))
        probability = math.exp(-mean)
        below = 0.0
        for count in range(most - 1):
            below += probability
            own[count] = min(math.floor(below * (1 << k.ARRIVAL_BITS) + 0.5), 1 << k.ARRIVAL_BITS)
            probability *= mean / (count + 1)
        begins = np.arange(k.GUIDES) << k.GUIDE_SHIFT
        guides += [float(number) for number in np.searchsorted(own, begins, side="right")]
        steps += own.tolist()
    return guides, steps
