"""What Prometheus and the load generator would show about a window that was counted tick by tick.

`s` is a state and `p` its parameters, `w` is the row of what is shown, all as in `rows`; `i` is a service's number.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

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


class Luck(NamedTuple):
    """What chance adds to a window of a service."""

    late: float  # how many more answers than usual were late, in standard deviations
    dear: float  # how much more CPU time the requests took, in standard deviations
    chance: float  # from 0 up to 1, for the requests in flight at one moment


Lucks = tuple[Luck, Luck, Luck, Luck, Luck]
"""That of each service."""


@jit
def show_counted(s: Numbers, p: Numbers, key: Any, w: Numbers) -> None:
    """Write what the current window shows. `key` is the key of the world's draws."""
    for journey in range(k.JOURNEYS):
        users, failed, scatter = s[k.BEGUN + journey], s[k.FAILED + journey], s[k.SCATTER + journey]
        show_users(s, key, w, journey, users, failed, math.sqrt(scatter))
        s[k.BEGUN + journey] = 0.0
        s[k.FAILED + journey] = 0.0
        s[k.SCATTER + journey] = 0.0
    lucks = draw_lucks(s, p, key)
    for i in range(k.SERVICES):
        w[k.SHOWN_DEGRADED + i] = s[k.RUNS_BAD + i]
        if s[k.STATUS + i] == k.UP:
            _show_service(s, p, w, i, lucks[i])
        else:
            show_nothing(w, i)


@inlined
def draw_lucks(s: Numbers, p: Numbers, key: Any) -> Lucks:
    """Draw what chance adds to this window of each service. A caller's answers may be late since an upstream's were."""
    auth = _luck(service_draw(key, s[k.WINDOW], k.AUTH))
    inventory = _luck(service_draw(key, s[k.WINDOW], k.INVENTORY))
    payments = _luck(service_draw(key, s[k.WINDOW], k.PAYMENTS))
    orders = _luck(service_draw(key, s[k.WINDOW], k.ORDERS))
    orders = _with_upstreams(p, k.ORDERS_LATE_BY, orders, inventory, payments)
    gateway = _luck(service_draw(key, s[k.WINDOW], k.GATEWAY))
    return _with_upstreams(p, k.GATEWAY_LATE_BY, gateway, auth, orders), auth, inventory, orders, payments


@inlined
def _luck(drawn: Any) -> Luck:
    late = normal(drawn)
    return Luck(late, _DEARER_IS_LATER * late + _APART * about_normal(drawn), uniform(drawn))


@inlined
def _with_upstreams(p: Numbers, by: int, own: Luck, first: Luck, second: Luck) -> Luck:
    late = p[by] * own.late + p[by + 1] * first.late + p[by + 2] * second.late
    # Several numbers that are far off at once may be further off together than any of them.
    return Luck(min(max(late, -_FURTHEST), _FURTHEST), own.dear, own.chance)


