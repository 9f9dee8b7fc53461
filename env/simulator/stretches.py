"""Many ticks taken at once, where the state lets each of them come to the same: most of the simulator's speed.

A state is even (nothing boots, waits or has changed), roomy (even, and no tick to be expected fills a quota), or full
(the queue of the one service that a campaign is on); all else goes tick by tick. `s` is a state and `p` its parameters,
as in `layout`; `i` is a service's number.
"""

from __future__ import annotations

import math
from typing import Any

from env.simulator.callgraph import enter_by_ticks, learn, offer, settle, settle_learned
from env.simulator.compiled import Numbers, i64, inlined, jit
from env.simulator.dice import arrivals, arrivals_in_block, campaign_draw, normal, users_draw
from env.simulator.kernel import tick
from env.simulator.layout import (
    ACCEPT,
    ARRIVAL_BITS,
    AUTH,
    AUTH_OK,
    BLOCK,
    BOOTING,
    BROWSE,
    CAMPAIGN,
    CAMPAIGN_CPU,
    CAMPAIGN_MB,
    CHECK_OUT,
    CPU,
    EACH,
    ENTERED,
    EVEN,
    FULL,
    GATEWAY,
    IDLE_CPU,
    INVADED,
    INVENTORY,
    LEARNED,
    LIMIT,
    LOAD,
    MEMORY,
    MEMORY_LIMIT,
    MOST_POURED,
    NOW,
    OFFERED,
    ORDERS,
    PACE,
    PASS_GATEWAY,
    PASS_ORDERS,
    PAYMENTS,
    PENDING,
    QUEUE,
    QUOTA,
    REQUEST_CPU,
    RESERVE_OK,
    ROOMY,
    SERVICES,
    SHED,
    SHED_CPU,
    SIGN_IN,
    STALE,
    STATUS,
    SURGE_SUM,
    TICK_S,
    UNEVEN,
    UP,
    USERS,
    WAIT,
)

_ARRIVAL_MASK = (1 << ARRIVAL_BITS) - 1
_BUSIEST = 4.0  # standard deviations above the mean: a tick that is busier comes once in hours
_MOST_SCATTER = 3.5  # standard deviations; the outermost of the table of normals is below
_MOST_LEAPT = 140.0  # users of a block: of more, `MOST_IN_BLOCK` might not be the most


@inlined
def advance(s: Numbers, p: Numbers, key: Any, ticks: int) -> None:
    """So many ticks; `key` is that of the world's draws."""
    if s[PACE] == ROOMY and ticks == BLOCK:
        if _leap(s, p, key):
            return
    elif s[PACE] == ROOMY or s[PACE] == EVEN:
        if _glide(s, p, key, ticks):
            return
    elif s[PACE] == FULL and ticks <= MOST_POURED and _pour(s, p, key, ticks):
        return
    _tick_by_tick(s, p, key, ticks)


@jit
def _tick_by_tick(s: Numbers, p: Numbers, key: Any, ticks: int) -> None:
    for _ in range(ticks):
        tick(s, p, key)
    settle(s, p)
    _find_pace(s, p)


@inlined
def _find_pace(s: Numbers, p: Numbers) -> None:
    """What may be taken at once from now on."""
    s[PACE] = UNEVEN
    s[INVADED] = -1.0
    waits = booting = False
    for i in range(SERVICES):
        booting = booting or s[STATUS + i] == BOOTING
        if s[CAMPAIGN + i] > 0.0:
            if s[INVADED] >= 0.0:
                return
            s[INVADED] = i
        else:
            waits = waits or s[WAIT + i] > 0.0
    invaded = i64(s[INVADED])
    if booting or waits:
        return
    if invaded >= 0 and s[WAIT + invaded] > 0.0:
        if s[QUEUE + invaded] > 0.999 * p[LIMIT]:
            s[PACE] = FULL
    elif s[STALE] == 0.0:
        go_on_evenly(s, p)


