"""The physics of a tick: plain loops over flat rows of floats, so that the same source runs compiled or not.

Everything is a flow: within a tick requests are counted in fractions; whole users and whole failures are drawn from
them when a window is observed. `s` is a state and `p` its parameters, as in `layout`; `i` is a service's number.
"""

from __future__ import annotations

import math
from typing import Any

from env.simulator.compiled import Numbers, constants, i64, inlined, jit
from env.simulator.dice import arrivals, campaign_draw, normal, users_draw
from env.simulator.layout import (
    ACCEPT,
    ANSWERS,
    ARRIVAL_BITS,
    AUTH,
    AUTH_OK,
    BAD,
    BEGUN,
    BOOT_LEFT,
    BOOTING,
    BOUNDS,
    BROWSE,
    BROWSE_OK,
    BUCKETS,
    CALM,
    CAMPAIGN,
    CAMPAIGN_CPU,
    CAMPAIGN_MB,
    CHARGE_OK,
    CHECK_OUT,
    CPU,
    DOWN,
    ERRORS,
    EVEN,
    FAILED,
    GATEWAY,
    GATEWAY_TIMEOUT,
    IDLE_CPU,
    INVADED,
    INVENTORY,
    JOURNEY_BAD,
    JOURNEY_LOST,
    JOURNEY_S,
    JOURNEYS,
    LATE,
    LIMIT,
    LOAD,
    MEMORY,
    MEMORY_LIMIT,
    NOW,
    OFFERED,
    ORDERS,
    ORDERS_OK,
    ORDERS_TIMEOUT,
    OWN_LATENCY,
    PASS_GATEWAY,
    PASS_ORDERS,
    PAYMENTS,
    PENDING,
    QUEUE,
    QUIET,
    QUOTA,
    READY_TICK,
    REQUEST_CPU,
    RESERVE_OK,
    RETRY,
    SCATTER,
    SERVICES,
    SHED,
    SHED_CPU,
    SIGN_IN,
    SPOILED,
    SPREAD,
    STALE,
    STATUS,
    STOPPED_TICK,
    SURGE,
    SURGE_SUM,
    TICK_S,
    TOTAL,
    UP,
    USER_LIMIT,
    WAIT,
)

_BOUNDS = constants(BOUNDS)
_ARRIVAL_MASK = (1 << ARRIVAL_BITS) - 1


@inlined
def advance(s: Numbers, p: Numbers, key: Any, ticks: int) -> None:
    """So many ticks; `key` is that of the world's draws."""
    if s[EVEN] == 0.0 or not _glide(s, p, key, ticks):
        _tick_by_tick(s, p, key, ticks)


@jit
def _tick_by_tick(s: Numbers, p: Numbers, key: Any, ticks: int) -> None:
    for _ in range(ticks):
        tick(s, p, key)
    settle(s, p)
    even = s[STALE] == 0.0
    quiet = True
    s[INVADED] = -1.0
    for i in range(SERVICES):
        even = even and s[STATUS + i] != BOOTING and s[WAIT + i] == 0.0
        quiet = quiet and s[STATUS + i] == UP
        if s[CAMPAIGN + i] > 0.0:
            even = even and s[INVADED] < 0.0
            quiet = False
            s[INVADED] = i
    s[EVEN] = 1.0 if even else 0.0
    s[QUIET] = 0.0
    if even and quiet:
        s[QUIET] = 1.0
        learn(s, p)


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
    _offer(s, LOAD, most_browse, most_sign_in, most_check_out)
    fits = _fits(s, p, GATEWAY) and _fits(s, p, AUTH) and _fits(s, p, INVENTORY)
    if not (fits and _fits(s, p, ORDERS) and _fits(s, p, PAYMENTS)):
        return False
    if s[INVADED] >= 0.0 and not _glide_campaign(s, p, key, ticks):
        return False
    s[NOW] = now + ticks
    _offer(s, OFFERED, browse, sign_in, check_out)
    # One by one and not in a loop: with the place known, this is a handful of instructions.
    _spend(s, p, GATEWAY, ticks)
    _spend(s, p, AUTH, ticks)
    _spend(s, p, INVENTORY, ticks)
    _spend(s, p, ORDERS, ticks)
    _spend(s, p, PAYMENTS, ticks)
    if s[QUIET] == 1.0:
        _settle_quiet(s, browse, sign_in, check_out)
    else:
        s[PENDING + BROWSE] += browse
        s[PENDING + SIGN_IN] += sign_in
        s[PENDING + CHECK_OUT] += check_out
        settle(s, p)
    return True


