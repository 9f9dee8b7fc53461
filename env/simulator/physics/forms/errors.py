"""`bad_deploy/errors`: a faulty release fails on the rows that its migration spoiled."""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.rows import ANSWERS, ERRORS, LANDED_ERRORS, NEXT, STATUS, UP
from mirr.env.simulator.physics.callgraph import settle
from mirr.env.simulator.physics.forms.form import Form
from mirr.env.simulator.physics.operations import deploy
from mirr.env.vocabulary import FaultMode


@jit
def begin(s: Numbers, p: Numbers, i: int) -> None:
    """The faulty release is deployed; its migration runs at every boot."""
    deploy(s, p, i, True, False)


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
    if s[NEXT + i] == 1.0:
        deploy(s, p, i, False, False)


FORM = Form(mode=FaultMode.BAD_DEPLOY, place=0, order=30, begin=begin, landed=landed, end=end)
