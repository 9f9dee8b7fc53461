"""What Prometheus would show of a window, and what the users have counted in it. Compiled or not.

`s` is a state and `p` its parameters, as in `layout`; `i` is a service's number.
"""

from __future__ import annotations

import math
from typing import Any

from env import dice
from env.simulator import layout as k
from env.simulator.compiled import Numbers, constants, i64, inlined, jit
from env.simulator.dice import draw, gauge_draw, normal, uniform

_BOUNDS = constants(k.BOUNDS)
_UNSEEN = float("nan")


@inlined
def observe(s: Numbers, p: Numbers, key: Any) -> None:
    """What the window that ends now shows; `key` is that of the world's draws."""
    _show_users(s, key, k.BROWSE)
    _show_users(s, key, k.SIGN_IN)
    _show_users(s, key, k.CHECK_OUT)
    # Mostly the same for all, and a division costs more than the rest of a service.
    since = s[k.SINCE + k.GATEWAY]
    per_s = 1.0 / ((s[k.NOW] - since) * p[k.TICK_S])
    # One by one and not in a loop: with the place known, this is a handful of instructions.
    _show_service(s, p, key, k.GATEWAY, since, per_s)
    _show_service(s, p, key, k.AUTH, since, per_s)
    _show_service(s, p, key, k.INVENTORY, since, per_s)
    _show_service(s, p, key, k.ORDERS, since, per_s)
    _show_service(s, p, key, k.PAYMENTS, since, per_s)
    s[k.WINDOW] += 1.0


@inlined
def _show_users(s: Numbers, key: Any, journey: int) -> None:
    """Whole users of a journey, and a whole number of failures around the expected one."""
    begun = s[k.BEGUN + journey]
    failed = s[k.FAILED + journey]
    if s[k.SCATTER + journey] > 0.0:
        failed += normal(gauge_draw(key, s[k.WINDOW], journey)) * math.sqrt(s[k.SCATTER + journey])
    failed = float(int(failed + 0.5))
    s[k.SHOWN_REQUESTS + journey] = begun
    s[k.SHOWN_FAILED + journey] = min(max(failed, 0.0), begun)
    s[k.BEGUN + journey] = 0.0
    s[k.FAILED + journey] = 0.0
    s[k.SCATTER + journey] = 0.0


@inlined
def _show_service(s: Numbers, p: Numbers, key: Any, i: int, since: float, per_s: float) -> None:
    """One service's features, in the vocabulary's order, as two scrapes would show them; its next window begins.
    `per_s` is 1 over the length of a window that began at `since`."""
    row = k.SHOWN + i * k.FEATURES
    s[k.SHOWN_DEGRADED + i] = 1.0 if s[k.NEXT + i] == 1.0 and s[k.SOUND + i] == 0.0 else 0.0
    if s[k.STATUS + i] != k.UP:
        s[row] = 0.0
        for column in range(1, k.FEATURES):
            s[row + column] = _UNSEEN
        return
    if s[k.SINCE + i] != since:
        per_s = 1.0 / ((s[k.NOW] - s[k.SINCE + i]) * p[k.TICK_S])
    drawn = gauge_draw(key, s[k.WINDOW], k.JOURNEYS + i)
    answers = s[k.ANSWERS + i]
    rate = answers * per_s
    error_ratio = 0.0
    p95_s = 0.0
    if answers > 0.0:
        errors = s[k.ERRORS + i]
        error_ratio = errors / answers if errors > 0.0 else 0.0
        # Some hundred requests at most: a quantile of so few scatters.
        calm = s[k.CALM + i] >= 0.999 * answers
        p95_s = (p[k.UNLOADED_P95 + i] if calm else _p95_s(s, p, i)) * (1.0 + 0.05 * normal(drawn))
    s[row + k.COLUMN_UP] = 1.0
    s[row + k.COLUMN_RATE] = rate
    s[row + k.COLUMN_ERRORS] = error_ratio
    s[row + k.COLUMN_P95] = p95_s
    s[row + k.COLUMN_CPU] = s[k.CPU + i] * per_s * s[k.PER_QUOTA + i]
    s[row + k.COLUMN_MEMORY] = s[k.MEMORY + i] * p[k.PER_MEMORY_LIMIT]
    in_service = rate * s[k.ACCEPT + i] * (s[k.TOTAL + i] - s[k.WAIT + i])
    s[row + k.COLUMN_IN_FLIGHT] = float(int(s[k.QUEUE + i] + in_service + uniform(drawn)))
    # What was counted in this window is done with.
    s[k.ANSWERS + i] = 0.0
    s[k.ERRORS + i] = 0.0
    s[k.CPU + i] = 0.0
    s[k.CALM + i] = 0.0
    s[k.SINCE + i] = s[k.NOW]


@inlined
def noisy(s: Numbers, key: Any, step: float, g: Numbers, features: Any, e: int) -> None:
    """What an agent sees of the window at that step, into row `e` of `features`: as `env.dice.noise_factors` has it."""
    first = i64(step) * dice.DRAWS_A_STEP
    low = g[k.NOISE_FROM]
    span = g[k.NOISE_SPAN]
    for pair in range(k.CELLS // 2):
        drawn = draw(key, first + pair)
        cell = 2 * pair
        features[e, cell] = s[k.SHOWN + cell] * (low + float(i64(drawn & dice.HALF)) * dice.HALF_UNIT * span)
        features[e, cell + 1] = s[k.SHOWN + cell + 1] * (low + float(i64(drawn >> 32)) * dice.HALF_UNIT * span)
    drawn = draw(key, first + k.CELLS // 2)
    features[e, k.CELLS - 1] = s[k.SHOWN + k.CELLS - 1] * (low + float(i64(drawn & dice.HALF)) * dice.HALF_UNIT * span)
    for i in range(k.SERVICES):
        features[e, i * k.FEATURES + k.COLUMN_UP] = s[k.SHOWN + i * k.FEATURES + k.COLUMN_UP]


@jit
def _p95_s(s: Numbers, p: Numbers, i: int) -> float:
    """As Prometheus' histogram_quantile: linear within the bucket, the last bound above it. Looked for from above,
    since it is near there; what was counted is done with."""
    answers = s[k.ANSWERS + i]
    calm = s[k.CALM + i]
    late = k.LATE + i * k.BUCKETS
    unloaded = k.UNLOADED + i * k.BUCKETS
    rest = 0.05 * answers
    found = _BOUNDS[k.BUCKETS - 2]
    above = s[late + k.BUCKETS - 1] + p[unloaded + k.BUCKETS - 1] * calm
    if above < rest:
        for place in range(k.BUCKETS - 1):
            bucket = k.BUCKETS - 2 - place
            count = s[late + bucket] + p[unloaded + bucket] * calm
            if above + count >= rest or bucket == 0:
                lower = _BOUNDS[bucket - 1] if bucket > 0 else 0.0
                inside = min(1.0, (rest - above) / count) if count > 0.0 else 0.0
                found = _BOUNDS[bucket] - (_BOUNDS[bucket] - lower) * inside
                break
            above += count
    for bucket in range(k.BUCKETS):
        s[late + bucket] = 0.0
    return float(found)
