"""What happens to the services in a tick: requests queue for CPU, memory grows, processes boot.

Requests are a flow: within a tick they are counted in fractions. Whole users and whole failures are drawn from them
when a window is observed. `s` is a state and `p` its parameters, as in `rows`; `i` is a service's number.
"""

from __future__ import annotations

import math
from typing import Any

from mirr.env.simulator.fast.compiled import Numbers, inlined, jit
from mirr.env.simulator.fast.rows import (
    ACCEPT,
    ANSWERED,
    BOOT_LEFT,
    BOOTING,
    BROWSE,
    BURSTS,
    CAMPAIGN,
    CAMPAIGN_CPU,
    CAMPAIGN_MB,
    CHECK_OUT,
    CPU,
    DEFECT,
    DIED_TICK,
    DIES,
    DOWN,
    DRAWN_USERS,
    IDLE_CPU,
    KEEPS_MEMORY,
    KILLED_AT_MB,
    LEFT,
    LIMIT,
    LOAD,
    MEMORY,
    MIXED_CPU,
    NOW,
    PACE,
    PENDING,
    PER_QUOTA,
    QUEUE,
    QUEUED_TICK,
    QUOTA,
    READY_TICK,
    REQUEST_CPU,
    RUNS_BAD,
    SEEN_TICK,
    SERVICES,
    SHED,
    SHED_CPU,
    SIGN_IN,
    SIZE,
    SLOWS,
    SPOILS_ROWS,
    STALE,
    START_LEFT,
    STARTS,
    STATUS,
    STOPPED_TICK,
    SURGE,
    SURGE_SUM,
    TICK_S,
    UNKNOWN,
    UP,
    USUAL_RATE,
    VARIED,
    WAIT,
    WATCHED,
)
from mirr.env.simulator.physics.arrivals import (
    arrivals,
    arrive_at,
    normal,
    start_s,
    surge_draw,
    until_scrape_s,
    users_draw,
)
from mirr.env.simulator.physics.callgraph import follow, offer, settle
from mirr.env.simulator.physics.campaigns import end_bursts
from mirr.env.simulator.physics.traffic import level_at


@inlined
def tick(s: Numbers, p: Numbers, key: Any) -> None:
    """Let one tick pass. `key` is the key of the world's draws.

    While nothing changes, outcomes are proportional to what was offered. Such ticks only add to the pending journeys.
    `settle` counts them together, before the next change and at the end of an advance.
    """
    if s[BURSTS] == 1.0:
        end_bursts(s)
    if s[STALE] != 0.0:
        follow(s, p)
    if s[VARIED] == 0.0:
        drawn = users_draw(key, s[NOW])
        browse = arrivals(p, BROWSE, drawn)
        sign_in = arrivals(p, SIGN_IN, drawn)
        check_out = arrivals(p, CHECK_OUT, drawn)
    else:
        arrive_at(s, p, key, level_at(s, s[NOW]))
        browse = s[DRAWN_USERS + BROWSE]
        sign_in = s[DRAWN_USERS + SIGN_IN]
        check_out = s[DRAWN_USERS + CHECK_OUT]
    offer(s, LOAD, browse, sign_in, check_out)
    seconds = p[TICK_S]
    idle = p[IDLE_CPU]
    changed = False
    watched = s[WATCHED] == 1.0
    invaded = -1  # the last service that a campaign is on
    several = False  # whether there are more campaigns
    for i in range(SERVICES):
        status = s[STATUS + i]
        offered = s[LOAD + i]
        work = 0.0
        if status == UP:
            work = offered * (each_cpu(s, p, i) if watched else p[REQUEST_CPU + i]) + idle
            even = True
            if s[CAMPAIGN + i] > 0.0:
                several = invaded >= 0
                surge = surge_draw(key, s[NOW], i, several)
                invaded = i
                even = not watched or s[MIXED_CPU + i] == 0.0
                extra = _campaign(s, i, normal(surge), seconds)
                offered += extra
                work += extra * s[CAMPAIGN_CPU + i]
            if even and s[WAIT + i] == 0.0 and work <= s[QUOTA + i] * seconds:
                s[CPU + i] += work
                continue
        elif status != BOOTING or _boots_on(s, p, key, i):
            continue
        if not changed:
            # The pending journeys belong to the state before the first change.
            changed = True
            settle(s, p, False)
        if status == UP:
            _overflow(s, p, i, offered, work)
        else:
            _listen(s, i)
    s[NOW] += 1.0
    s[PENDING + BROWSE] += browse
    s[PENDING + SIGN_IN] += sign_in
    s[PENDING + CHECK_OUT] += check_out
    if invaded >= 0:
        s[SURGE_SUM + invaded] += s[SURGE + invaded]
        if several:
            _add_other_surges(s, invaded)
    if changed:
        settle(s, p, True)
    if invaded >= 0 and (several or s[MEMORY + invaded] >= p[KILLED_AT_MB]):
        _end_full_processes(s, p)
    if watched:
        _wear(s, p)


