"""Plays a whole window at once if the single tick does not matter. The simulator does this most of the time.

The users of the window are drawn together. Their results are worked out when the window is observed: in a ROOMY state
from the known shares, in a FULL state from what the full queue accepts. `s` is a state and `p` its parameters, `w` is
the row of what is shown, all as in `rows`; `i` is a service's number.
"""

from __future__ import annotations

import math
from typing import Any

from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, i64, inlined, jit
from mirr.env.simulator.physics.arrivals import (
    BUSIEST,
    arrivals_in_block,
    arrive_in_block_at,
    campaign_draw,
    normal,
    users_draw,
)
from mirr.env.simulator.physics.callgraph import (
    follow,
    gateway_is_calm,
    offer,
    orders_are_calm,
    reach,
    undisturbed,
)
from mirr.env.simulator.physics.gauges import (
    cpu_beyond,
    cpu_share,
    draw_lucks,
    drawn_errors,
    hurry,
    in_flight,
    p95_of,
    show_counted,
    show_nothing,
    show_users,
    unloaded_p95_s,
)
from mirr.env.simulator.physics.latencies import bucket_of, enter, tail_of
from mirr.env.simulator.physics.traffic import highest_level, level_at

_BUSIEST = 4.0  # standard deviations above the mean; a busier tick comes only once in some hours
_MOST_SCATTER = 3.5  # standard deviations; no normal number in the table is larger
_MOST_DRAWN = 140.0  # users of a block on average; with more, the table of MOST_IN_BLOCK might be too short
_MIDDLE = 0.5 * (k.BLOCK - 1)  # ticks; the level of traffic there is the mean of the block
_OVERFLOWS = 1.1  # work of a window / its quota; above this, a full queue stays full for the whole window

Campaign = tuple[float, float, float]
"""A window of a campaign on a service: requests, the CPU seconds they take, and requests in the queue."""


@jit
def foresee(s: Numbers, p: Numbers) -> bool:
    """Whether every expected tick fits into the quotas, as often as users may come from now on. A service whose queue
    is full does not count.

    This also works out how late answers will be in the next windows.
    """
    if s[k.STALE] == 1.0:
        follow(s, p)
    _learn_latencies(s, p)
    level = highest_level(s)
    browse, sign_in, check_out = p[k.USERS + k.BROWSE], p[k.USERS + k.SIGN_IN], p[k.USERS + k.CHECK_OUT]
    offer(s, k.LOAD, level * browse, level * sign_in, level * check_out)
    drawn_at = BUSIEST if s[k.VARIED] == 1.0 else 1.0
    roomy = (browse + sign_in + check_out) * drawn_at * k.BLOCK <= _MOST_DRAWN
    for i in range(k.SERVICES):
        if s[k.STATUS + i] != k.UP or s[k.WAIT + i] > 0.0:
            continue
        users, each = s[k.LOAD + i], p[k.REQUEST_CPU + i]
        campaign, of_it = s[k.CAMPAIGN + i] * p[k.TICK_S], s[k.CAMPAIGN_CPU + i]
        mean = users * each + campaign * of_it + p[k.IDLE_CPU]
        scatter = math.sqrt(users * each * each + campaign * of_it * of_it)
        roomy = roomy and mean + _BUSIEST * scatter <= s[k.QUOTA + i] * p[k.TICK_S]
    return roomy


@inlined
def draw_window(s: Numbers, p: Numbers, key: Any) -> bool:
    """Draw what happens in a block of ticks. Returns False, and changes nothing, if a single tick may matter."""
    if s[k.VARIED] == 0.0:
        drawn = users_draw(key, s[k.NOW])
        s[k.DRAWN_USERS + k.BROWSE] = arrivals_in_block(p, k.BROWSE, drawn)
        s[k.DRAWN_USERS + k.SIGN_IN] = arrivals_in_block(p, k.SIGN_IN, drawn)
        s[k.DRAWN_USERS + k.CHECK_OUT] = arrivals_in_block(p, k.CHECK_OUT, drawn)
    else:
        arrive_in_block_at(s, p, key, level_at(s, s[k.NOW] + _MIDDLE))
    s[k.DRAWN_SURGE] = 0.0
    if s[k.INVADED] >= 0.0 and not _draw_campaign(s, p, key):
        return False
    s[k.NOW] += k.BLOCK
    s[k.DRAWN] = 1.0
    return True