@inlined
def _fits(s: Numbers, p: Numbers, i: int) -> bool:
    """Whether the load of service `i` leaves it within its quota."""
    return bool(s[STATUS + i] != UP or s[LOAD + i] * p[REQUEST_CPU + i] + p[IDLE_CPU] <= s[QUOTA + i] * p[TICK_S])


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


@jit
def learn(s: Numbers, p: Numbers) -> None:
    """In a quiet state: what becomes of every request, as `settle` would find it again and again."""
    for i in range(SERVICES):
        s[BAD + i] = s[SPOILED + i]
    s[BAD + ORDERS] = 1.0 - (1.0 - s[SPOILED + ORDERS]) * s[RESERVE_OK] * s[CHARGE_OK]
    for journey in range(JOURNEYS):
        ok, latency = _outcome(s, p, journey)
        s[JOURNEY_BAD + journey] = 1.0 - ok
        s[JOURNEY_LOST + journey] = 1.0 - ok * (1.0 - _beyond(latency, p[USER_LIMIT], p[SPREAD]))
        s[JOURNEY_S + journey] = latency


@inlined
def _settle_quiet(s: Numbers, browse: float, sign_in: float, check_out: float) -> None:
    """As `settle`, of what has been offered, by the shares that `learn` has found."""
    _answer(s, AUTH)
    _answer(s, INVENTORY)
    _answer(s, ORDERS)
    _answer(s, PAYMENTS)
    s[BEGUN + BROWSE] += browse
    s[BEGUN + SIGN_IN] += sign_in
    s[BEGUN + CHECK_OUT] += check_out
    errors = weighted_s = 0.0
    for journey in range(JOURNEYS):
        count = browse if journey == BROWSE else sign_in if journey == SIGN_IN else check_out
        lost = s[JOURNEY_LOST + journey]
        errors += count * s[JOURNEY_BAD + journey]
        weighted_s += count * s[JOURNEY_S + journey]
        s[FAILED + journey] += count * lost
        s[SCATTER + journey] += count * lost * (1.0 - lost)
    answers = browse + sign_in + check_out
    s[ANSWERS + GATEWAY] += answers
    s[ERRORS + GATEWAY] += errors
    s[CALM + GATEWAY] += answers
    if answers > 0.0:
        s[TOTAL + GATEWAY] = weighted_s / answers


@inlined
def _answer(s: Numbers, i: int) -> None:
    count = s[OFFERED + i]
    s[ANSWERS + i] += count
    s[ERRORS + i] += count * s[BAD + i]
    s[CALM + i] += count


@inlined
def tick(s: Numbers, p: Numbers, key: Any) -> None:
    """One tick.

    While nothing changes, outcomes are proportional to what was offered: such ticks only add to the pending journeys,
    and `settle` works them out together, before the next change and at the end of an advance.
    """
    drawn = users_draw(key, s[NOW])
    browse = arrivals(p, BROWSE, drawn & _ARRIVAL_MASK)
    sign_in = arrivals(p, SIGN_IN, (drawn >> ARRIVAL_BITS) & _ARRIVAL_MASK)
    check_out = arrivals(p, CHECK_OUT, (drawn >> (2 * ARRIVAL_BITS)) & _ARRIVAL_MASK)
    _offer(s, LOAD, browse, sign_in, check_out)
    seconds = p[TICK_S]
    idle = p[IDLE_CPU]
    stale = s[STALE] != 0.0
    changed = False
    invaded = -1  # the service that a campaign is on
    for i in range(SERVICES):
        status = s[STATUS + i]
        offered = s[LOAD + i]
        work = 0.0
        if status == UP:
            work = offered * p[REQUEST_CPU + i] + idle
            if s[CAMPAIGN + i] > 0.0:
                invaded = i
                extra = _campaign(s, i, normal(campaign_draw(key, s[NOW])), seconds)
                offered += extra
                work += extra * s[CAMPAIGN_CPU + i]
            if s[WAIT + i] == 0.0 and work <= s[QUOTA + i] * seconds:
                s[CPU + i] += work
                continue
        elif status == DOWN or _boots_on(s, i, seconds):
            continue
        if not changed:
            # What has gathered belongs to how things were before the first change.
            changed = True
            settle(s, p)
        if status == UP:
            _overflow(s, p, i, offered, work)
        else:
            s[STATUS + i] = UP
            s[ACCEPT + i] = 1.0
            s[READY_TICK + i] = s[NOW] + 1.0
    s[NOW] += 1.0
    s[PENDING + BROWSE] += browse
    s[PENDING + SIGN_IN] += sign_in
    s[PENDING + CHECK_OUT] += check_out
    if invaded >= 0:
        s[SURGE_SUM + invaded] += s[SURGE + invaded]
    if changed or stale:
        settle(s, p)
        s[STALE] = 1.0 if changed else 0.0
    if invaded >= 0 and s[MEMORY + invaded] >= p[MEMORY_LIMIT]:
        settle(s, p)
        stop(s, invaded)
        s[STALE] = 1.0


