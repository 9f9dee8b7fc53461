"""The random numbers of users, of campaigns, of starts, and of the scatter in what is shown.

All are draws by counting. Normal and Poisson numbers are looked up in tables that are made once, because another
version of a library may round its functions differently.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from mirr.env.scenario import TRAFFIC
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, constants, i64, inlined, jit
from mirr.env.simulator.fast.dice import draw

# The counters of the world's key: two for each tick, then those of the windows, then those that are seldom needed.
_DRAWS_A_TICK: Final = 2
_WINDOWS: Final = 1 << 40
_DRAWS_A_WINDOW: Final = k.JOURNEYS + k.SERVICES
_OTHER_CAMPAIGNS: Final = 1 << 44
_STARTS: Final = 1 << 45
_KEEPING: Final = 1 << 46

BUSIEST: Final = TRAFFIC[1]
"""The highest level of traffic: times the usual rate at which users come."""

# Four users share a draw that says which of them are kept. A block of ticks has room for it among its ticks' counters.
_KEEP_BITS: Final = 16
_KEPT_A_DRAW: Final = 64 // _KEEP_BITS
_JOURNEY_DRAWS: Final = k.MOST_ARRIVALS // _KEPT_A_DRAW
_JOURNEY_DRAWS_IN_BLOCK: Final = k.MOST_IN_BLOCK // _KEPT_A_DRAW
_KEEPING_A_TICK: Final = k.JOURNEYS * _JOURNEY_DRAWS
assert k.JOURNEYS * _JOURNEY_DRAWS_IN_BLOCK <= k.BLOCK * _KEEPING_A_TICK

_CELLS: Final = 512  # of the normal distribution, all equally likely
_FRACTION_BITS: Final = 23  # of a draw: the place within a cell; the cell's number is in the bits above
_FRACTION: Final = 2.0**-_FRACTION_BITS

_BYTES_MEAN: Final = 4 * 127.5
_PER_BYTES: Final = 1.0 / math.sqrt(4 * (256**2 - 1) / 12)

MOST_NORMAL: Final = 3.5
"""No normal number is further from 0."""


def _normal_knots() -> list[float]:
    """The quantiles between which normal numbers are interpolated. The first and the last one keep the tails' means."""
    normal = NormalDist()
    inner = [normal.inv_cdf(cell / _CELLS) for cell in range(1, _CELLS)]
    tail_mean = normal.pdf(inner[0]) * _CELLS
    outermost = 2.0 * tail_mean + inner[0]
    assert outermost < MOST_NORMAL
    # Rounded, so that they are the same on every machine.
    return [round(value, 9) for value in (-outermost, *inner, outermost)]


_KNOTS = constants(_normal_knots())


@inlined
def arrivals(p: Numbers, journey: int, drawn: Any) -> float:
    """A Poisson number of users of a journey in a tick. `drawn` is a `users_draw`."""
    guide, steps = k.GUIDE + journey * k.GUIDES, k.STEPS + journey * k.MOST_ARRIVALS
    return _looked_up(p, guide, steps, _bits_of(drawn, journey))


@inlined
def arrivals_in_block(p: Numbers, journey: int, drawn: Any) -> float:
    """The same for a whole block of ticks."""
    guide, steps = k.BLOCK_GUIDE + journey * k.GUIDES, k.BLOCK_STEPS + journey * k.MOST_IN_BLOCK
    return _looked_up(p, guide, steps, _bits_of(drawn, journey))


@inlined
def arrivals_at(p: Numbers, key: Any, tick: float, journey: int, level: float) -> float:
    """A Poisson number of users of a journey in a tick, if they come `level` times as often as usual."""
    guide, steps = k.BUSY_GUIDE + journey * k.GUIDES, k.BUSY_STEPS + journey * k.MOST_ARRIVALS
    most = _looked_up(p, guide, steps, _bits_of(users_draw(key, tick), journey))
    return _kept(key, i64(tick) * _KEEPING_A_TICK + journey * _JOURNEY_DRAWS, most, level)


@inlined
def arrivals_in_block_at(p: Numbers, key: Any, tick: float, journey: int, level: float) -> float:
    """The same for a whole block of ticks that begins with `tick`."""
    guide, steps = k.BUSY_BLOCK_GUIDE + journey * k.GUIDES, k.BUSY_BLOCK_STEPS + journey * k.MOST_IN_BLOCK
    most = _looked_up(p, guide, steps, _bits_of(users_draw(key, tick), journey))
    return _kept(key, i64(tick) * _KEEPING_A_TICK + journey * _JOURNEY_DRAWS_IN_BLOCK, most, level)


@jit
def arrive_at(s: Numbers, p: Numbers, key: Any, level: float) -> None:
    """Write the users who come in this tick at a level of traffic into DRAWN_USERS."""
    for journey in range(k.JOURNEYS):
        s[k.DRAWN_USERS + journey] = arrivals_at(p, key, s[k.NOW], journey, level)