@jit
def go_on_evenly(s: Numbers, p: Numbers) -> None:
    """Nothing will change by itself from now on; is there room for whatever users do?"""
    learn(s, p)
    offer(s, LOAD, p[USERS + BROWSE], p[USERS + SIGN_IN], p[USERS + CHECK_OUT])
    roomy = (p[USERS + BROWSE] + p[USERS + SIGN_IN] + p[USERS + CHECK_OUT]) * BLOCK <= _MOST_LEAPT
    for i in range(SERVICES):
        busiest = s[LOAD + i] + _BUSIEST * math.sqrt(s[LOAD + i])
        mean = s[CAMPAIGN + i] * p[TICK_S]
        work = busiest * p[REQUEST_CPU + i] + (mean + _BUSIEST * math.sqrt(mean)) * s[CAMPAIGN_CPU + i] + p[IDLE_CPU]
        roomy = roomy and (s[STATUS + i] != UP or work <= s[QUOTA + i] * p[TICK_S])
    s[PACE] = ROOMY if roomy else EVEN


@inlined
def _leap(s: Numbers, p: Numbers, key: Any) -> bool:
    """A whole block of ticks at once, where no tick can matter by itself: its users are drawn together. False, and
    nothing has happened, where a campaign may be about to fill the memory."""
    if s[INVADED] >= 0.0 and not _leap_campaign(s, p, key):
        return False
    drawn = users_draw(key, s[NOW])
    browse = arrivals_in_block(p, BROWSE, drawn & _ARRIVAL_MASK)
    sign_in = arrivals_in_block(p, SIGN_IN, (drawn >> ARRIVAL_BITS) & _ARRIVAL_MASK)
    check_out = arrivals_in_block(p, CHECK_OUT, (drawn >> (2 * ARRIVAL_BITS)) & _ARRIVAL_MASK)
    s[NOW] += BLOCK
    _flow(s, p, BLOCK, browse, sign_in, check_out)
    return True


@jit
def _leap_campaign(s: Numbers, p: Numbers, key: Any) -> bool:
    """The campaign's part of a block."""
    i = i64(s[INVADED])
    if s[STATUS + i] != UP:
        return True
    mean = s[CAMPAIGN + i] * p[TICK_S] * BLOCK
    scatter = math.sqrt(mean)
    # Asked of what may come and not of what is drawn: the ticks, drawn anew, would be another throw of the dice.
    if s[MEMORY + i] + (mean + _MOST_SCATTER * scatter) * s[CAMPAIGN_MB + i] >= p[MEMORY_LIMIT]:
        return False
    extra = max(0.0, mean + normal(campaign_draw(key, s[NOW])) * scatter)
    s[CPU + i] += extra * s[CAMPAIGN_CPU + i]
    s[MEMORY + i] += extra * s[CAMPAIGN_MB + i]
    s[SURGE_SUM + i] += extra
    return True


@inlined
def _glide(s: Numbers, p: Numbers, key: Any, ticks: int) -> bool:
    """All the ticks at once, where everything fits into the quotas even if the busiest moments of all the journeys were
    one; False, and nothing has happened, where it may not. What was drawn is drawn again then, and comes out the same.
    """
    now = s[NOW]
    browse = sign_in = check_out = 0.0
    most_browse = most_sign_in = most_check_out = 0.0
    for place in range(ticks):
        drawn = users_draw(key, now + place)
        users = arrivals(p, BROWSE, drawn & _ARRIVAL_MASK)
        browse += users
        most_browse = max(most_browse, users)
        users = arrivals(p, SIGN_IN, (drawn >> ARRIVAL_BITS) & _ARRIVAL_MASK)
        sign_in += users
        most_sign_in = max(most_sign_in, users)
        users = arrivals(p, CHECK_OUT, (drawn >> (2 * ARRIVAL_BITS)) & _ARRIVAL_MASK)
        check_out += users
        most_check_out = max(most_check_out, users)
    offer(s, LOAD, most_browse, most_sign_in, most_check_out)
    fits = _fits(s, p, GATEWAY) and _fits(s, p, AUTH) and _fits(s, p, INVENTORY)
    if not (fits and _fits(s, p, ORDERS) and _fits(s, p, PAYMENTS)):
        return False
    if s[INVADED] >= 0.0 and not _glide_campaign(s, p, key, ticks):
        return False
    s[NOW] = now + ticks
    _flow(s, p, ticks, browse, sign_in, check_out)
    return True