@jit
def stop(s: Numbers, i: int) -> None:
    """End the process of service `i`: nothing listens any more."""
    s[STATUS + i] = DOWN
    s[STOPPED_TICK + i] = s[NOW]
    s[ACCEPT + i] = 0.0
    s[QUEUE + i] = 0.0
    s[WAIT + i] = 0.0
    s[SHED + i] = 0.0
    s[SURGE + i] = 0.0
    s[EVEN] = 0.0


@inlined
def _offer(s: Numbers, load: int, browse: float, sign_in: float, check_out: float) -> None:
    """How many requests reach each service: who calls on is known from the shares worked out last."""
    signed = sign_in + check_out
    passed = s[PASS_GATEWAY]
    orders = check_out * passed * s[AUTH_OK]
    reserved = orders * s[PASS_ORDERS]
    s[load + GATEWAY] = browse + signed
    s[load + AUTH] = signed * passed
    s[load + INVENTORY] = browse * passed + reserved
    s[load + ORDERS] = orders
    s[load + PAYMENTS] = reserved * s[RESERVE_OK]


@inlined
def _boots_on(s: Numbers, i: int, seconds: float) -> bool:
    """Whether service `i` is still booting after a tick that spends its quota on it."""
    assert s[STATUS + i] == BOOTING
    used = s[QUOTA + i] * seconds
    s[CPU + i] += used
    s[BOOT_LEFT + i] -= used
    return bool(s[BOOT_LEFT + i] > 1e-9)


@inlined
def _campaign(s: Numbers, i: int, surge: float, seconds: float) -> float:
    """The campaign's requests in a tick; what they leave in memory is added."""
    mean = s[CAMPAIGN + i] * seconds
    extra = max(0.0, mean + surge * math.sqrt(mean))
    s[SURGE + i] = extra
    s[MEMORY + i] += extra * s[CAMPAIGN_MB + i]
    return extra


@jit
def _overflow(s: Numbers, p: Numbers, i: int, offered: float, work: float) -> None:
    """More work than the quota allows for, or a queue left over: requests wait, and beyond the limit are shed."""
    capacity = s[QUOTA + i] * p[TICK_S]
    queue = s[QUEUE + i]
    # A 503 is cheap, not free: what was turned away in the last tick is paid for in this one.
    room = capacity - min(0.5 * capacity, s[SHED + i] * p[SHED_CPU])
    each = work / offered if offered > 0.0 else p[REQUEST_CPU + i]
    waiting = queue + offered - room / each
    shed = 0.0
    if waiting <= 0.0:
        s[CPU + i] += min(capacity, (queue + offered) * each)
        waiting = 0.0
    else:
        s[CPU + i] += capacity
        shed = min(offered, max(0.0, waiting - p[LIMIT]))
        waiting -= shed
    s[QUEUE + i] = waiting
    s[SHED + i] = shed
    s[ACCEPT + i] = 1.0 - shed / offered if offered > 0.0 else 1.0
    s[WAIT + i] = 0.5 * (queue + waiting) * each / s[QUOTA + i]


