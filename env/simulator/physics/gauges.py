"""What Prometheus and the load generator would show about a window that was counted tick by tick.

`s` is a state and `p` its parameters, `w` is the row of what is shown, all as in `rows`; `i` is a service's number.
"""

from __future__ import annotations

import math
from typing import Any

from mirr.env import dice
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, i64, inlined, jit
from mirr.env.simulator.fast.dice import draw
from mirr.env.simulator.physics.arrivals import (
    MOST_NORMAL,
    about_normal,
    journey_draw,
    normal,
    service_draw,
    uniform,
)
from mirr.env.simulator.physics.latencies import p95_of_few

_UNSEEN = float("nan")
_FULL = 0.999  # of the limit of requests in flight: then the queue is full
_FURTHEST = MOST_NORMAL - 1e-9
_UNRESERVED_SAVES = 2.0 / 3.0  # of the CPU time of an order, if there is nothing to reserve; measured on the lab
_DEARER_IS_LATER = 0.4  # correlation of a window's CPU time with its late answers; 0.3 to 0.55 on the lab
_APART = math.sqrt(1.0 - _DEARER_IS_LATER * _DEARER_IS_LATER)
_PER_BOTH = 1.0 / math.sqrt(2.0 + 2.0 * _DEARER_IS_LATER)


@jit
def show_counted(s: Numbers, p: Numbers, key: Any, w: Numbers) -> None:
    """Write what the current window shows. `key` is the key of the world's draws."""
    draw_lucks(s, p, key, w)
    for journey in range(k.JOURNEYS):
        users, failed, scatter = s[k.BEGUN + journey], s[k.FAILED + journey], s[k.SCATTER + journey]
        show_users(s, key, w, journey, users, failed, math.sqrt(scatter))
        s[k.BEGUN + journey] = 0.0
        s[k.FAILED + journey] = 0.0
        s[k.SCATTER + journey] = 0.0
    for i in range(k.SERVICES):
        w[k.SHOWN_DEGRADED + i] = s[k.RUNS_BAD + i]
        if s[k.STATUS + i] == k.UP and s[k.SEEN_TICK + i] <= s[k.NOW]:
            _show_service(s, p, w, i)
        else:
            show_nothing(w, i)


@inlined
def draw_lucks(s: Numbers, p: Numbers, key: Any, w: Numbers) -> None:
    """Draw what chance adds to this window. A caller's answers may be late since an upstream's were."""
    for i in range(k.SERVICES):
        drawn = service_draw(key, s[k.WINDOW], i)
        late = normal(drawn)
        w[k.LATE_LUCK + i] = late
        w[k.DEAR_LUCK + i] = _DEARER_IS_LATER * late + _APART * about_normal(drawn)
        w[k.CHANCE + i] = uniform(drawn)
    _add_upstreams(p, w, k.ORDERS_LATE_BY, k.ORDERS, k.INVENTORY, k.PAYMENTS)
    _add_upstreams(p, w, k.GATEWAY_LATE_BY, k.GATEWAY, k.AUTH, k.ORDERS)


@inlined
def _add_upstreams(p: Numbers, w: Numbers, by: int, i: int, first: int, second: int) -> None:
    late = p[by] * w[k.LATE_LUCK + i] + p[by + 1] * w[k.LATE_LUCK + first] + p[by + 2] * w[k.LATE_LUCK + second]
    # Several numbers that are far off at once may be further off together than any of them.
    w[k.LATE_LUCK + i] = min(max(late, -_FURTHEST), _FURTHEST)


