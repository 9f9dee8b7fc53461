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
from mirr.env.simulator.physics.arrivals import journey_draw, normal, service_draw, uniform
from mirr.env.simulator.physics.latencies import latency_beyond

_UNSEEN = float("nan")
P95_SCATTER = 0.05  # of a quantile of at most some hundred requests


@jit
def show_counted(s: Numbers, p: Numbers, key: Any, w: Numbers) -> None:
    """Write what the current window shows. `key` is the key of the world's draws."""
    for journey in range(k.JOURNEYS):
        users, failed, scatter = s[k.BEGUN + journey], s[k.FAILED + journey], s[k.SCATTER + journey]
        show_users(s, key, w, journey, users, failed, math.sqrt(scatter))
        s[k.BEGUN + journey] = 0.0
        s[k.FAILED + journey] = 0.0
        s[k.SCATTER + journey] = 0.0
    for i in range(k.SERVICES):
        w[k.SHOWN_DEGRADED + i] = s[k.RUNS_BAD + i]
        if s[k.STATUS + i] == k.UP:
            _show_service(s, p, key, w, i)
        else:
            show_nothing(w, i)


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
def _show_service(s: Numbers, p: Numbers, key: Any, w: Numbers, i: int) -> None:
    """Write the features of service `i`. Its next window begins."""
    row = i * k.FEATURES
    since = s[k.SINCE + i] if s[k.SINCE + i] >= 0.0 else s[k.OBSERVED]
    per_s = 1.0 / ((s[k.NOW] - since) * p[k.TICK_S])
    drawn = service_draw(key, s[k.WINDOW], i)
    answers = s[k.ANSWERS + i]
    rate = answers * per_s
    error_ratio = 0.0
    p95_s = 0.0
    if answers > 0.0:
        errors = s[k.ERRORS + i]
        error_ratio = errors / answers if errors > 0.0 else 0.0
        calm = s[k.CALM + i] == answers
        p95_s = (p[k.UNLOADED_P95 + i] if calm else _p95_of_counted(s, p, w, i)) * (1.0 + P95_SCATTER * normal(drawn))
    w[row + k.COLUMN_UP] = 1.0
    w[row + k.COLUMN_RATE] = rate
    w[row + k.COLUMN_ERRORS] = error_ratio
    w[row + k.COLUMN_P95] = p95_s
    w[row + k.COLUMN_CPU] = s[k.CPU + i] * per_s * s[k.PER_QUOTA + i]
    w[row + k.COLUMN_MEMORY] = s[k.MEMORY + i] * p[k.PER_MEMORY_LIMIT]
    in_service = rate * s[k.ACCEPT + i] * (s[k.TOTAL + i] - s[k.WAIT + i])
    w[row + k.COLUMN_IN_FLIGHT] = float(int(s[k.QUEUE + i] + in_service + uniform(drawn)))
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


@jit
def p95_of(w: Numbers, top: int, answers: float) -> float:
    """The p95 in seconds of the histogram in `w`, which has nothing above bucket `top`. Leaves the histogram empty."""
    found = latency_beyond(w, k.HISTOGRAM, top, answers, 0.05)
    for bucket in range(k.BUCKETS):
        w[k.HISTOGRAM + bucket] = 0.0
    return float(found)


@jit
def _p95_of_counted(s: Numbers, p: Numbers, w: Numbers, i: int) -> float:
    """The p95 in seconds of the answers of service `i` in this window. Its late answers are then forgotten."""
    calm = s[k.CALM + i]
    late = k.LATE + i * k.BUCKETS
    unloaded = k.UNLOADED + i * k.BUCKETS
    for bucket in range(k.BUCKETS):
        w[k.HISTOGRAM + bucket] = s[late + bucket] + p[unloaded + bucket] * calm
        s[late + bucket] = 0.0
    return float(p95_of(w, k.BUCKETS - 1, s[k.ANSWERS + i]))
