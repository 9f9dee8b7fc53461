"""What Prometheus would show of a window, and what the users have counted in it. Compiled or not.

`s` is a state and `p` its parameters, as in `layout`; `i` is a service's number.
"""

from __future__ import annotations

import math
from typing import Any

from env import dice
from env.simulator import layout as k
from env.simulator.compiled import Numbers, constants, i64, jit
from env.simulator.dice import draw, gauge_draw, normal, uniform

_BOUNDS = constants(k.BOUNDS)
_UNSEEN = float("nan")


@jit
def observe(s: Numbers, p: Numbers, key: Any, shown: Numbers) -> None:
    """What the window that ends now shows, into `shown`; `key` is that of the world's draws."""
    for journey in range(k.JOURNEYS):
        _show_users(s, key, shown, journey)
    for i in range(k.SERVICES):
        _show_service(s, p, key, shown, i)
        shown[k.SHOWN_DEGRADED + i] = 1.0 if s[k.NEXT + i] == 1.0 and s[k.SOUND + i] == 0.0 else 0.0
    s[k.WINDOW] += 1.0


@jit
def _show_users(s: Numbers, key: Any, shown: Numbers, journey: int) -> None:
    """Whole users of a journey, and a whole number of failures around the expected one."""
    begun = s[k.BEGUN + journey]
    failed = s[k.FAILED + journey]
    if s[k.SCATTER + journey] > 0.0:
        failed += normal(gauge_draw(key, s[k.WINDOW], journey)) * math.sqrt(s[k.SCATTER + journey])
    failed = float(int(failed + 0.5))
    shown[k.SHOWN_REQUESTS + journey] = begun
    shown[k.SHOWN_FAILED + journey] = min(max(failed, 0.0), begun)
    s[k.BEGUN + journey] = 0.0
    s[k.FAILED + journey] = 0.0
    s[k.SCATTER + journey] = 0.0


@jit
def _show_service(s: Numbers, p: Numbers, key: Any, shown: Numbers, i: int) -> None:
    """One service's features, in the vocabulary's order, as two scrapes would show them; its next window begins."""
    row = i * k.FEATURES
    if s[k.STATUS + i] != k.UP:
        shown[row] = 0.0
        for column in range(1, k.FEATURES):
            shown[row + column] = _UNSEEN
        return
    drawn = gauge_draw(key, s[k.WINDOW], k.JOURNEYS + i)
    answers = s[k.ANSWERS + i]
    elapsed_s = (s[k.NOW] - s[k.SINCE + i]) * p[k.TICK_S]
    rate = answers / elapsed_s
    error_ratio = 0.0
    p95_s = 0.0
    if answers > 0.0:
        error_ratio = s[k.ERRORS + i] / answers
        # Some hundred requests at most: a quantile of so few scatters.
        p95_s = _p95_s(s, p, i, answers) * (1.0 + 0.05 * normal(drawn))
    shown[row + k.COLUMN_UP] = 1.0
    shown[row + k.COLUMN_RATE] = rate
    shown[row + k.COLUMN_ERRORS] = error_ratio
    shown[row + k.COLUMN_P95] = p95_s
    shown[row + k.COLUMN_CPU] = s[k.CPU + i] / (elapsed_s * s[k.QUOTA + i])
    shown[row + k.COLUMN_MEMORY] = s[k.MEMORY + i] / p[k.MEMORY_LIMIT]
    in_service = rate * s[k.ACCEPT + i] * (s[k.TOTAL + i] - s[k.WAIT + i])
    shown[row + k.COLUMN_IN_FLIGHT] = float(int(s[k.QUEUE + i] + in_service + uniform(drawn)))
    # What was counted in this window is done with.
    s[k.ANSWERS + i] = 0.0
    s[k.ERRORS + i] = 0.0
    s[k.CPU + i] = 0.0
    s[k.CALM + i] = 0.0
    s[k.SINCE + i] = s[k.NOW]


@jit
def noisy(shown: Numbers, key: Any, step: float, g: Numbers, features: Any) -> None:
    """What an agent sees of `shown` at that step, into a row of float32: as `env.dice.noise_factors` has it."""
    first = i64(step) * dice.DRAWS_A_STEP
    low = g[k.NOISE_FROM]
    span = g[k.NOISE_SPAN]
    for pair in range(k.CELLS // 2):
        drawn = draw(key, first + pair)
        cell = 2 * pair
        features[cell] = shown[cell] * (low + float(i64(drawn & dice.HALF)) * dice.HALF_UNIT * span)
        features[cell + 1] = shown[cell + 1] * (low + float(i64(drawn >> 32)) * dice.HALF_UNIT * span)
    drawn = draw(key, first + k.CELLS // 2)
    features[k.CELLS - 1] = shown[k.CELLS - 1] * (low + float(i64(drawn & dice.HALF)) * dice.HALF_UNIT * span)
    for i in range(k.SERVICES):
        features[i * k.FEATURES + k.COLUMN_UP] = shown[i * k.FEATURES + k.COLUMN_UP]


@jit
def _p95_s(s: Numbers, p: Numbers, i: int, answers: float) -> float:
    """As Prometheus' histogram_quantile: linear within the bucket, the last bound above it."""
    calm = s[k.CALM + i]
    if calm >= 0.999 * answers:
        return float(p[k.UNLOADED_P95 + i])
    late = k.LATE + i * k.BUCKETS
    unloaded = k.UNLOADED + i * k.BUCKETS
    total = 0.0
    for bucket in range(k.BUCKETS):
        # From here on the histogram of everything; cleared below.
        s[late + bucket] = p[unloaded + bucket] * calm + s[late + bucket]
        total += s[late + bucket]
    rank = 0.95 * total
    seen = 0.0
    lower = 0.0
    found = _BOUNDS[k.BUCKETS - 2]
    for bucket in range(k.BUCKETS - 1):
        count = s[late + bucket]
        bound = _BOUNDS[bucket]
        if count > 0.0 and seen + count >= rank:
            found = lower + (bound - lower) * (rank - seen) / count
            break
        seen += count
        lower = bound
    for bucket in range(k.BUCKETS):
        s[late + bucket] = 0.0
    return float(found)