@inlined
def cpu_beyond(s: Numbers, p: Numbers, w: Numbers, i: int, requests: float, queue: float) -> float:
    """CPU seconds that so many requests of service `i` take beyond their usual mean: some cost more than others.

    With a queue, the service uses its whole quota, whatever they cost."""
    if queue > 0.0:
        return 0.0
    found = (
        w[k.DEAR_LUCK + i] * (p[k.CPU_SCATTER + i] + requests * p[k.CPU_SCATTER_EACH + i]) if requests > 0.0 else 0.0
    )
    browse, sign_in = w[k.SHOWN_REQUESTS + k.BROWSE], w[k.SHOWN_REQUESTS + k.SIGN_IN]
    check_out = w[k.SHOWN_REQUESTS + k.CHECK_OUT]
    if i == k.GATEWAY:
        found += _dearer(p, i, browse, sign_in, check_out)
    elif i == k.AUTH:
        found += s[k.PASS_GATEWAY] * _dearer(p, i, 0.0, sign_in, check_out)
    elif i == k.INVENTORY:
        reserves = check_out * s[k.AUTH_OK] * s[k.PASS_ORDERS]
        found += s[k.PASS_GATEWAY] * _dearer(p, i, browse, 0.0, reserves)
    elif i == k.ORDERS:
        found -= requests * (1.0 - s[k.RESERVE_OK]) * _UNRESERVED_SAVES * p[k.REQUEST_CPU + i]
    return float(found)


@inlined
def _dearer(p: Numbers, i: int, browse: float, sign_in: float, check_out: float) -> float:
    at = k.DEARER + i * k.JOURNEYS
    return float(browse * p[at + k.BROWSE] + sign_in * p[at + k.SIGN_IN] + check_out * p[at + k.CHECK_OUT])


@inlined
def show_users(s: Numbers, key: Any, w: Numbers, journey: int, begun: float, failed: float, scatter: float) -> None:
    """Write how many users began a journey, and how many failed: a whole number around the expected one."""
    if scatter > 0.0:
        failed += normal(journey_draw(key, s[k.WINDOW], journey)) * scatter
    failed = float(int(failed + 0.5))
    w[k.SHOWN_REQUESTS + journey] = begun
    w[k.SHOWN_FAILED + journey] = min(max(failed, 0.0), begun)


@inlined
def show_nothing(w: Numbers, i: int) -> None:
    """Write the features of a service that could not be scraped."""
    row = i * k.FEATURES
    w[row] = 0.0
    for column in range(1, k.FEATURES):
        w[row + column] = _UNSEEN


@inlined
def _show_service(s: Numbers, p: Numbers, w: Numbers, i: int) -> None:
    """Write the features of service `i`. Its next window begins."""
    row = i * k.FEATURES
    since = s[k.SINCE + i] if s[k.SINCE + i] >= 0.0 else s[k.OBSERVED]
    seconds = (s[k.NOW] - since) * p[k.TICK_S]
    answers = s[k.ANSWERS + i]
    counted = answers
    if s[k.SEEN_TICK + i] > since:
        # A new process. Its counters begin at 0, and its last scrape comes before the end of the window.
        late_s = _since_scrape_s(s, p, i)
        counted *= max(0.0, 1.0 - late_s / ((s[k.NOW] - s[k.READY_TICK + i]) * p[k.TICK_S]))
        seconds -= late_s
    per_s = 1.0 / seconds
    rate = counted * per_s
    error_ratio = 0.0
    p95_s = 0.0
    if answers > 0.0:
        errors = s[k.ERRORS + i]
        error_ratio = errors / answers if errors > 0.0 else 0.0
        calm = s[k.CALM + i] == answers
        p95_s = hurry(s, p, i) * unloaded_p95_s(p, i, w[k.LATE_LUCK + i]) if calm else _p95_of_counted(s, p, w, i)
    w[row + k.COLUMN_UP] = 1.0
    w[row + k.COLUMN_RATE] = rate
    w[row + k.COLUMN_ERRORS] = drawn_errors(w, i, error_ratio, answers)
    w[row + k.COLUMN_P95] = p95_s
    work = s[k.CPU + i] + cpu_beyond(s, p, w, i, answers, s[k.QUEUE + i])
    work -= (answers - counted) * p[k.REQUEST_CPU + i]
    w[row + k.COLUMN_CPU] = cpu_share(work * per_s * s[k.PER_QUOTA + i])
    w[row + k.COLUMN_MEMORY] = s[k.MEMORY + i] * p[k.PER_MEMORY_LIMIT]
    in_service = rate * s[k.ACCEPT + i] * s[k.HELD + i]
    w[row + k.COLUMN_IN_FLIGHT] = in_flight(s, p, w, i, s[k.QUEUE + i], in_service)
    s[k.ANSWERS + i] = 0.0
    s[k.ERRORS + i] = 0.0
    s[k.CPU + i] = 0.0
    s[k.CALM + i] = 0.0
    s[k.SINCE + i] = -1.0