@jit
def _draw_campaign(s: Numbers, p: Numbers, key: Any) -> bool:
    """Draw the campaign's part of a window. Returns False, and changes nothing, if a single tick may matter."""
    i = i64(s[k.INVADED])
    if s[k.STATUS + i] != k.UP:
        return True
    mean = s[k.CAMPAIGN + i] * p[k.TICK_S] * k.BLOCK
    scatter = math.sqrt(mean)
    # This looks at the most that may come, not at what was drawn: ticks would draw other numbers.
    if s[k.MEMORY + i] + (mean + _MOST_SCATTER * scatter) * s[k.CAMPAIGN_MB + i] >= p[k.KILLED_AT_MB]:
        return False
    if s[k.PACE] == k.FULL and (scatter < _BUSIEST or not _overflows(s, p, i, mean)):
        return False
    s[k.DRAWN_SURGE] = max(0.0, mean + normal(campaign_draw(key, s[k.NOW])) * scatter)
    return True


@inlined
def _overflows(s: Numbers, p: Numbers, i: int, campaign: float) -> bool:
    """Whether `campaign` requests in a window and the expected users keep the queue full."""
    level = level_at(s, s[k.NOW] + _MIDDLE)
    browse, sign_in, check_out = p[k.USERS + k.BROWSE], p[k.USERS + k.SIGN_IN], p[k.USERS + k.CHECK_OUT]
    users = _reached(s, i, level * browse, level * sign_in, level * check_out) * k.BLOCK
    work = users * p[k.REQUEST_CPU + i] + campaign * s[k.CAMPAIGN_CPU + i]
    return bool(work >= _OVERFLOWS * s[k.QUOTA + i] * p[k.TICK_S] * k.BLOCK)


@inlined
def observe(s: Numbers, p: Numbers, key: Any, w: Numbers) -> None:
    """Write what the current window shows, and begin the next window. `key` is the key of the world's draws."""
    if s[k.DRAWN] == 1.0:
        _show_drawn(s, p, key, w)
        s[k.DRAWN] = 0.0
    else:
        show_counted(s, p, key, w)
    s[k.OBSERVED] = s[k.NOW]
    s[k.WINDOW] += 1.0


@inlined
def _show_drawn(s: Numbers, p: Numbers, key: Any, w: Numbers) -> None:
    """Write what the current window shows, if it was drawn at once."""
    browse = s[k.DRAWN_USERS + k.BROWSE]
    sign_in = s[k.DRAWN_USERS + k.SIGN_IN]
    check_out = s[k.DRAWN_USERS + k.CHECK_OUT]
    surge = s[k.DRAWN_SURGE]
    invaded = i64(s[k.INVADED])
    campaign = nobody = (0.0, 0.0, 0.0)
    if surge > 0.0:
        s[k.MEMORY + invaded] += surge * s[k.CAMPAIGN_MB + invaded]
        queue = 0.0
        if s[k.PACE] == k.FULL:
            _pour(s, p, browse, sign_in, check_out)
            queue = s[k.QUEUE + invaded]
        campaign = (surge, surge * s[k.CAMPAIGN_CPU + invaded], queue)
    draw_lucks(s, p, key, w)
    _show_journey(s, key, w, k.BROWSE, browse)
    _show_journey(s, key, w, k.SIGN_IN, sign_in)
    _show_journey(s, key, w, k.CHECK_OUT, check_out)
    at_gateway, at_auth, at_inventory, at_orders, at_payments = reach(s, browse, sign_in, check_out)
    # There is no loop: with constant places, this is only a few instructions.
    _show_gateway(s, p, w, at_gateway, campaign if invaded == k.GATEWAY else nobody)
    _show_leaf(s, p, w, k.AUTH, at_auth, campaign if invaded == k.AUTH else nobody)
    _show_leaf(s, p, w, k.INVENTORY, at_inventory, campaign if invaded == k.INVENTORY else nobody)
    _show_orders(s, p, w, at_orders, campaign if invaded == k.ORDERS else nobody)
    _show_leaf(s, p, w, k.PAYMENTS, at_payments, campaign if invaded == k.PAYMENTS else nobody)
    for i in range(k.SERVICES):
        w[k.SHOWN_DEGRADED + i] = s[k.RUNS_BAD + i]


@inlined
def _show_journey(s: Numbers, key: Any, w: Numbers, journey: int, users: float) -> None:
    """Write how many users began a journey, and how many failed."""
    lost = s[k.JOURNEY_LOST + journey]
    show_users(s, key, w, journey, users, users * lost, math.sqrt(users * lost * (1.0 - lost)))