@jit
def arrive_in_block_at(s: Numbers, p: Numbers, key: Any, level: float) -> None:
    """The same for the block of ticks that begins now."""
    for journey in range(k.JOURNEYS):
        s[k.DRAWN_USERS + journey] = arrivals_in_block_at(p, key, s[k.NOW], journey, level)


@inlined
def _kept(key: Any, first: int, most: float, level: float) -> float:
    """How many users come, if `most` come at the busiest level. Each of them comes with the probability
    level / BUSIEST, so the number is again a Poisson number. `first` is the number of the first draw for it."""
    limit = i64(level * ((1 << _KEEP_BITS) / BUSIEST) + 0.5)
    kept = 0
    bits = draw(key, _KEEPING + first)
    for user in range(i64(most)):
        if user > 0 and user % _KEPT_A_DRAW == 0:
            bits = draw(key, _KEEPING + first + user // _KEPT_A_DRAW)
        kept += i64(i64(bits & ((1 << _KEEP_BITS) - 1)) < limit)
        bits = bits >> _KEEP_BITS
    return float(kept)


@inlined
def _bits_of(drawn: Any, journey: int) -> int:
    """The bits of a draw that belong to a journey."""
    return int(i64((drawn >> (k.ARRIVAL_BITS * journey)) & ((1 << k.ARRIVAL_BITS) - 1)))


@inlined
def _looked_up(p: Numbers, guide: int, steps: int, place: int) -> float:
    count = i64(p[guide + (place >> k.GUIDE_SHIFT)])
    # The first addition has no branch, because a processor cannot predict it. A second one is rare.
    count += i64(place >= p[steps + count])
    while place >= p[steps + count]:
        count += 1
    return float(count)


@inlined
def normal(bits: Any) -> float:
    """A standard normal number, from the lower 32 bits of a draw."""
    cell = i64((bits >> _FRACTION_BITS) & (_CELLS - 1))
    fraction = float(i64(bits & ((1 << _FRACTION_BITS) - 1))) * _FRACTION
    return float(_KNOTS[cell] + (_KNOTS[cell + 1] - _KNOTS[cell]) * fraction)


@inlined
def about_normal(bits: Any) -> float:
    """The same from the upper 32 bits: the sum of four bytes. It is quicker, and never further from 0 than 3.45."""
    high = i64(bits >> 32)
    together = (high & 0xFF) + ((high >> 8) & 0xFF) + ((high >> 16) & 0xFF) + (high >> 24)
    return (float(together) - _BYTES_MEAN) * _PER_BYTES


@inlined
def uniform(bits: Any) -> float:
    """A number from 0 up to 1, from the lowest bits of a draw. A normal number has them too: its place in its cell."""
    return float(i64(bits & ((1 << _FRACTION_BITS) - 1))) * _FRACTION


@inlined
def users_draw(key: Any, tick: float) -> Any:
    """The draw for the users who arrive in a tick."""
    return draw(key, _DRAWS_A_TICK * i64(tick))


@inlined
def campaign_draw(key: Any, tick: float) -> Any:
    """The draw for the campaign's requests in a tick."""
    return draw(key, _DRAWS_A_TICK * i64(tick) + 1)


@inlined
def surge_draw(key: Any, tick: float, i: int, other: bool) -> Any:
    """The same for the campaign on service `i`. If it is not the first one in this tick, it has a draw of its own."""
    own = _OTHER_CAMPAIGNS + i64(tick) * k.SERVICES + i
    return draw(key, own if other else _DRAWS_A_TICK * i64(tick) + 1)


@inlined
def start_s(p: Numbers, key: Any, tick: float, i: int) -> float:
    """Seconds until the process that was started before this tick needs CPU: no two starts take the same time."""
    return float(max(0.0, p[k.START_S] + p[k.START_SCATTER_S] * normal(_start_draw(key, tick, i))))


@inlined
def until_scrape_s(p: Numbers, key: Any, tick: float, i: int) -> float:
    """Seconds until the next scrape of the process whose boot ends in this tick."""
    return float(p[k.SCRAPE_S] * uniform(_start_draw(key, tick, i) >> 32))


@inlined
def _start_draw(key: Any, tick: float, i: int) -> Any:
    """The draw for what happens to the process of service `i` in a tick: its start, or the end of its boot."""
    return draw(key, _STARTS + i64(tick) * k.SERVICES + i)


@inlined
def journey_draw(key: Any, window: float, journey: int) -> Any:
    """The draw for the scatter of a journey in a window."""
    return draw(key, _WINDOWS + i64(window) * _DRAWS_A_WINDOW + journey)


@inlined
def service_draw(key: Any, window: float, i: int) -> Any:
    """The draw for what chance adds to what service `i` shows of a window."""
    return draw(key, _WINDOWS + i64(window) * _DRAWS_A_WINDOW + k.JOURNEYS + i)


def arrival_tables(means: list[float], most: int) -> tuple[list[float], list[float]]:
    """The tables in which `arrivals` looks up numbers: for each journey the guide, then the steps.

    A step is the lowest place that gives at least so many users. The guide says at which step to begin. Every number
    is below `most`.
    """
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
