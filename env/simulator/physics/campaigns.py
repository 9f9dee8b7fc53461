"""Campaigns: requests to one service that do not come from users. At most one at a time goes to a service.

`s` is a state, as in `rows`; `i` is a service's number.
"""

from __future__ import annotations

from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, jit


@jit
def start_campaign(s: Numbers, i: int, rate: float, cpu_s: float, memory_mb: float) -> None:
    """Send service `i` so many requests a second. Each takes CPU seconds and leaves memory behind."""
    s[k.CAMPAIGN + i] = rate
    s[k.CAMPAIGN_CPU + i] = cpu_s
    s[k.CAMPAIGN_MB + i] = memory_mb
    s[k.MIXED_CPU + i] = 0.0
    s[k.BURST_ENDS + i] = 0.0
    s[k.PACE] = k.UNKNOWN


@jit
def start_costly_campaign(s: Numbers, i: int, rate: float, cpu_s: float) -> None:
    """Send service `i` so many requests a second that cost much more CPU time than the others."""
    start_campaign(s, i, rate, cpu_s, 0.0)
    s[k.MIXED_CPU + i] = cpu_s
    s[k.WATCHED] = 1.0


@jit
def end_campaign(s: Numbers, i: int) -> None:
    """Stop the campaign on service `i`. Only users send requests then."""
    start_campaign(s, i, 0.0, 0.0, 0.0)


@jit
def start_burst(s: Numbers, p: Numbers, i: int, load: float, for_s: float) -> None:
    """Send service `i` a short crowd that asks for `load` of the usual CPU quota and goes home by itself."""
    start_campaign(s, i, load * p[k.BASE_QUOTA] / p[k.CROWD_CPU + i], p[k.CROWD_CPU + i], 0.0)
    s[k.BURST_ENDS + i] = s[k.NOW] + for_s / p[k.TICK_S]
    s[k.BURSTS] = 1.0


@jit
def end_bursts(s: Numbers) -> None:
    """Stop the bursts whose time is over."""
    s[k.BURSTS] = 0.0
    for i in range(k.SERVICES):
        if s[k.BURST_ENDS + i] > s[k.NOW]:
            s[k.BURSTS] = 1.0
        elif s[k.BURST_ENDS + i] > 0.0:
            end_campaign(s, i)
