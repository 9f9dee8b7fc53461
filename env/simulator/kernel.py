"""The physics of one tick: plain scalar loops over tables of floats, so that the same source can be compiled.

A table is anything that `table[ROW][service]` reads and writes. Everything is a flow: within a tick requests
are counted in fractions; whole users and whole failures are drawn from them when a window is observed.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Final

Row = list[float]
Table = list[list[float]]

# Rows of the state.
STATUS: Final = 0
BOOT_LEFT: Final = 1  # CPU seconds until the process listens
READY_TICK: Final = 2  # when it began to listen
QUOTA: Final = 3  # cores
QUEUE: Final = 4  # requests waiting for CPU
SHED: Final = 5  # requests turned away in the last tick
MEMORY: Final = 6  # MB resident
SPOILED: Final = 7  # share of requests that meet a spoiled row: only where the running release reads them
CAMPAIGN: Final = 8  # requests per second from outside the users
CAMPAIGN_CPU: Final = 9  # CPU seconds of each
CAMPAIGN_MB: Final = 10  # memory that each leaves behind
LOAD: Final = 11  # ordinary requests offered in a tick
SURGE: Final = 12  # campaign requests offered in this tick
ACCEPT: Final = 13  # share of requests not turned away; 0 where nothing listens
WAIT: Final = 14  # seconds in the queue
TOTAL: Final = 15  # seconds from request to answer, mean
# Rows fixed by the parameters.
REQUEST_CPU: Final = 16
OWN_LATENCY: Final = 17
STOPPED_TICK: Final = 18  # when its last process ended
SURGE_SUM: Final = 19  # campaign requests of the ticks that wait to be settled
OFFERED: Final = 20  # ordinary requests of the ticks being settled
STATE_ROWS: Final = 21

# Rows of the window: what has happened since the last observation, or since the process began.
ANSWERS: Final = 0
ERRORS: Final = 1
CPU: Final = 2
CALM: Final = 3  # answers whose latencies are those of an unloaded service
WINDOW_ROWS: Final = 4

# Values of STATUS.
DOWN: Final = 0.0
BOOTING: Final = 1.0
UP: Final = 2.0

# Places in the flow: shares of calls that went well in the last tick.
PASS_GATEWAY: Final = 0
PASS_ORDERS: Final = 1
AUTH_OK: Final = 2  # gateway -> auth
BROWSE_OK: Final = 3  # gateway -> inventory
ORDERS_OK: Final = 4  # gateway -> orders
RESERVE_OK: Final = 5  # orders -> inventory
CHARGE_OK: Final = 6  # orders -> payments
STALE: Final = 7  # 1 where something has changed since these shares were worked out
FLOWS: Final = 8

# Places in the rules: numbers that all services share.
TICK_S: Final = 0
LIMIT: Final = 1  # requests in flight
SHED_CPU: Final = 2
IDLE_CPU: Final = 3  # per tick
MEMORY_LIMIT: Final = 4
GATEWAY_TIMEOUT: Final = 5
ORDERS_TIMEOUT: Final = 6
SPREAD: Final = 7
RETRY: Final = 8
USER_LIMIT: Final = 9  # a later answer counts as failed
RULES: Final = 10

# Service numbers: the vocabulary's order.
GATEWAY: Final = 0
AUTH: Final = 1
INVENTORY: Final = 2
ORDERS: Final = 3
PAYMENTS: Final = 4
SERVICES: Final = 5

# Journey numbers.
BROWSE: Final = 0
SIGN_IN: Final = 1
CHECK_OUT: Final = 2
JOURNEYS: Final = 3

# Upper bounds of the latency histogram's buckets; one more bucket lies above the last.
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)


def tick(
    own: Table,
    window: Table,
    late: Table,
    flow: Row,
    users: Row,
    pending: Row,
    failed: Row,
    surge: float,
    now: float,
    rules: Row,
) -> None:
    """One tick. `users` are the journeys that begin in it, `surge` is a standard normal draw for the campaign.

    While nothing changes, outcomes are proportional to what was offered: such ticks only add to `pending`, and
    `settle` works them out together, before the next change and at the end of an advance.
    """
    load = own[LOAD]
    _offer(load, flow, users)
    seconds = rules[TICK_S]
    idle = rules[IDLE_CPU]
    status = own[STATUS]
    quota = own[QUOTA]
    wait = own[WAIT]
    cost = own[REQUEST_CPU]
    campaign = own[CAMPAIGN]
    cpu = window[CPU]
    stale = flow[STALE] != 0.0
    changed = False
    invaded = -1  # the service that a campaign is on
    for s in range(SERVICES):
        if status[s] == UP:
            offered = load[s]
            work = offered * cost[s] + idle
            if campaign[s] > 0.0:
                invaded = s
                extra = _campaign(own, s, surge, seconds)
                offered += extra
                work += extra * own[CAMPAIGN_CPU][s]
            if wait[s] == 0.0 and work <= quota[s] * seconds:
                cpu[s] += work
                continue
        elif status[s] == DOWN or _boots_on(own, cpu, s, seconds):
            continue
        if not changed:
            # What has gathered belongs to how things were before the first change.
            changed = True
            settle(own, window, late, flow, pending, failed, rules)
        if status[s] == UP:
            _overflow(own, cpu, s, offered, work, rules)
        else:
            status[s] = UP
            own[ACCEPT][s] = 1.0
            own[READY_TICK][s] = now
    pending[BROWSE] += users[BROWSE]
    pending[SIGN_IN] += users[SIGN_IN]
    pending[CHECK_OUT] += users[CHECK_OUT]
    if invaded >= 0:
        own[SURGE_SUM][invaded] += own[SURGE][invaded]
    if changed or stale:
        settle(own, window, late, flow, pending, failed, rules)
        flow[STALE] = 1.0 if changed else 0.0
    if invaded >= 0 and own[MEMORY][invaded] >= rules[MEMORY_LIMIT]:
        settle(own, window, late, flow, pending, failed, rules)
        stop(own, invaded, now)
        flow[STALE] = 1.0


def stop(own: Table, s: int, now: float) -> None:
    """End the process of service `s`: nothing listens any more."""
    own[STATUS][s] = DOWN
    own[STOPPED_TICK][s] = now
    own[ACCEPT][s] = 0.0
    own[QUEUE][s] = 0.0
    own[WAIT][s] = 0.0
    own[SHED][s] = 0.0
    own[SURGE][s] = 0.0


def _offer(load: Row, flow: Row, users: Row) -> None:
    """How many requests reach each service: who calls on is known from the shares worked out last."""
    browse = users[BROWSE]
    signed = users[SIGN_IN] + users[CHECK_OUT]
    passed = flow[PASS_GATEWAY]
    orders = users[CHECK_OUT] * passed * flow[AUTH_OK]
    reserved = orders * flow[PASS_ORDERS]
    load[GATEWAY] = browse + signed
    load[AUTH] = signed * passed
    load[INVENTORY] = browse * passed + reserved
    load[ORDERS] = orders
    load[PAYMENTS] = reserved * flow[RESERVE_OK]


def _boots_on(own: Table, cpu: Row, s: int, seconds: float) -> bool:
    """Whether service `s` is still booting after a tick that spends its quota on it."""
    used = own[QUOTA][s] * seconds
    cpu[s] += used
    own[BOOT_LEFT][s] -= used
    return own[BOOT_LEFT][s] > 1e-9


def _campaign(own: Table, s: int, surge: float, seconds: float) -> float:
    """The campaign's requests in a tick; what they leave in memory is added."""
    mean = own[CAMPAIGN][s] * seconds
    extra = max(0.0, mean + surge * math.sqrt(mean))
    own[SURGE][s] = extra
    own[MEMORY][s] += extra * own[CAMPAIGN_MB][s]
    return extra