@inlined
def each_cpu(s: Numbers, p: Numbers, i: int) -> float:
    """CPU seconds of an ordinary request in the running release."""
    if s[RUNS_BAD + i] == 1.0 and s[DEFECT + i] == SLOWS:
        return float(p[REQUEST_CPU + i] * (1.0 + s[STARTS + i] * s[SIZE + i]))
    return float(p[REQUEST_CPU + i])


@inlined
def every_tick_matters(s: Numbers) -> bool:
    """Whether a release runs that is slow, keeps memory or dies, or costly requests come. Nobody foresees these."""
    for i in range(SERVICES):
        if s[MIXED_CPU + i] > 0.0 or (s[RUNS_BAD + i] == 1.0 and s[DEFECT + i] != SPOILS_ROWS):
            return True
    return False


@jit
def _add_other_surges(s: Numbers, last: int) -> None:
    """Add up the requests of all campaigns of this tick but the one on service `last`."""
    for i in range(last):
        if s[CAMPAIGN + i] > 0.0:
            s[SURGE_SUM + i] += s[SURGE + i]


@jit
def _end_full_processes(s: Numbers, p: Numbers) -> None:
    """The OOM killer ends the processes whose memory a campaign has filled."""
    for i in range(SERVICES):
        if s[CAMPAIGN + i] > 0.0 and s[STATUS + i] == UP and s[MEMORY + i] >= p[KILLED_AT_MB]:
            settle(s, p, False)
            stop(s, i)
            s[STALE] = 1.0


@jit
def stop(s: Numbers, i: int) -> None:
    """End the process of service `i`. Then nothing listens."""
    s[STATUS + i] = DOWN
    s[STOPPED_TICK + i] = s[NOW]
    s[ACCEPT + i] = 0.0
    s[QUEUE + i] = 0.0
    s[WAIT + i] = 0.0
    s[SHED + i] = 0.0
    s[SURGE + i] = 0.0
    s[PACE] = UNKNOWN


@inlined
def _boots_on(s: Numbers, p: Numbers, key: Any, i: int) -> bool:
    """Let service `i` boot for a tick: its container starts, and then its process spends the quota. Returns False, and
    spends nothing, if the boot ends nearer to the beginning of the tick than to its end.

    Prometheus sees the process at its next scrape after the boot has ended."""
    assert s[STATUS + i] == BOOTING
    if s[START_LEFT + i] < 0.0:
        s[START_LEFT + i] = start_s(p, key, s[NOW], i)
    left_s = s[START_LEFT + i] + s[BOOT_LEFT + i] * s[PER_QUOTA + i]
    if 0.0 < left_s <= p[TICK_S]:
        s[SEEN_TICK + i] = s[NOW] + (left_s + until_scrape_s(p, key, s[NOW], i)) / p[TICK_S]
    if left_s < 0.5 * p[TICK_S]:
        return False
    starting = min(p[TICK_S], s[START_LEFT + i])
    s[START_LEFT + i] -= starting
    used = min(s[BOOT_LEFT + i], s[QUOTA + i] * (p[TICK_S] - starting))
    s[CPU + i] += used
    s[BOOT_LEFT + i] -= used
    return True


