"""`bad_deploy/errors`: a faulty release fails on the rows that its migration spoiled."""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.rows import ANSWERS, ERRORS, FAULT_SEVERITY, LANDED_ERRORS, SPOILS, SPOILS_ROWS, STATUS, UP
from mirr.env.simulator.physics.callgraph import settle
from mirr.env.simulator.physics.forms.form import Form, Severity
from mirr.env.simulator.physics.operations import deploy_faulty, withdraw
from mirr.env.vocabulary import FaultMode

USUAL = 0.5
"""The `spoiled_at_boot` of parameters.json."""


@jit
def begin(s: Numbers, p: Numbers, i: int) -> None:
    """The faulty release is deployed; its migration runs at every boot."""
    deploy_faulty(s, p, i, SPOILS_ROWS, min(1.0, p[SPOILS] * (s[FAULT_SEVERITY + i] / USUAL)))


@jit
def landed(s: Numbers, p: Numbers, i: int) -> bool:
    """The release runs, and the service's error ratio is above its objective."""
    if s[STATUS + i] != UP:
        return False
    settle(s, p, False)
    return bool(s[ERRORS + i] > p[LANDED_ERRORS] * s[ANSWERS + i])


@jit
def end(s: Numbers, p: Numbers, i: int) -> None:
    """The team rolls back, unless somebody has done so."""
    withdraw(s, p, i)


FORM = Form(
    mode=FaultMode.BAD_DEPLOY,
    place=0,
    order=30,
    begin=begin,
    landed=landed,
    end=end,
    severity=Severity(least=0.25, usual=USUAL, most=0.75, unit="of the sound rows at each start"),
)