def _overflow(own: Table, cpu: Row, s: int, offered: float, work: float, rules: Row) -> None:
    """More work than the quota allows for, or a queue left over: requests wait, and beyond the limit are shed."""
    capacity = own[QUOTA][s] * rules[TICK_S]
    queue = own[QUEUE][s]
    # A 503 is cheap, not free: what was turned away in the last tick is paid for in this one.
    room = capacity - min(0.5 * capacity, own[SHED][s] * rules[SHED_CPU])
    each = work / offered if offered > 0.0 else own[REQUEST_CPU][s]
    waiting = queue + offered - room / each
    shed = 0.0
    if waiting <= 0.0:
        cpu[s] += min(capacity, (queue + offered) * each)
        waiting = 0.0
    else:
        cpu[s] += capacity
        shed = min(offered, max(0.0, waiting - rules[LIMIT]))
        waiting -= shed
    own[QUEUE][s] = waiting
    own[SHED][s] = shed
    own[ACCEPT][s] = 1.0 - shed / offered if offered > 0.0 else 1.0
    own[WAIT][s] = 0.5 * (queue + waiting) * each / own[QUOTA][s]


def _beyond(latency: float, limit: float, spread: float) -> float:
    """Share of answers later than `limit` where latencies spread evenly around `latency`."""
    slowest = latency * (1.0 + spread)
    if slowest <= limit:
        return 0.0
    return min(1.0, (slowest - limit) / (2.0 * spread * latency))