@inlined
def _since_scrape_s(s: Numbers, p: Numbers, i: int) -> float:
    """Seconds since the last scrape of a new process. At most since it listens."""
    since_first_s = (s[k.NOW] - s[k.SEEN_TICK + i]) * p[k.TICK_S]
    since_last_s = since_first_s - p[k.SCRAPE_S] * float(int(since_first_s / p[k.SCRAPE_S]))
    return float(min(since_last_s, (s[k.NOW] - s[k.READY_TICK + i]) * p[k.TICK_S]))


@inlined
def noisy(w: Numbers, key: Any, step: float, g: Numbers, features: Any, e: int) -> None:
    """Write what an agent sees at that step into row `e` of `features`: the window with noise."""
    first = i64(step) * dice.DRAWS_A_STEP
    low = g[k.NOISE_FROM]
    span = g[k.NOISE_SPAN]
    for pair in range(dice.DRAWS_A_STEP):
        drawn = draw(key, first + pair)
        cell = 2 * pair
        features[e, cell] = w[cell] * (low + float(i64(drawn & dice.HALF)) * dice.HALF_UNIT * span)
        if cell + 1 < k.CELLS:
            features[e, cell + 1] = w[cell + 1] * (low + float(i64(drawn >> 32)) * dice.HALF_UNIT * span)
    for i in range(k.SERVICES):
        features[e, i * k.FEATURES + k.COLUMN_UP] = w[i * k.FEATURES + k.COLUMN_UP]


@inlined
def drawn_errors(w: Numbers, i: int, share: float, answers: float) -> float:
    """The share of errors of service `i` in a window in which `share` is expected: their number is whole, and chance.
    Errors are cheap, so where there are many, less CPU time was used."""
    if share <= 0.0 or share >= 1.0:
        return share
    expected = share * answers
    found = float(int(max(0.0, expected - w[k.DEAR_LUCK + i] * math.sqrt(expected * (1.0 - share)) + 0.5)))
    return min(1.0, found / answers)


@inlined
def cpu_share(share: float) -> float:
    """A share of the quota, as far as it can be used."""
    return min(1.0, max(0.0, share))


@inlined
def in_flight(s: Numbers, p: Numbers, w: Numbers, i: int, queue: float, in_service: float) -> float:
    """How many requests service `i` has at one moment: those in its queue, and `in_service` others on average."""
    chance = w[k.CHANCE + i]
    if queue > _FULL * p[k.LIMIT] and s[k.ACCEPT + i] < 1.0:
        return float(int(p[k.LIMIT])) - _free_places(s[k.ACCEPT + i], p[k.LIMIT] - 1.0, chance)
    if i == k.GATEWAY or i == k.ORDERS:
        others = _waiting_for_upstreams(in_service, w[k.LATE_LUCK + i] + w[k.DEAR_LUCK + i])
    else:
        others = _behind_another(in_service, chance)
    return min(float(int(p[k.LIMIT])), float(int(queue)) + others)


