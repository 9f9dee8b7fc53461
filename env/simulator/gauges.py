"""What Prometheus would show of a window, and what the users have counted in it. Compiled or not.

`s` is a state and `p` its parameters, as in `layout`; `i` is a service's number.
"""

from __future__ import annotations

import math

from env.simulator import layout as k
from env.simulator.compiled import Numbers, constants, jit

_BOUNDS = constants(k.BOUNDS)
_UNSEEN = float("nan")


@jit
def show_users(s: Numbers, shown: Numbers, journey: int, scatter: float) -> None:
    """Whole users of a journey, and a whole number of failures around the expected one."""
    begun = s[k.BEGUN + journey]
    failed = float(int(s[k.FAILED + journey] + scatter * math.sqrt(s[k.SCATTER + journey]) + 0.5))
    shown[k.SHOWN_REQUESTS + journey] = begun
    shown[k.SHOWN_FAILED + journey] = min(max(failed, 0.0), begun)
    s[k.BEGUN + journey] = 0.0
    s[k.FAILED + journey] = 0.0
    s[k.SCATTER + journey] = 0.0


@jit
def show_service(s: Numbers, p: Numbers, shown: Numbers, i: int, jitter: float, level: float) -> None:
    """One service's features, in the vocabulary's order, as two scrapes would show them; its next window begins."""
    row = i * k.FEATURES
    if s[k.STATUS + i] != k.UP:
        shown[row] = 0.0
        for column in range(1, k.FEATURES):
            shown[row + column] = _UNSEEN
        return
    answers = s[k.ANSWERS + i]
    elapsed_s = (s[k.NOW] - s[k.SINCE + i]) * p[k.TICK_S]
    rate = answers / elapsed_s
    error_ratio = 0.0
    p95_s = 0.0
    if answers > 0.0:
        error_ratio = s[k.ERRORS + i] / answers
        # Some hundred requests at most: a quantile of so few scatters.
        p95_s = _p95_s(s, p, i, answers) * (1.0 + 0.05 * jitter)
    shown[row] = 1.0
    shown[row + 1] = rate
    shown[row + 2] = error_ratio
    shown[row + 3] = p95_s
    shown[row + 4] = s[k.CPU + i] / (elapsed_s * s[k.QUOTA + i])
    shown[row + 5] = s[k.MEMORY + i] / p[k.MEMORY_LIMIT]
    shown[row + 6] = float(int(s[k.QUEUE + i] + rate * s[k.ACCEPT + i] * (s[k.TOTAL + i] - s[k.WAIT + i]) + level))
    # What was counted in this window is done with.
    s[k.ANSWERS + i] = 0.0
    s[k.ERRORS + i] = 0.0
    s[k.CPU + i] = 0.0
    s[k.CALM + i] = 0.0
    s[k.SINCE + i] = s[k.NOW]


@jit
def _p95_s(s: Numbers, p: Numbers, i: int, answers: float) -> float:
    """As Prometheus' histogram_quantile: linear within the bucket, the last bound above it."""
    calm = s[k.CALM + i]
    if calm >= 0.999 * answers:
        return p[k.UNLOADED_P95 + i]
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
    return found
