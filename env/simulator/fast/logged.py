"""What the last reading of each service's log told, as numbers: `mirr.env.logs` in a form that compiles.

`mirr.env.simulator.chronicle` makes the lines of a log, and `mirr.env.logs` counts them. Here the lines are counted
without being made. A test compares both.
"""

from __future__ import annotations

from typing import Any

from mirr.env.simulator.chronicle import CALL_PLACES, CALL_SEEN_S, SPOILED_SEEN_S, WELL
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, constants, jit
from mirr.env.vocabulary import Service

_CALLS = constants(
    float(flow in {place - k.FLOW for (caller, _), place in CALL_PLACES.items() if caller is service})
    for service in Service
    for flow in range(k.FLOWS)
)
"""For each service and each share from FLOW on: 1 if it is the share of the service's own calls that go well."""


@jit
def forget_logs(s: Numbers) -> None:
    """No log has been read yet."""
    for place in range(k.SERVICES * k.LOGGED_SIZE):
        s[k.LOGGED + place] = 0.0


@jit
def count_log(s: Numbers, i: int, tick_s: float, step: Any) -> None:
    """Note what the log tells that was read last, in step number `step`: it is that of service `i`."""
    at = k.LOGGED + i * k.LOGGED_SIZE
    log = k.READ_LOG
    started = s[log + k.LOG_READY] >= 0.0
    # A process that ran before the episode has been there for ever.
    alive_s = (s[log + k.LOG_TICK] - s[log + k.LOG_READY]) * tick_s if started else 1e300
    warnings = 0.0
    if alive_s >= CALL_SEEN_S:
        for flow in range(k.FLOWS):
            if _CALLS[i * k.FLOWS + flow] == 1.0 and s[log + k.LOG_FLOW + flow] < WELL:
                warnings += 1.0
    s[at + k.LOGGED_STEP] = step
    s[at + k.LOGGED_STARTS] = 1.0 if started else 0.0
    errors = 1.0 if s[log + k.LOG_SPOILED] > 0.0 and alive_s >= SPOILED_SEEN_S else 0.0
    if s[log + k.LOG_DIED] > 0.0:
        errors += 1.0  # another event than a failed request
    s[at + k.LOGGED_ERRORS] = errors
    s[at + k.LOGGED_WARNINGS] = warnings
    s[at + k.LOGGED_TURNED_AWAY] = 1.0 if s[log + k.LOG_SHED] > 0.0 else 0.0
    s[at + k.LOGGED_OTHER_RELEASE] = 1.0 if started and s[log + k.LOG_NEXT] == 1.0 else 0.0
