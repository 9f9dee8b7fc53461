"""Time passes: as many ticks at once as the state allows, which is most of the simulator's speed.

A state is even (nothing boots, waits or has changed), roomy (even, and no tick to be expected fills a quota), or full
(roomy but for the service that a campaign is on, whose queue is full); all else goes tick by tick. `s` is a state and
`p` its parameters, as in `layout`; `i` is a service's number.
"""

from __future__ import annotations

import math
from typing import Any

from mirr.env.simulator import layout as k
from mirr.env.simulator.callgraph import offer, settle
from mirr.env.simulator.compiled import Numbers, i64, inlined, jit
from mirr.env.simulator.dice import arrivals, campaign_draw, normal, users_draw
from mirr.env.simulator.kernel import tick
from mirr.env.simulator.windows import draw_window, foresee


@inlined
def advance(s: Numbers, p: Numbers, key: Any, ticks: int) -> None:
    """So many ticks; `key` is that of the world's draws."""
    take_back(s, p, key)
    pace = s[k.PACE]
    if pace >= k.ROOMY and ticks == k.BLOCK and s[k.OBSERVED] == s[k.NOW]:
        if draw_window(s, p, key):
            return
    elif (pace == k.EVEN or pace == k.ROOMY) and _glide(s, p, key, ticks):
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
    find_pace(s, p)


@inlined
def find_pace(s: Numbers, p: Numbers) -> None:
    """What may be taken at once from now on."""
    s[k.PACE] = k.UNEVEN
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
    elif s[k.STALE] == 0.0:
        s[k.PACE] = k.ROOMY if foresee(s, p) else k.EVEN


@jit
def _glide(s: Numbers, p: Numbers, key: Any, ticks: int) -> bool:
    """All the ticks at once, where everything fits into the quotas even if the busiest moments of all the journeys were
    one; False, and nothing has happened, where it may not. What was drawn is drawn again then, and comes out the same.
    """
    now = s[k.NOW]
    browse = sign_in = check_out = 0.0
    most_browse = most_sign_in = most_check_out = 0.0
    for place in range(ticks):
        drawn = users_draw(key, now + place)
        users = arrivals(p, k.BROWSE, drawn)
        browse += users
        most_browse = max(most_browse, users)
        users = arrivals(p, k.SIGN_IN, drawn)
        sign_in += users
        most_sign_in = max(most_sign_in, users)
        users = arrivals(p, k.CHECK_OUT, drawn)
        check_out += users
        most_check_out = max(most_check_out, users)
    offer(s, k.LOAD, most_browse, most_sign_in, most_check_out)
    for i in range(k.SERVICES):
        if not _fits(s, p, i):
            return False
    if s[k.INVADED] >= 0.0 and not _glide_campaign(s, p, key, ticks):
        return False
    s[k.NOW] = now + ticks
    offer(s, k.OFFERED, browse, sign_in, check_out)
    for i in range(k.SERVICES):
        if s[k.STATUS + i] == k.UP:
            s[k.CPU + i] += s[k.OFFERED + i] * p[k.REQUEST_CPU + i] + ticks * p[k.IDLE_CPU]
    s[k.PENDING + k.BROWSE] += browse
    s[k.PENDING + k.SIGN_IN] += sign_in
    s[k.PENDING + k.CHECK_OUT] += check_out
    settle(s, p, False)
    return True


@inlined
def _fits(s: Numbers, p: Numbers, i: int) -> bool:
    """Whether the load of service `i` leaves it within its quota."""
    work = s[k.LOAD + i] * p[k.REQUEST_CPU + i] + p[k.IDLE_CPU]
    return bool(s[k.STATUS + i] != k.UP or work <= s[k.QUOTA + i] * p[k.TICK_S])


@inlined
def _glide_campaign(s: Numbers, p: Numbers, key: Any, ticks: int) -> bool:
    """The campaign's part of a stretch of ticks; False, and nothing has happened, where it does not fit either."""
    i = i64(s[k.INVADED])
    if s[k.STATUS + i] != k.UP:
        return True
    mean = s[k.CAMPAIGN + i] * p[k.TICK_S]
    scatter = math.sqrt(mean)
    extra = most = 0.0
    for place in range(ticks):
        each = max(0.0, mean + normal(campaign_draw(key, s[k.NOW] + place)) * scatter)
        extra += each
        most = max(most, each)
    work = s[k.LOAD + i] * p[k.REQUEST_CPU + i] + p[k.IDLE_CPU] + most * s[k.CAMPAIGN_CPU + i]
    memory_mb = s[k.MEMORY + i] + extra * s[k.CAMPAIGN_MB + i]
    if work > s[k.QUOTA + i] * p[k.TICK_S] or memory_mb >= p[k.MEMORY_LIMIT]:
        return False
    s[k.CPU + i] += extra * s[k.CAMPAIGN_CPU + i]
    s[k.MEMORY + i] = memory_mb
    s[k.SURGE_SUM + i] += extra
    return True