@inlined
def _flow(s: Numbers, p: Numbers, ticks: int, browse: float, sign_in: float, check_out: float) -> None:
    """What so many users of so many ticks come to, where nothing waits."""
    offer(s, OFFERED, browse, sign_in, check_out)
    # One by one and not in a loop: with the place known, this is a handful of instructions.
    _spend(s, p, GATEWAY, ticks)
    _spend(s, p, AUTH, ticks)
    _spend(s, p, INVENTORY, ticks)
    _spend(s, p, ORDERS, ticks)
    _spend(s, p, PAYMENTS, ticks)
    if s[LEARNED] == 1.0:
        settle_learned(s, p, browse, sign_in, check_out)
    else:
        s[PENDING + BROWSE] += browse
        s[PENDING + SIGN_IN] += sign_in
        s[PENDING + CHECK_OUT] += check_out
        settle(s, p)


@inlined
def _fits(s: Numbers, p: Numbers, i: int) -> bool:
    """Whether the load of service `i` leaves it within its quota."""
    return bool(s[STATUS + i] != UP or s[LOAD + i] * p[REQUEST_CPU + i] + p[IDLE_CPU] <= s[QUOTA + i] * p[TICK_S])


@inlined
def _others_fit(s: Numbers, p: Numbers, i: int) -> bool:
    """Whether the load leaves all services but `i` within their quotas."""
    fit = True
    for other in range(SERVICES):
        fit = fit and (other == i or _fits(s, p, other))
    return fit


@inlined
def _spend(s: Numbers, p: Numbers, i: int, ticks: int) -> None:
    """The CPU time of what service `i` is offered."""
    if s[STATUS + i] == UP:
        s[CPU + i] += s[OFFERED + i] * p[REQUEST_CPU + i] + ticks * p[IDLE_CPU]


@jit
def _glide_campaign(s: Numbers, p: Numbers, key: Any, ticks: int) -> bool:
    """The campaign's part of a stretch of ticks; False, and nothing has happened, where it does not fit either."""
    i = i64(s[INVADED])
    if s[STATUS + i] != UP:
        return True
    mean = s[CAMPAIGN + i] * p[TICK_S]
    scatter = math.sqrt(mean)
    extra = most = 0.0
    for place in range(ticks):
        each = max(0.0, mean + normal(campaign_draw(key, s[NOW] + place)) * scatter)
        extra += each
        most = max(most, each)
    work = s[LOAD + i] * p[REQUEST_CPU + i] + p[IDLE_CPU] + most * s[CAMPAIGN_CPU + i]
    memory_mb = s[MEMORY + i] + extra * s[CAMPAIGN_MB + i]
    if work > s[QUOTA + i] * p[TICK_S] or memory_mb >= p[MEMORY_LIMIT]:
        return False
    s[CPU + i] += extra * s[CAMPAIGN_CPU + i]
    s[MEMORY + i] = memory_mb
    s[SURGE_SUM + i] += extra
    return True


