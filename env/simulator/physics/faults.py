"""Lets faults begin, land and end. The number of a fault is the number of its form.

The functions of the forms are in `forms/`. Only this module puts them together.
"""

from __future__ import annotations

from typing import Any

from mirr.env.forms import numbered_forms
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, chosen, constants, jit
from mirr.env.simulator.physics.operations import forget_window
from mirr.env.simulator.physics.service import tick
from mirr.env.vocabulary import FaultMode

FORMS = numbered_forms()

USUAL_SEVERITY = constants(0.0 if form.severity is None else form.severity.usual for form in FORMS)
"""How severe a fault of each form is if nothing is said. 0 if the form has no severity."""

MODE_OF_FORM = constants(list(FaultMode).index(form.mode) for form in FORMS)
"""The number of each form's mode."""

_begin = chosen([form.begin for form in FORMS])

_landed = chosen([form.landed for form in FORMS])

_end = chosen([form.end for form in FORMS])


@jit
def begin(s: Numbers, p: Numbers, form: int, i: int, severity: float) -> None:
    """A fault of that form begins on service `i`. It may take a while to show."""
    s[k.FAULT_SEVERITY + i] = severity
    _begin(form, s, p, i)


@jit
def inject(s: Numbers, p: Numbers, key: Any, form: int, i: int, severity: float) -> bool:
    """Begin a fault on service `i`, and let time pass until it has landed. Then the next window begins.

    Returns False if the fault does not land in time. `key` is the key of the world's draws.
    """
    s[k.MEMORY_BEFORE] = s[k.MEMORY + i]
    begin(s, p, form, i, severity)
    while not _landed(form, s, p, i):
        if s[k.NOW] > p[k.PATIENCE]:
            return False
        tick(s, p, key)
    forget_window(s)
    s[k.PACE] = k.UNKNOWN
    return True


@jit
def end(s: Numbers, p: Numbers, form: int, i: int) -> None:
    """A fault of that form ends by itself on service `i`."""
    _end(form, s, p, i)
