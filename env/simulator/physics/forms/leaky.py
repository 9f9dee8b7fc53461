"""`bad_deploy/leaky`: a faulty release keeps something of every request, until the OOM killer ends the process."""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.rows import (
    FAULT_SEVERITY,
    KEEPS_MEMORY,
    LEAKY_LANDED_MB,
    MEMORY,
    MEMORY_BEFORE,
    MEMORY_LIMIT,
    USUAL_RATE,
)
from mirr.env.simulator.physics.forms.form import Form, Severity
from mirr.env.simulator.physics.operations import deploy_faulty, withdraw
from mirr.env.vocabulary import FaultMode

USUAL = 0.04


@jit
def begin(s: Numbers, p: Numbers, i: int) -> None:
    """The faulty release is deployed. Each of its starts begins with more memory than the last."""
    deploy_faulty(s, p, i, KEEPS_MEMORY, s[FAULT_SEVERITY + i] * p[MEMORY_LIMIT] / p[USUAL_RATE + i])


@jit
def landed(s: Numbers, p: Numbers, i: int) -> bool:
    """Memory has climbed since before the deploy."""
    return bool(s[MEMORY + i] >= s[MEMORY_BEFORE] + p[LEAKY_LANDED_MB] * s[FAULT_SEVERITY + i])


@jit
def end(s: Numbers, p: Numbers, i: int) -> None:
    """The team rolls back, unless somebody has done so."""
    withdraw(s, p, i)


FORM = Form(
    mode=FaultMode.BAD_DEPLOY,
    place=2,
    order=33,
    begin=begin,
    landed=landed,
    end=end,
    severity=Severity(least=0.015, usual=USUAL, most=0.05, unit="of the memory limit a second, at the usual traffic"),
)