@inlined
def _beyond(latency: float, limit: float, spread: float) -> float:
    """Share of answers later than `limit` where latencies spread evenly around `latency`."""
    slowest = latency * (1.0 + spread)
    if slowest <= limit:
        return 0.0
    return min(1.0, (slowest - limit) / (2.0 * spread * latency))


@inlined
def _bucket(latency: float) -> int:
    """The bucket that `latency` falls into; a bound belongs to the bucket below it."""
    # How many of the 16 bounds lie below: halved four times, and the last one looked at.
    place = 8 if _BOUNDS[7] < latency else 0
    place += 4 if _BOUNDS[place + 3] < latency else 0
    place += 2 if _BOUNDS[place + 1] < latency else 0
    place += 1 if _BOUNDS[place] < latency else 0
    return place + (1 if _BOUNDS[place] < latency else 0)


@jit
def _enter(s: Numbers, i: int, count: float, accept: float, latency: float) -> None:
    """Enter the latencies of `count` requests: those turned away are answered at once."""
    histogram = LATE + i * BUCKETS
    served = count * accept
    s[histogram] += count - served
    # Three of four around the mean, the rest in a tail.
    s[histogram + _bucket(0.9 * latency)] += 0.75 * served
    s[histogram + _bucket(1.2 * latency)] += 0.25 * served


@inlined
def _leaf(s: Numbers, p: Numbers, i: int) -> float:
    """Counters of a service that calls nobody; returns the share of its requests answered well."""
    accept = s[ACCEPT + i]
    if accept == 0.0:
        s[TOTAL + i] = p[RETRY]  # refused at once, tried again after a moment, refused again
        return 0.0
    wait = s[WAIT + i]
    good = accept * (1.0 - s[SPOILED + i])
    count = s[OFFERED + i] + s[SURGE_SUM + i]
    latency = p[OWN_LATENCY + i] + wait
    s[TOTAL + i] = latency
    s[ANSWERS + i] += count
    s[ERRORS + i] += count * (1.0 - good)
    if wait == 0.0:
        s[CALM + i] += count
    else:
        _enter(s, i, count, accept, latency)
    return good


@jit
def settle(s: Numbers, p: Numbers) -> None:
    """Follow the pending journeys down the call graph and back, into counters and failures; leaves none pending."""
    if s[PENDING + BROWSE] + s[PENDING + SIGN_IN] + s[PENDING + CHECK_OUT] == 0.0:
        return
    _offer(s, OFFERED, s[PENDING + BROWSE], s[PENDING + SIGN_IN], s[PENDING + CHECK_OUT])
    hurry = p[ORDERS_TIMEOUT]
    patience = p[GATEWAY_TIMEOUT]
    spread = p[SPREAD]
    auth = _leaf(s, p, AUTH)
    inventory = _leaf(s, p, INVENTORY)
    payments = _leaf(s, p, PAYMENTS)
    s[AUTH_OK] = auth * (1.0 - _beyond(s[TOTAL + AUTH], patience, spread))
    s[BROWSE_OK] = inventory * (1.0 - _beyond(s[TOTAL + INVENTORY], patience, spread))
    s[RESERVE_OK] = inventory * (1.0 - _beyond(s[TOTAL + INVENTORY], hurry, spread))
    s[CHARGE_OK] = payments * (1.0 - _beyond(s[TOTAL + PAYMENTS], hurry, spread))
    # Nothing waits and everything listens: callers' latencies are those of steady state, too.
    waits = s[WAIT + AUTH] + s[WAIT + INVENTORY] + s[WAIT + PAYMENTS] + s[WAIT + ORDERS]
    accepts = s[ACCEPT + AUTH] * s[ACCEPT + INVENTORY] * s[ACCEPT + PAYMENTS] * s[ACCEPT + ORDERS]
    quiet = waits == 0.0 and accepts == 1.0
    s[PASS_ORDERS] = 0.0
    s[ORDERS_OK] = 0.0
    s[TOTAL + ORDERS] = p[RETRY]
    if s[ACCEPT + ORDERS] > 0.0:
        _settle_orders(s, p, quiet)
    s[PASS_GATEWAY] = 0.0
    if s[ACCEPT + GATEWAY] > 0.0:
        _settle_gateway(s, p, quiet)
    else:
        for journey in range(JOURNEYS):
            s[FAILED + journey] += s[PENDING + journey]
    for journey in range(JOURNEYS):
        s[BEGUN + journey] += s[PENDING + journey]
        s[PENDING + journey] = 0.0
    for i in range(SERVICES):
        s[SURGE_SUM + i] = 0.0


