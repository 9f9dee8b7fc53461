"""`bad_deploy/slow`: a faulty release needs many times the CPU time for each request."""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.rows import FAULT_SEVERITY, SLOWS, STATUS, UP
from mirr.env.simulator.physics.forms.form import Form, Severity
from mirr.env.simulator.physics.operations import deploy_faulty, overwhelmed, withdraw
from mirr.env.vocabulary import FaultMode


@jit
def begin(s: Numbers, p: Numbers, i: int) -> None:
    """The faulty release is deployed. Each of its starts adds as much work to a request as the first did."""
    deploy_faulty(s, p, i, SLOWS, s[FAULT_SEVERITY + i])


@jit
def landed(s: Numbers, p: Numbers, i: int) -> bool:
    """The release runs, and requests are turned away or wait too long."""
    return s[STATUS + i] == UP and overwhelmed(s, p, i)


@jit
def end(s: Numbers, p: Numbers, i: int) -> None:
    """The team rolls back, unless somebody has done so."""
    withdraw(s, p, i)


# Orders, the idlest service, uses a quarter of its quota. Even there, and with a quarter less traffic than usual, the
# least is more than twice the quota can do.
FORM = Form(
    mode=FaultMode.BAD_DEPLOY,
    place=1,
    order=32,
    begin=begin,
    landed=landed,
    end=end,
    severity=Severity(least=12.0, usual=14.0, most=18.0, unit="requests' work, added to each request by each start"),
)