@inlined
def _reach(s: Numbers, i: int) -> tuple[float, float, float]:
    """The share of each journey's users whose request reaches service `i`, as `offer` has it."""
    passed = s[PASS_GATEWAY]
    orders = passed * s[AUTH_OK]
    reserved = orders * s[PASS_ORDERS]
    if i == GATEWAY:
        return 1.0, 1.0, 1.0
    if i == AUTH:
        return 0.0, passed, passed
    if i == INVENTORY:
        return passed, 0.0, reserved
    return 0.0, 0.0, orders if i == ORDERS else reserved * s[RESERVE_OK]


@jit
def _pour(s: Numbers, p: Numbers, key: Any, ticks: int) -> bool:
    """All the ticks at once, where the queue of the service that a campaign is on is full before and after each and all
    else fits; False, and nothing has happened, where not.
    """
    i = i64(s[INVADED])
    by_browse, by_sign_in, by_check_out = _reach(s, i)
    capacity = s[QUOTA + i] * p[TICK_S]
    mean = s[CAMPAIGN + i] * p[TICK_S]
    scatter = math.sqrt(mean)
    browse = sign_in = check_out = most_browse = most_sign_in = most_check_out = 0.0
    extra_sum = offered_sum = shed_sum = each_sum = 0.0
    shed = s[SHED + i]
    for place in range(ticks):
        drawn = users_draw(key, s[NOW] + place)
        browsing = arrivals(p, BROWSE, drawn & _ARRIVAL_MASK)
        signing = arrivals(p, SIGN_IN, (drawn >> ARRIVAL_BITS) & _ARRIVAL_MASK)
        checking = arrivals(p, CHECK_OUT, (drawn >> (2 * ARRIVAL_BITS)) & _ARRIVAL_MASK)
        browse += browsing
        sign_in += signing
        check_out += checking
        most_browse = max(most_browse, browsing)
        most_sign_in = max(most_sign_in, signing)
        most_check_out = max(most_check_out, checking)
        extra = max(0.0, mean + normal(campaign_draw(key, s[NOW] + place)) * scatter)
        offered = by_browse * browsing + by_sign_in * signing + by_check_out * checking
        work = offered * p[REQUEST_CPU + i] + p[IDLE_CPU] + extra * s[CAMPAIGN_CPU + i]
        offered += extra
        room = capacity - min(0.5 * capacity, shed * p[SHED_CPU])
        if offered <= 0.0 or work <= room:
            return False
        each = work / offered
        shed = offered - room / each
        extra_sum += extra
        offered_sum += offered
        shed_sum += shed
        each_sum += each
        s[EACH + place] = each
    offer(s, LOAD, most_browse, most_sign_in, most_check_out)
    if not _others_fit(s, p, i) or s[MEMORY + i] + extra_sum * s[CAMPAIGN_MB + i] >= p[MEMORY_LIMIT]:
        return False
    s[SHED + i] = shed
    s[ACCEPT + i] = 1.0 - shed_sum / offered_sum
    s[WAIT + i] = s[QUEUE + i] * each_sum / (ticks * s[QUOTA + i])
    s[SURGE_SUM + i] = extra_sum
    s[PENDING + BROWSE] = browse
    s[PENDING + SIGN_IN] = sign_in
    s[PENDING + CHECK_OUT] = check_out
    _settle_poured(s, p, i, offered_sum / ticks, ticks)
    return True


@inlined
def _settle_poured(s: Numbers, p: Numbers, i: int, count: float, ticks: int) -> None:
    """Time, CPU and memory of a stretch in which service `i` was full, and what became of the requests."""
    s[NOW] += ticks
    s[CPU + i] += ticks * s[QUOTA + i] * p[TICK_S]
    s[MEMORY + i] += s[SURGE_SUM + i] * s[CAMPAIGN_MB + i]
    enter_by_ticks(s, p, i, count, ticks)
    offer(s, OFFERED, s[PENDING + BROWSE], s[PENDING + SIGN_IN], s[PENDING + CHECK_OUT])
    for other in range(SERVICES):
        if other != i:
            _spend(s, p, other, ticks)
    settle(s, p)
    s[ENTERED] = -1.0