@inlined
def _settle_orders(s: Numbers, p: Numbers, quiet: bool) -> None:
    hurry = p[ORDERS_TIMEOUT]
    accept = s[ACCEPT + ORDERS]
    good = accept * (1.0 - s[SPOILED + ORDERS])
    own_s = p[OWN_LATENCY + ORDERS] + s[WAIT + ORDERS]
    latency = own_s + min(s[TOTAL + INVENTORY], hurry) + s[RESERVE_OK] * min(s[TOTAL + PAYMENTS], hurry)
    well = good * s[RESERVE_OK] * s[CHARGE_OK]
    count = s[OFFERED + ORDERS]
    surge = s[SURGE_SUM + ORDERS]
    s[TOTAL + ORDERS] = latency
    s[PASS_ORDERS] = good
    s[ORDERS_OK] = well * (1.0 - _beyond(latency, p[GATEWAY_TIMEOUT], p[SPREAD]))
    s[ANSWERS + ORDERS] += count + surge
    s[ERRORS + ORDERS] += count * (1.0 - well) + surge * (1.0 - good)
    if quiet:
        s[CALM + ORDERS] += count + surge
    else:
        _enter(s, ORDERS, count, accept, latency)
        if surge > 0.0:
            _enter(s, ORDERS, surge, accept, own_s)


@inlined
def _outcome(s: Numbers, p: Numbers, journey: int) -> tuple[float, float]:
    """The share of a journey's answers by the gateway that are good, and their seconds."""
    patience = p[GATEWAY_TIMEOUT]
    good = s[ACCEPT + GATEWAY] * (1.0 - s[SPOILED + GATEWAY])
    own_s = p[OWN_LATENCY + GATEWAY] + s[WAIT + GATEWAY]
    if journey == BROWSE:
        return good * s[BROWSE_OK], own_s + min(s[TOTAL + INVENTORY], patience)
    auth_ok = s[AUTH_OK]
    auth_s = own_s + min(s[TOTAL + AUTH], patience)
    if journey == SIGN_IN:
        return good * auth_ok, auth_s
    return good * auth_ok * s[ORDERS_OK], auth_s + auth_ok * min(s[TOTAL + ORDERS], patience)


@inlined
def _settle_gateway(s: Numbers, p: Numbers, quiet: bool) -> None:
    """The gateway's answers, and how they look to the users."""
    accept = s[ACCEPT + GATEWAY]
    good = accept * (1.0 - s[SPOILED + GATEWAY])
    own_s = p[OWN_LATENCY + GATEWAY] + s[WAIT + GATEWAY]
    surge = s[SURGE_SUM + GATEWAY]
    answers = surge
    errors = surge * (1.0 - good)
    weighted_s = surge * own_s
    quiet = quiet and s[WAIT + GATEWAY] == 0.0
    s[PASS_GATEWAY] = good
    for journey in range(JOURNEYS):
        ok, latency = _outcome(s, p, journey)
        count = s[PENDING + journey]
        answers += count
        errors += count * (1.0 - ok)
        weighted_s += count * latency
        lost = 1.0 - ok * (1.0 - _beyond(latency, p[USER_LIMIT], p[SPREAD]))
        s[FAILED + journey] += count * lost
        # Beside the expected number, its variance: where everything fails, there is no chance in it.
        s[SCATTER + journey] += count * lost * (1.0 - lost)
        if not quiet:
            _enter(s, GATEWAY, count, accept, latency)
    s[ANSWERS + GATEWAY] += answers
    s[ERRORS + GATEWAY] += errors
    if quiet:
        s[CALM + GATEWAY] += answers
    elif surge > 0.0:
        _enter(s, GATEWAY, surge, accept, own_s)
    if answers > 0.0:
        s[TOTAL + GATEWAY] = weighted_s / answers