def _enter(histogram: Row, count: float, accept: float, latency: float) -> None:
    """Enter the latencies of `count` requests: those turned away are answered at once."""
    served = count * accept
    histogram[0] += count - served
    # Three of four around the mean, the rest in a tail.
    histogram[bisect_left(BOUNDS, 0.9 * latency)] += 0.75 * served
    histogram[bisect_left(BOUNDS, 1.2 * latency)] += 0.25 * served


def _leaf(own: Table, window: Table, late: Table, s: int) -> float:
    """Counters of a service that calls nobody; returns the share of its requests answered well."""
    accept = own[ACCEPT][s]
    if accept == 0.0:
        return 0.0
    wait = own[WAIT][s]
    good = accept * (1.0 - own[SPOILED][s])
    count = own[OFFERED][s] + own[SURGE_SUM][s]
    latency = own[OWN_LATENCY][s] + wait
    own[TOTAL][s] = latency
    window[ANSWERS][s] += count
    window[ERRORS][s] += count * (1.0 - good)
    if wait == 0.0:
        window[CALM][s] += count
    else:
        _enter(late[s], count, accept, latency)
    return good


def settle(own: Table, window: Table, late: Table, flow: Row, pending: Row, failed: Row, rules: Row) -> None:
    """Follow the `pending` journeys down the call graph and back, into counters and `failed`; leaves none pending."""
    users = pending[BROWSE] + pending[SIGN_IN] + pending[CHECK_OUT]
    if users == 0.0:
        return
    _offer(own[OFFERED], flow, pending)
    hurry = rules[ORDERS_TIMEOUT]
    patience = rules[GATEWAY_TIMEOUT]
    spread = rules[SPREAD]
    total = own[TOTAL]
    accept = own[ACCEPT]
    auth = _leaf(own, window, late, AUTH)
    inventory = _leaf(own, window, late, INVENTORY)
    payments = _leaf(own, window, late, PAYMENTS)
    for s in (AUTH, INVENTORY, PAYMENTS):
        if accept[s] == 0.0:
            total[s] = rules[RETRY]  # refused at once, tried again after a moment, refused again
    flow[AUTH_OK] = auth * (1.0 - _beyond(total[AUTH], patience, spread))
    flow[BROWSE_OK] = inventory * (1.0 - _beyond(total[INVENTORY], patience, spread))
    flow[RESERVE_OK] = inventory * (1.0 - _beyond(total[INVENTORY], hurry, spread))
    flow[CHARGE_OK] = payments * (1.0 - _beyond(total[PAYMENTS], hurry, spread))
    # Nothing waits and everything listens: callers' latencies are those of steady state, too.
    waits = own[WAIT]
    quiet = waits[AUTH] + waits[INVENTORY] + waits[PAYMENTS] + waits[ORDERS] == 0.0 and (
        accept[AUTH] * accept[INVENTORY] * accept[PAYMENTS] * accept[ORDERS] == 1.0
    )
    flow[PASS_ORDERS] = 0.0
    flow[ORDERS_OK] = 0.0
    total[ORDERS] = rules[RETRY]
    if accept[ORDERS] > 0.0:
        _settle_orders(own, window, late, flow, rules, quiet)
    flow[PASS_GATEWAY] = 0.0
    if accept[GATEWAY] > 0.0:
        _settle_gateway(own, window, late, flow, pending, failed, rules, quiet)
    else:
        for journey in range(JOURNEYS):
            failed[journey] += pending[journey]
    for journey in range(JOURNEYS):
        pending[journey] = 0.0
    for s in range(SERVICES):
        own[SURGE_SUM][s] = 0.0


