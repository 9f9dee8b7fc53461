"""What a world of one episode calls: the operations and the pace of time, on arrays.

Each function makes rows of its arrays, and so shares its compiled code with a batch (pointers.py). `s` is a state and
`p` its parameters, `w` the row of what is shown, all as in `rows`; `i` is a service's number.
"""

from __future__ import annotations

from typing import Any

from mirr.env.simulator.fast import paces, windows
from mirr.env.simulator.fast.compiled import Numbers, jit
from mirr.env.simulator.fast.pointers import fixed, shown, state
from mirr.env.simulator.physics import campaigns, faults, traffic
from mirr.env.simulator.physics import operations as ops


@jit
def find_steady(s: Numbers, p: Numbers) -> None:
    """Work out the state in which every episode begins. It reads nothing of `p` from STEADY on."""
    ops.find_steady(state(s), fixed(p))


@jit
def steady(s: Numbers, p: Numbers) -> None:
    """Set the state in which every episode begins."""
    ops.steady(state(s), fixed(p))


@jit
def inject(s: Numbers, p: Numbers, key: Any, form: int, i: int, severity: float) -> bool:
    """Inject a fault, and wait until it has landed. Returns whether it has."""
    return faults.inject(state(s), fixed(p), key, form, i, severity)


@jit
def begin(s: Numbers, p: Numbers, form: int, i: int, severity: float) -> None:
    """Let a fault begin."""
    faults.begin(state(s), fixed(p), form, i, severity)


@jit
def end(s: Numbers, p: Numbers, form: int, i: int) -> None:
    """Let a fault end by itself."""
    faults.end(state(s), fixed(p), form, i)


@jit
def deploy_next(s: Numbers, p: Numbers, i: int) -> None:
    """Deploy the next release without a fault."""
    ops.deploy(state(s), fixed(p), i, True, True)


@jit
def change_traffic(s: Numbers, p: Numbers, first: float, last: float, over_s: float) -> None:
    """Let users come more or less often from now on."""
    traffic.change_traffic(state(s), fixed(p), first, last, over_s)


@jit
def start_burst(s: Numbers, p: Numbers, i: int, load: float, for_s: float) -> None:
    """Start a burst that harms nobody."""
    campaigns.start_burst(state(s), fixed(p), i, load, for_s)


@jit
def restart(s: Numbers, p: Numbers, i: int) -> None:
    """Start a new process of the current release."""
    ops.boot(state(s), fixed(p), i)


@jit
def roll_back(s: Numbers, p: Numbers, i: int) -> int:
    """Go back to the release before the current one; returns the result."""
    return ops.roll_back(state(s), fixed(p), i)


@jit
def scale_up(s: Numbers, p: Numbers, i: int) -> int:
    """Give service `i` its larger quota; returns the result."""
    return ops.scale_up(state(s), fixed(p), i)


@jit
def read_log(s: Numbers, i: int, into: Numbers) -> None:
    """Write the numbers behind the lines in the log of service `i` into a row of their own."""
    ops.read_log(state(s), i, shown(into), 0)


@jit
def advance(s: Numbers, p: Numbers, key: Any, ticks: int) -> None:
    """Let so many ticks pass."""
    paces.advance(state(s), fixed(p), key, ticks)


@jit
def take_back(s: Numbers, p: Numbers, key: Any) -> None:
    """Play the current window again, tick by tick."""
    paces.take_back(state(s), fixed(p), key)


@jit
def observe(s: Numbers, p: Numbers, key: Any, w: Numbers) -> None:
    """Write what the current window shows, and begin the next window."""
    windows.observe(state(s), fixed(p), key, shown(w))