@jit
def _free_places(accept: float, limit: float, chance: float) -> float:
    """How many more requests a full service would take at one moment, if it takes the share `accept` of them.

    The number follows the geometric distribution, as in a queue of limited length (M/M/1/K). `chance` is from 0 to 1.
    """
    free = 0.0
    beyond = accept  # the probability of more free places
    while chance < beyond and free < limit:
        free += 1.0
        beyond *= accept
    return free


@inlined
def _behind_another(mean: float, chance: float) -> float:
    """Requests of a service that calls no other, `mean` on average, without the one that it works on.

    A process answers a scrape when it has done a request. Their number follows the geometric distribution (M/M/1)."""
    if chance > mean * mean:
        return 0.0  # the usual case, and quicker
    share = mean / (1.0 + mean)
    waiting = 0.0
    beyond = share * share  # the probability of more that wait
    while chance < beyond:
        waiting += 1.0
        beyond *= share
    return waiting


@inlined
def _waiting_for_upstreams(mean: float, lucks: float) -> float:
    """About a Poisson number, from a normal one: where answers are late or dear, more requests are in flight.

    The last term makes it as lopsided as Poisson numbers are (Cornish-Fisher)."""
    both = lucks * _PER_BOTH
    return float(int(max(0.0, mean + both * math.sqrt(mean) + (both * both - 1.0) * (1.0 / 6.0) + 0.5)))


@inlined
def unloaded_p95_s(p: Numbers, i: int, luck: float) -> float:
    """The p95 in seconds of service `i` in a window with about the usual number of requests, unloaded.

    `luck` is a standard normal number: see `p95_of_few`."""
    place = (luck + MOST_NORMAL) * k.P95S_A_DEVIATION
    knot = i64(place)
    at = k.UNLOADED_P95S + i * k.P95S + knot
    return float(p[at] + (p[at + 1] - p[at]) * (place - float(knot)))


@inlined
def hurry(s: Numbers, p: Numbers, i: int) -> float:
    """The p95 of an unloaded service, in times of the usual one: some of its answers are errors, which come early."""
    if i == k.GATEWAY:
        ordered = s[k.AUTH_OK] * s[k.PASS_ORDERS] * s[k.RESERVE_OK]
        return _hurried(p, k.GATEWAY, s[k.PASS_GATEWAY]) * _hurried(p, k.CHECK_OUTS, ordered)
    if i == k.ORDERS:
        return _hurried(p, k.ORDERS, s[k.PASS_ORDERS] * s[k.RESERVE_OK])
    return _hurried(p, i, 1.0 - s[k.BAD + i])


@inlined
def _hurried(p: Numbers, row: int, late: float) -> float:
    if late == 1.0:
        return 1.0
    place = late * (k.HURRIES - 1)
    knot = i64(place)
    at = k.HURRIED + row * k.HURRIES + knot
    return float(p[at] + (p[at + 1] - p[at]) * (place - float(knot)))


@inlined
def p95_of(w: Numbers, top: int, answers: float, luck: float) -> float:
    """The p95 in seconds of the histogram in `w`, which has nothing above bucket `top`. Leaves the histogram empty."""
    found = p95_of_few(w, k.HISTOGRAM, top, answers, luck)
    for bucket in range(k.BUCKETS):
        w[k.HISTOGRAM + bucket] = 0.0
    return float(found)


@inlined
def _p95_of_counted(s: Numbers, p: Numbers, w: Numbers, i: int) -> float:
    """The p95 in seconds of the answers of service `i` in this window. Its late answers are then forgotten."""
    calm = s[k.CALM + i]
    late = k.LATE + i * k.BUCKETS
    unloaded = k.UNLOADED + i * k.BUCKETS
    for bucket in range(k.BUCKETS):
        w[k.HISTOGRAM + bucket] = s[late + bucket] + p[unloaded + bucket] * calm
        s[late + bucket] = 0.0
    return float(p95_of(w, k.BUCKETS - 1, s[k.ANSWERS + i], w[k.LATE_LUCK + i]))