def _settle_orders(own: Table, window: Table, late: Table, flow: Row, rules: Row, quiet: bool) -> None:
    hurry = rules[ORDERS_TIMEOUT]
    total = own[TOTAL]
    accept = own[ACCEPT][ORDERS]
    good = accept * (1.0 - own[SPOILED][ORDERS])
    own_s = own[OWN_LATENCY][ORDERS] + own[WAIT][ORDERS]
    latency = own_s + min(total[INVENTORY], hurry) + flow[RESERVE_OK] * min(total[PAYMENTS], hurry)
    well = good * flow[RESERVE_OK] * flow[CHARGE_OK]
    count = own[OFFERED][ORDERS]
    surge = own[SURGE_SUM][ORDERS]
    total[ORDERS] = latency
    flow[PASS_ORDERS] = good
    flow[ORDERS_OK] = well * (1.0 - _beyond(latency, rules[GATEWAY_TIMEOUT], rules[SPREAD]))
    window[ANSWERS][ORDERS] += count + surge
    window[ERRORS][ORDERS] += count * (1.0 - well) + surge * (1.0 - good)
    if quiet:
        window[CALM][ORDERS] += count + surge
    else:
        _enter(late[ORDERS], count, accept, latency)
        if surge > 0.0:
            _enter(late[ORDERS], surge, accept, own_s)


def _settle_gateway(
    own: Table, window: Table, late: Table, flow: Row, users: Row, failed: Row, rules: Row, quiet: bool
) -> None:
    """The gateway's answers, and how they look to the users."""
    patience = rules[GATEWAY_TIMEOUT]
    total = own[TOTAL]
    accept = own[ACCEPT][GATEWAY]
    good = accept * (1.0 - own[SPOILED][GATEWAY])
    own_s = own[OWN_LATENCY][GATEWAY] + own[WAIT][GATEWAY]
    auth_ok = flow[AUTH_OK]
    auth_s = own_s + min(total[AUTH], patience)
    surge = own[SURGE_SUM][GATEWAY]
    answers = surge
    errors = surge * (1.0 - good)
    weighted_s = surge * own_s
    quiet = quiet and own[WAIT][GATEWAY] == 0.0
    flow[PASS_GATEWAY] = good
    for journey in range(JOURNEYS):
        if journey == BROWSE:
            ok, latency = good * flow[BROWSE_OK], own_s + min(total[INVENTORY], patience)
        elif journey == SIGN_IN:
            ok, latency = good * auth_ok, auth_s
        else:
            ok, latency = good * auth_ok * flow[ORDERS_OK], auth_s + auth_ok * min(total[ORDERS], patience)
        count = users[journey]
        answers += count
        errors += count * (1.0 - ok)
        weighted_s += count * latency
        lost = 1.0 - ok * (1.0 - _beyond(latency, rules[USER_LIMIT], rules[SPREAD]))
        failed[journey] += count * lost
        # Beside the expected number, its variance: where everything fails, there is no chance in it.
        failed[JOURNEYS + journey] += count * lost * (1.0 - lost)
        if not quiet:
            _enter(late[GATEWAY], count, accept, latency)
    window[ANSWERS][GATEWAY] += answers
    window[ERRORS][GATEWAY] += errors
    if quiet:
        window[CALM][GATEWAY] += answers
    elif surge > 0.0:
        _enter(late[GATEWAY], surge, accept, own_s)
    if answers > 0.0:
        total[GATEWAY] = weighted_s / answers