@inlined
def cpu_beyond(s: Numbers, p: Numbers, w: Numbers, i: int, requests: float, queue: float, luck: Luck) -> float:
    """CPU seconds that so many requests of service `i` take beyond their usual mean: some cost more than others.

    With a queue, the service uses its whole quota, whatever they cost."""
    if queue > 0.0:
        return 0.0
    found = luck.dear * (p[k.CPU_SCATTER + i] + requests * p[k.CPU_SCATTER_EACH + i]) if requests > 0.0 else 0.0
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
def _show_service(s: Numbers, p: Numbers, w: Numbers, i: int, luck: Luck) -> None:
    """Write the features of service `i`. Its next window begins."""
    row = i * k.FEATURES
    since = s[k.SINCE + i] if s[k.SINCE + i] >= 0.0 else s[k.OBSERVED]
    per_s = 1.0 / ((s[k.NOW] - since) * p[k.TICK_S])
    answers = s[k.ANSWERS + i]
    rate = answers * per_s
    error_ratio = 0.0
    p95_s = 0.0
    if answers > 0.0:
        errors = s[k.ERRORS + i]
        error_ratio = errors / answers if errors > 0.0 else 0.0
        calm = s[k.CALM + i] == answers
        p95_s = hurry(s, p, i) * unloaded_p95_s(p, i, luck.late) if calm else _p95_of_counted(s, p, w, i, luck.late)
    w[row + k.COLUMN_UP] = 1.0
    w[row + k.COLUMN_RATE] = rate
    w[row + k.COLUMN_ERRORS] = drawn_errors(error_ratio, answers, luck)
    w[row + k.COLUMN_P95] = p95_s
    work = s[k.CPU + i] + cpu_beyond(s, p, w, i, answers, s[k.QUEUE + i], luck)
    w[row + k.COLUMN_CPU] = cpu_share(work * per_s * s[k.PER_QUOTA + i])
    w[row + k.COLUMN_MEMORY] = s[k.MEMORY + i] * p[k.PER_MEMORY_LIMIT]
    in_service = rate * s[k.ACCEPT + i] * s[k.HELD + i]
    w[row + k.COLUMN_IN_FLIGHT] = in_flight(s, p, i, s[k.QUEUE + i], in_service, luck)
    s[k.ANSWERS + i] = 0.0
    s[k.ERRORS + i] = 0.0
    s[k.CPU + i] = 0.0
    s[k.CALM + i] = 0.0
    s[k.SINCE + i] = -1.0


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
def drawn_errors(share: float, answers: float, luck: Luck) -> float:
    """The share of errors in a window in which `share` is expected: their number is whole, and chance. Errors are
    cheap, so where there are many, less CPU time was used."""
    if share <= 0.0 or share >= 1.0:
        return share
    expected = share * answers
    found = float(int(max(0.0, expected - luck.dear * math.sqrt(expected * (1.0 - share)) + 0.5)))
    return min(1.0, found / answers)


@inlined
def cpu_share(share: float) -> float:
    """A share of the quota, as far as it can be used."""
    return min(1.0, max(0.0, share))


@inlined
def in_flight(s: Numbers, p: Numbers, i: int, queue: float, in_service: float, luck: Luck) -> float:
    """How many requests service `i` has at one moment: those in its queue, and `in_service` others on average."""
    if queue > _FULL * p[k.LIMIT] and s[k.ACCEPT + i] < 1.0:
        return float(int(p[k.LIMIT])) - _free_places(s[k.ACCEPT + i], p[k.LIMIT] - 1.0, luck.chance)
    calls = i == k.GATEWAY or i == k.ORDERS
    others = _waiting_for_upstreams(in_service, luck) if calls else _behind_another(in_service, luck.chance)
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
def _waiting_for_upstreams(mean: float, luck: Luck) -> float:
    """About a Poisson number, from a normal one: where answers are late or dear, more requests are in flight.

    The last term makes it as lopsided as Poisson numbers are (Cornish-Fisher)."""
    both = (luck.late + luck.dear) * _PER_BOTH
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


@jit
def p95_of(w: Numbers, top: int, answers: float, luck: float) -> float:
    """The p95 in seconds of the histogram in `w`, which has nothing above bucket `top`. Leaves the histogram empty."""
    found = p95_of_few(w, k.HISTOGRAM, top, answers, luck)
    for bucket in range(k.BUCKETS):
        w[k.HISTOGRAM + bucket] = 0.0
    return float(found)


@jit
def _p95_of_counted(s: Numbers, p: Numbers, w: Numbers, i: int, luck: float) -> float:
    """The p95 in seconds of the answers of service `i` in this window. Its late answers are then forgotten."""
    calm = s[k.CALM + i]
    late = k.LATE + i * k.BUCKETS
    unloaded = k.UNLOADED + i * k.BUCKETS
    for bucket in range(k.BUCKETS):
        w[k.HISTOGRAM + bucket] = s[late + bucket] + p[unloaded + bucket] * calm
        s[late + bucket] = 0.0
    return float(p95_of(w, k.BUCKETS - 1, s[k.ANSWERS + i], luck))
