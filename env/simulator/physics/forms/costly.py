"""`overloaded/costly`: a few customers send requests that cost many times the usual CPU time.

The offered load is above the quota, as with a crowd, but the request rate hardly rises.
"""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.rows import BASE_QUOTA, COSTLY_CPU, FAULT_SEVERITY, NOW, REQUEST_CPU, USUAL_RATE
from mirr.env.simulator.physics.campaigns import end_campaign, start_costly_campaign
from mirr.env.simulator.physics.forms.form import Form, Severity
from mirr.env.simulator.physics.operations import overwhelmed
from mirr.env.simulator.physics.traffic import level_at
from mirr.env.vocabulary import FaultMode


@jit
def begin(s: Numbers, p: Numbers, i: int) -> None:
    """The customers come."""
    ordinary = level_at(s, s[NOW]) * p[USUAL_RATE + i] * p[REQUEST_CPU + i]
    rate = (s[FAULT_SEVERITY + i] * p[BASE_QUOTA] - ordinary) / p[COSTLY_CPU]
    start_costly_campaign(s, i, rate, p[COSTLY_CPU])


@jit
def landed(s: Numbers, p: Numbers, i: int) -> bool:
    """Requests are turned away, or wait too long."""
    return overwhelmed(s, p, i)


@jit
def end(s: Numbers, p: Numbers, i: int) -> None:
    """The customers are done."""
    end_campaign(s, i)


# The most is less than a crowd's. Each of these requests keeps the others waiting, and twice the quota has to be enough
# for the latency objective too.
FORM = Form(
    mode=FaultMode.OVERLOADED,
    place=1,
    order=12,
    begin=begin,
    landed=landed,
    end=end,
    severity=Severity(least=1.2, usual=1.35, most=1.45, unit="times the CPU quota"),
)
