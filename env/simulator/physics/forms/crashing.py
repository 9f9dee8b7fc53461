"""`bad_deploy/crashing`: the process of a faulty release dies of its own error after some requests, and stays down."""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.rows import DIED_TICK, DIES, FAULT_SEVERITY, STATUS, UP, USUAL_RATE
from mirr.env.simulator.physics.forms.form import Form, Severity
from mirr.env.simulator.physics.operations import deploy_faulty, withdraw
from mirr.env.vocabulary import FaultMode


@jit
def begin(s: Numbers, p: Numbers, i: int) -> None:
    """The faulty release is deployed. Each of its processes takes half as many requests as the last."""
    deploy_faulty(s, p, i, DIES, s[FAULT_SEVERITY + i] * p[USUAL_RATE + i])


@jit
def landed(s: Numbers, p: Numbers, i: int) -> bool:
    """The process has died once."""
    return bool(s[DIED_TICK + i] > 0.0 and s[STATUS + i] != UP)


@jit
def end(s: Numbers, p: Numbers, i: int) -> None:
    """The team rolls back, unless somebody has done so."""
    withdraw(s, p, i)


# The least is the worst: a process that dies sooner. The most still lands before the first window opens on a lab, so
# the time until then says nothing about the fault.
FORM = Form(
    mode=FaultMode.BAD_DEPLOY,
    place=3,
    order=34,
    begin=begin,
    landed=landed,
    end=end,
    severity=Severity(least=2.0, usual=3.0, most=4.0, unit="seconds of the usual traffic until it first dies"),
)
