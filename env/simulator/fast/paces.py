"""Time passes: as many ticks at once as the state allows, which is most of the simulator's speed.

A state is even (nothing boots, waits or has changed), roomy (even, and no tick to be expected fills a quota), or full
(roomy but for the service that a campaign is on, whose queue is full); all else goes tick by tick. `s` is a state and
`p` its parameters, as in `layout`; `i` is a service's number.
"""

from __future__ import annotations

from typing import Any

from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, i64, inlined, jit
from mirr.env.simulator.fast.windows import draw_window, foresee
from mirr.env.simulator.physics.callgraph import settle
from mirr.env.simulator.physics.service import tick


@inlined
def advance(s: Numbers, p: Numbers, key: Any, ticks: int) -> None:
    """So many ticks; `key` is that of the world's draws."""
    take_back(s, p, key)
    if s[k.PACE] == k.UNKNOWN:
        find_pace(s, p)
    if s[k.PACE] >= k.ROOMY and ticks == k.BLOCK and s[k.OBSERVED] == s[k.NOW] and draw_window(s, p, key):
        return
    _tick_by_tick(s, p, key, ticks)


@inlined
def take_back(s: Numbers, p: Numbers, key: Any) -> None:
    """Where a window that was drawn at once goes on without having been observed: tick by tick, it is played anew."""
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
    """What may be taken at once from now on."""
    s[k.PACE] = k.TICKS
    s[k.INVADED] = -1.0
    waits = booting = False
    for i in range(k.SERVICES):
        booting = booting or s[k.STATUS + i] == k.BOOTING
        if s[k.CAMPAIGN + i] > 0.0:
            if s[k.INVADED] >= 0.0:
                return
            s[k.INVADED] = i
        else:
            waits = waits or s[k.WAIT + i] > 0.0
    invaded = i64(s[k.INVADED])
    if booting or waits:
        return
    if invaded >= 0 and s[k.WAIT + invaded] > 0.0:
        if s[k.QUEUE + invaded] > 0.999 * p[k.LIMIT] and foresee(s, p):
            s[k.PACE] = k.FULL
    elif s[k.STALE] == 0.0 and foresee(s, p):
        s[k.PACE] = k.ROOMY
