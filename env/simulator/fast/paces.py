"""Lets time pass: a whole window at once if the state allows it, else tick by tick.

Code that changes a state sets its PACE to UNKNOWN, and `advance` then finds the pace. `s` is a state and `p` its
parameters, as in `rows`; `i` is a service's number.
"""

from __future__ import annotations

from typing import Any

from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, i64, inlined, jit
from mirr.env.simulator.fast.windows import draw_window, foresee
from mirr.env.simulator.physics.callgraph import settle
from mirr.env.simulator.physics.service import every_tick_matters, tick


@inlined
def advance(s: Numbers, p: Numbers, key: Any, ticks: int) -> None:
    """Let so many ticks pass. `key` is the key of the world's draws."""
    take_back(s, p, key)
    if s[k.PACE] == k.UNKNOWN:
        find_pace(s, p)
    if s[k.PACE] >= k.ROOMY and ticks == k.BLOCK and s[k.OBSERVED] == s[k.NOW] and draw_window(s, p, key):
        return
    _tick_by_tick(s, p, key, ticks)


@inlined
def take_back(s: Numbers, p: Numbers, key: Any) -> None:
    """Play the current window again, tick by tick. It was drawn at once, and goes on before anybody observes it."""
    if s[k.DRAWN] == 1.0:
        s[k.DRAWN] = 0.0
        s[k.NOW] -= k.BLOCK
        _tick_by_tick(s, p, key, k.BLOCK)


@jit
def _tick_by_tick(s: Numbers, p: Numbers, key: Any, ticks: int) -> None:
    for _ in range(ticks):
        tick(s, p, key)
    settle(s, p, False)
    s[k.PACE] = k.UNKNOWN


@inlined
def find_pace(s: Numbers, p: Numbers) -> None:
    """Find out at which pace the next steps may be taken."""
    s[k.PACE] = k.TICKS
    s[k.INVADED] = -1.0
    if s[k.BURSTS] == 1.0:
        return  # a burst may end at any tick
    waits = booting = False
    for i in range(k.SERVICES):
        booting = booting or s[k.STATUS + i] == k.BOOTING or s[k.SEEN_TICK + i] > s[k.NOW]
        if s[k.CAMPAIGN + i] > 0.0:
            if s[k.INVADED] >= 0.0:
                return
            s[k.INVADED] = i
        else:
            waits = waits or s[k.WAIT + i] > 0.0
    invaded = i64(s[k.INVADED])
    if booting or waits:
        return
    if s[k.WATCHED] == 1.0 and every_tick_matters(s):
        return
    if invaded >= 0 and s[k.WAIT + invaded] > 0.0:
        if s[k.QUEUE + invaded] > 0.999 * p[k.LIMIT] and foresee(s, p):
            s[k.PACE] = k.FULL
    elif foresee(s, p):
        s[k.PACE] = k.ROOMY
