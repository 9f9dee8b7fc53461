"""`overloaded/crowd`: a flash crowd offers more work than the quota can do."""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.rows import (
    BASE_QUOTA,
    CROWD_CPU,
    CROWD_RATE,
    FAULT_SEVERITY,
    NOW,
    REQUEST_CPU,
    USUAL_RATE,
)
from mirr.env.simulator.physics.campaigns import end_campaign, start_campaign
from mirr.env.simulator.physics.forms.form import Form, Severity
from mirr.env.simulator.physics.operations import overwhelmed
from mirr.env.simulator.physics.traffic import level_at
from mirr.env.vocabulary import FaultMode

USUAL = 1.45
"""The `overload_factor` of parameters.json."""


@jit
def begin(s: Numbers, p: Numbers, i: int) -> None:
    """The crowd arrives. The more users come, the fewer are missing for an overload."""
    more = (s[FAULT_SEVERITY + i] - USUAL) * p[BASE_QUOTA] / p[CROWD_CPU + i]
    by_users = (level_at(s, s[NOW]) - 1.0) * p[USUAL_RATE + i] * p[REQUEST_CPU + i] / p[CROWD_CPU + i]
    start_campaign(s, i, p[CROWD_RATE + i] + more - by_users, p[CROWD_CPU + i], 0.0)


@jit
def landed(s: Numbers, p: Numbers, i: int) -> bool:
    """Requests are turned away, or wait too long."""
    return overwhelmed(s, p, i)


@jit
def end(s: Numbers, p: Numbers, i: int) -> None:
    """The crowd goes home."""
    end_campaign(s, i)


# Twice the quota has to be enough for the crowd and all users. If more of them than usual come, less is left for it.
# A crowd goes first: its size is set by what services do in steady state, and every other fault changes that.
FORM = Form(
    mode=FaultMode.OVERLOADED,
    place=0,
    order=10,
    begin=begin,
    landed=landed,
    end=end,
    severity=Severity(least=1.15, usual=USUAL, most=1.9, unit="times the CPU quota", most_if_users_vary=1.7),
)
