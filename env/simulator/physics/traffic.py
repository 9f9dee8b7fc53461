"""Traffic: how often users come, as a level. Level 1 is the usual rate, and steady state has it.

`s` is a state and `p` its parameters, as in `rows`.
"""

from __future__ import annotations

from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, inlined, jit


@jit
def change_traffic(s: Numbers, p: Numbers, first: float, last: float, over_s: float) -> None:
    """Let users come `first` times as often as usual, and evenly more or less often until it is `last`."""
    s[k.VARIED] = 0.0 if first == 1.0 and last == 1.0 else 1.0
    s[k.LEVEL_FIRST] = first
    s[k.LEVEL_LAST] = last
    s[k.LEVEL_SINCE] = s[k.NOW]
    s[k.LEVEL_TICKS] = over_s / p[k.TICK_S]
    s[k.PACE] = k.UNKNOWN


@inlined
def level_at(s: Numbers, tick: float) -> float:
    """Times the usual rate at which users come in a tick, which may be to come."""
    if s[k.VARIED] == 0.0:
        return 1.0
    passed = tick - s[k.LEVEL_SINCE]
    if passed >= s[k.LEVEL_TICKS]:
        return float(s[k.LEVEL_LAST])
    return float(s[k.LEVEL_FIRST] + (s[k.LEVEL_LAST] - s[k.LEVEL_FIRST]) * (passed / s[k.LEVEL_TICKS]))


@inlined
def highest_level(s: Numbers) -> float:
    """The highest level from now on."""
    return max(level_at(s, s[k.NOW]), s[k.LEVEL_LAST]) if s[k.VARIED] == 1.0 else 1.0
