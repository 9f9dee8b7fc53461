"""`crashed/killed`: the process is ended and stays down."""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.rows import DOWN, STATUS
from mirr.env.simulator.physics.forms.form import Form
from mirr.env.simulator.physics.operations import boot, end_process
from mirr.env.vocabulary import FaultMode


@jit
def begin(s: Numbers, p: Numbers, i: int) -> None:
    """The kernel kills the process."""
    end_process(s, i)


@jit
def landed(s: Numbers, p: Numbers, i: int) -> bool:
    """Nothing runs any more."""
    return bool(s[STATUS + i] == DOWN)


@jit
def end(s: Numbers, p: Numbers, i: int) -> None:
    """A supervisor starts the process again, unless somebody has done so."""
    if s[STATUS + i] == DOWN:
        boot(s, p, i)


# A crash goes last: if the service is down, the other services' faults cannot be measured.
FORM = Form(mode=FaultMode.CRASHED, place=0, order=40, begin=begin, landed=landed, end=end)