@inlined
def _listen(s: Numbers, i: int) -> None:
    """Service `i` listens in this tick."""
    s[CPU + i] += s[BOOT_LEFT + i]
    s[STATUS + i] = UP
    s[ACCEPT + i] = 1.0
    s[READY_TICK + i] = s[NOW]


@inlined
def _campaign(s: Numbers, i: int, surge: float, seconds: float) -> float:
    """Add what a tick of the campaign leaves in memory; returns its number of requests."""
    mean = s[CAMPAIGN + i] * seconds
    extra = max(0.0, mean + surge * math.sqrt(mean))
    s[SURGE + i] = extra
    s[MEMORY + i] += extra * s[CAMPAIGN_MB + i]
    return extra


@inlined
def _overflow(s: Numbers, p: Numbers, i: int, offered: float, work: float) -> None:
    """Queue the requests for which the quota has no CPU. Turn away those above the limit of requests in flight."""
    capacity = s[QUOTA + i] * p[TICK_S]
    queue = s[QUEUE + i]
    # A 503 costs some CPU. This tick pays for the requests turned away in the last one.
    room = capacity - min(0.5 * capacity, s[SHED + i] * p[SHED_CPU])
    each = work / offered if offered > 0.0 else each_cpu(s, p, i)
    mixed = s[WATCHED] == 1.0 and s[MIXED_CPU + i] > 0.0
    if mixed and queue + offered > 0.0:
        # The queue holds requests of both kinds, and this tick may have brought few costly ones.
        each = (queue * s[MIXED_CPU + i] + work) / (queue + offered)
        s[MIXED_CPU + i] = each
    waiting = queue + offered - room / each
    shed = 0.0
    if waiting <= 0.0:
        s[CPU + i] += min(capacity, (queue + offered) * each)
        waiting = 0.0
    else:
        s[CPU + i] += capacity
        shed = min(offered, max(0.0, waiting - p[LIMIT]))
        waiting -= shed
    if queue == 0.0:
        s[QUEUED_TICK + i] = s[NOW]
    s[QUEUE + i] = waiting
    s[SHED + i] = shed
    s[ACCEPT + i] = 1.0 - shed / offered if offered > 0.0 else 1.0
    let_in = offered - shed
    s[ANSWERED + i] = max(0.0, queue + let_in - waiting) / let_in if let_in > 0.0 else 1.0
    s[WAIT + i] = 0.5 * (queue + waiting) * each / s[QUOTA + i]
    if mixed and waiting == 0.0:
        s[WAIT + i] += _blocked_s(s, p, i)


@inlined
def _blocked_s(s: Numbers, p: Numbers, i: int) -> float:
    """The mean seconds that a request waits behind costly ones if the queue empties: the Pollaczek-Khinchine formula.

    Ticks are too long to show these waits.
    """
    quota = s[QUOTA + i]
    service_s = s[CAMPAIGN_CPU + i] / quota
    by_users = level_at(s, s[NOW]) * p[USUAL_RATE + i] * each_cpu(s, p, i)
    busy = (s[CAMPAIGN + i] * s[CAMPAIGN_CPU + i] + by_users) / quota
    return float(0.5 * s[CAMPAIGN + i] * service_s * service_s / max(0.25, 1.0 - busy))


@inlined
def _wear(s: Numbers, p: Numbers) -> None:
    """Let the requests of this tick wear out the processes that keep memory or die."""
    for i in range(SERVICES):
        if s[RUNS_BAD + i] == 0.0 or s[STATUS + i] != UP:
            continue
        taken = s[LOAD + i]
        if s[CAMPAIGN + i] > 0.0:
            taken += s[SURGE + i]
        taken *= s[ACCEPT + i]
        dies = False
        if s[DEFECT + i] == KEEPS_MEMORY:
            s[MEMORY + i] += taken * s[SIZE + i]
            dies = s[MEMORY + i] >= p[KILLED_AT_MB]
        elif s[DEFECT + i] == DIES:
            s[LEFT + i] -= taken
            dies = s[LEFT + i] <= 0.0
            if dies:
                s[DIED_TICK + i] = s[NOW]
        if dies:
            settle(s, p, False)
            stop(s, i)
            s[STALE] = 1.0
