"""`crashed/hung`: the process is stopped. It accepts calls and never answers."""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.rows import HUNG, STATUS
from mirr.env.simulator.physics.forms.form import Form
from mirr.env.simulator.physics.operations import go_on, hang
from mirr.env.vocabulary import FaultMode


@jit
def begin(s: Numbers, p: Numbers, i: int) -> None:
    """SIGSTOP stops the process."""
    hang(s, i)


@jit
def landed(s: Numbers, p: Numbers, i: int) -> bool:
    """The process is there, but it does nothing."""
    return bool(s[STATUS + i] == HUNG)


@jit
def end(s: Numbers, p: Numbers, i: int) -> None:
    """SIGCONT lets the process go on, unless somebody has started a new one."""
    go_on(s, i)


# It goes late, as a crash does: while the service does not answer, the other services' faults cannot be measured.
FORM = Form(mode=FaultMode.CRASHED, place=1, order=42, begin=begin, landed=landed, end=end)
