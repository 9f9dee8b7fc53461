"""`memory_leak/leak`: a client leaves memory behind with each request, until the OOM killer ends the process."""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.rows import (
    FAULT_SEVERITY,
    LEAK_CPU,
    LEAK_LANDED_MB,
    LEAK_MB,
    LEAK_RATE,
    MEMORY,
    MEMORY_BEFORE,
)
from mirr.env.simulator.physics.campaigns import end_campaign, start_campaign
from mirr.env.simulator.physics.forms.form import Form, Severity
from mirr.env.simulator.physics.operations import boot
from mirr.env.vocabulary import FaultMode

USUAL = 0.04
"""The `leak_rate` of parameters.json brings about this much."""


@jit
def begin(s: Numbers, p: Numbers, i: int) -> None:
    """The client begins to send a new key with each request."""
    start_campaign(s, i, p[LEAK_RATE] * (s[FAULT_SEVERITY + i] / USUAL), p[LEAK_CPU], p[LEAK_MB])


@jit
def landed(s: Numbers, p: Numbers, i: int) -> bool:
    """Memory has risen by more than chance explains. A slow leak does not have to rise as far as a fast one."""
    return bool(s[MEMORY + i] >= s[MEMORY_BEFORE] + p[LEAK_LANDED_MB] * (s[FAULT_SEVERITY + i] / USUAL))


@jit
def end(s: Numbers, p: Numbers, i: int) -> None:
    """The client stops, and a supervisor restarts the service. Without the restart, the memory would stay full."""
    end_campaign(s, i)
    boot(s, p, i)


FORM = Form(
    mode=FaultMode.MEMORY_LEAK,
    place=0,
    order=20,
    begin=begin,
    landed=landed,
    end=end,
    severity=Severity(least=0.015, usual=USUAL, most=0.05, unit="of the memory limit a second"),
)