@inlined
def _show_leaf(s: Numbers, p: Numbers, w: Numbers, i: int, count: float, campaign: Campaign) -> None:
    """Write the features of a service that calls no other."""
    if s[k.STATUS + i] != k.UP:
        show_nothing(w, i)
        return
    answers = count + campaign[0]
    error_ratio = p95_s = 0.0
    if answers > 0.0:
        error_ratio = s[k.BAD + i]
        if s[k.HURRY + i] > 0.0:
            p95_s = s[k.HURRY + i] * unloaded_p95_s(p, i, w[k.LATE_LUCK + i])
        else:
            served = answers * s[k.ACCEPT + i]
            top = enter(w, k.HISTOGRAM, served, answers - served, s[k.TOTAL + i])
            p95_s = p95_of(w, top, answers, w[k.LATE_LUCK + i])
    _show(s, p, w, i, count, campaign, error_ratio, p95_s)


@inlined
def _show_orders(s: Numbers, p: Numbers, w: Numbers, count: float, campaign: Campaign) -> None:
    if s[k.STATUS + k.ORDERS] != k.UP:
        show_nothing(w, k.ORDERS)
        return
    surge = campaign[0]
    answers = count + surge
    error_ratio = p95_s = 0.0
    if answers > 0.0:
        error_ratio = s[k.BAD + k.ORDERS]
        if surge > 0.0:
            error_ratio = (count * error_ratio + surge * (1.0 - s[k.PASS_ORDERS])) / answers
        if s[k.HURRY + k.ORDERS] > 0.0:
            p95_s = s[k.HURRY + k.ORDERS] * unloaded_p95_s(p, k.ORDERS, w[k.LATE_LUCK + k.ORDERS])
        else:
            accept = s[k.ACCEPT + k.ORDERS]
            top = enter(w, k.HISTOGRAM, count * accept, count - count * accept, s[k.TOTAL + k.ORDERS])
            if surge > 0.0:
                own_s = p[k.OWN_LATENCY + k.ORDERS] + s[k.WAIT + k.ORDERS]
                top = max(top, enter(w, k.HISTOGRAM, surge * accept, surge - surge * accept, own_s))
            p95_s = p95_of(w, top, answers, w[k.LATE_LUCK + k.ORDERS])
    _show(s, p, w, k.ORDERS, count, campaign, error_ratio, p95_s)


@inlined
def _show_gateway(s: Numbers, p: Numbers, w: Numbers, count: float, campaign: Campaign) -> None:
    if s[k.STATUS + k.GATEWAY] != k.UP:
        show_nothing(w, k.GATEWAY)
        return
    surge = campaign[0]
    answers = count + surge
    error_ratio = p95_s = 0.0
    if answers > 0.0:
        errors = weighted_s = own_s = 0.0
        if surge > 0.0:
            own_s = p[k.OWN_LATENCY + k.GATEWAY] + s[k.WAIT + k.GATEWAY]
            errors = surge * (1.0 - s[k.PASS_GATEWAY])
            weighted_s = surge * own_s
        for journey in range(k.JOURNEYS):
            users = s[k.DRAWN_USERS + journey]
            errors += users * s[k.JOURNEY_BAD + journey]
            weighted_s += users * s[k.JOURNEY_HELD_S + journey]
        per_answer = 1.0 / answers
        error_ratio = errors * per_answer
        s[k.HELD + k.GATEWAY] = weighted_s * per_answer - s[k.WAIT + k.GATEWAY]
        if s[k.HURRY + k.GATEWAY] > 0.0:
            p95_s = s[k.HURRY + k.GATEWAY] * unloaded_p95_s(p, k.GATEWAY, w[k.LATE_LUCK + k.GATEWAY])
        else:
            p95_s = _p95_of_gateway(s, w, answers, surge, own_s)
        _learn_hold(s, k.GATEWAY)
    _show(s, p, w, k.GATEWAY, count, campaign, error_ratio, p95_s)


@inlined
def _show(
    s: Numbers,
    p: Numbers,
    w: Numbers,
    i: int,
    count: float,
    campaign: Campaign,
    error_ratio: float,
    p95_s: float,
) -> None:
    """Write the features of service `i`, as `gauges` does for a counted window."""
    surge, surge_work, queue = campaign
    row = i * k.FEATURES
    per_s = p[k.PER_BLOCK_S]
    rate = (count + surge) * per_s
    work = count * p[k.REQUEST_CPU + i] + surge_work + k.BLOCK * p[k.IDLE_CPU]
    w[row + k.COLUMN_UP] = 1.0
    w[row + k.COLUMN_RATE] = rate
    w[row + k.COLUMN_ERRORS] = drawn_errors(w, i, error_ratio, count + surge)
    w[row + k.COLUMN_P95] = p95_s
    work += cpu_beyond(s, p, w, i, count + surge, queue)
    w[row + k.COLUMN_CPU] = cpu_share(work * per_s * s[k.PER_QUOTA + i])
    w[row + k.COLUMN_MEMORY] = s[k.MEMORY + i] * p[k.PER_MEMORY_LIMIT]
    w[row + k.COLUMN_IN_FLIGHT] = in_flight(s, p, w, i, queue, rate * s[k.HOLD + i])


@jit
def _pour(s: Numbers, p: Numbers, browse: float, sign_in: float, check_out: float) -> None:
    """For a queue that is full all the time: work out what it accepts, how long requests wait, and what follows."""
    i = i64(s[k.INVADED])
    surge = s[k.DRAWN_SURGE]
    count = _reached(s, i, browse, sign_in, check_out)
    work = count * p[k.REQUEST_CPU + i] + surge * s[k.CAMPAIGN_CPU + i] + k.BLOCK * p[k.IDLE_CPU]
    count += surge
    each = work / count
    capacity = s[k.QUOTA + i] * p[k.TICK_S] * k.BLOCK
    # A 503 costs some CPU, so the number of 503s depends on itself. Two rounds from the last number are enough.
    shed = s[k.SHED + i] * k.BLOCK
    for _ in range(2):
        # In a quiet window the quota can do more than arrives. Then nothing is turned away.
        shed = max(0.0, count - (capacity - min(0.5 * capacity, shed * p[k.SHED_CPU])) / each)
    s[k.SHED + i] = shed / k.BLOCK
    s[k.ACCEPT + i] = 1.0 - shed / count
    s[k.WAIT + i] = s[k.QUEUE + i] * each * s[k.PER_QUOTA + i]
    follow(s, p)
    _learn_latencies(s, p)


@inlined
def _reached(s: Numbers, i: int, browse: float, sign_in: float, check_out: float) -> float:
    """How many requests of these users reach service `i`. Writes over LOAD."""
    offer(s, k.LOAD, browse, sign_in, check_out)
    return float(s[k.LOAD + i])


@inlined
def _learn_latencies(s: Numbers, p: Numbers) -> None:
    """Work out how late answers will be: as from an unloaded service, or in which buckets of the histogram."""
    _learn_leaf(s, p, k.AUTH)
    _learn_leaf(s, p, k.INVENTORY)
    _learn_leaf(s, p, k.PAYMENTS)
    _learn_hold(s, k.ORDERS)
    s[k.HURRY + k.ORDERS] = hurry(s, p, k.ORDERS) if orders_are_calm(s) else 0.0
    s[k.HURRY + k.GATEWAY] = hurry(s, p, k.GATEWAY) if gateway_is_calm(s) else 0.0
    if s[k.HURRY + k.GATEWAY] == 0.0:
        for journey in range(k.JOURNEYS):
            latency = s[k.JOURNEY_S + journey]
            place = bucket_of(0.9 * latency)
            s[k.JOURNEY_PLACES + 2 * journey] = place
            s[k.JOURNEY_PLACES + 2 * journey + 1] = tail_of(place, latency)


@inlined
def _learn_leaf(s: Numbers, p: Numbers, i: int) -> None:
    s[k.HURRY + i] = hurry(s, p, i) if undisturbed(s, i) else 0.0
    _learn_hold(s, i)


@inlined
def _learn_hold(s: Numbers, i: int) -> None:
    """Work out HOLD. HOLD times the request rate is the number of requests in the service but not in its queue."""
    s[k.HOLD + i] = s[k.ACCEPT + i] * s[k.HELD + i]


@jit
def _p95_of_gateway(s: Numbers, w: Numbers, answers: float, surge: float, own_s: float) -> float:
    """The p95 in seconds of the answers to all journeys and to a campaign."""
    accept = s[k.ACCEPT + k.GATEWAY]
    top = 0
    for journey in range(k.JOURNEYS):
        served = s[k.DRAWN_USERS + journey] * accept
        tail = i64(s[k.JOURNEY_PLACES + 2 * journey + 1])
        w[k.HISTOGRAM + i64(s[k.JOURNEY_PLACES + 2 * journey])] += 0.75 * served
        w[k.HISTOGRAM + tail] += 0.25 * served
        top = max(top, tail)
    w[k.HISTOGRAM] += (answers - surge) * (1.0 - accept)
    if surge > 0.0:
        top = max(top, enter(w, k.HISTOGRAM, surge * accept, surge - surge * accept, own_s))
    return float(p95_of(w, top, answers, w[k.LATE_LUCK + k.GATEWAY]))
