"""The timeline of an episode in flat rows: which events there are, and letting them happen.

`mirr.env.scenario` has the timeline as objects, and `mirr.env.environment` lets it happen. This is the same in a form
that compiles. A fault has a number in its episode: the first that begins is 0. `s` is a lane's row and `p` its
parameters, `g` how the episode is played.
"""

from __future__ import annotations

from typing import Any

from mirr.env.scenario import DEPLOY_SETTLES_STEPS
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, constants, i64, jit
from mirr.env.simulator.fast.paces import advance
from mirr.env.simulator.fast.windows import observe
from mirr.env.simulator.physics import operations as ops
from mirr.env.simulator.physics.campaigns import start_burst
from mirr.env.simulator.physics.faults import FORMS, MODE_OF_FORM, begin, end, inject
from mirr.env.simulator.physics.traffic import change_traffic

_ORDERS = constants(form.order for form in FORMS)
_LAST_ORDER = max(form.order for form in FORMS)


@jit
def plan_fault(s: Numbers, form: int, i: int, severity: float) -> None:
    """Add a fault of that form on service `i` to the plan. An event lets it begin."""
    number = i64(s[k.FAULTS])
    s[k.FORM + number] = form
    s[k.SEVERITY + number] = severity
    s[k.MODE + number] = MODE_OF_FORM[form]
    s[k.SERVICE + number] = i
    s[k.FAULTS] += 1.0


@jit
def plan_event(s: Numbers, step: Any, kind: float, of: Any, first: float, last: float, seconds: float) -> None:
    """Add an event to the plan, after those that are there. No event that was added before comes in a later step."""
    at = k.EVENTS + i64(s[k.EVENTS_PLANNED]) * k.EVENT_SIZE
    s[at + k.EVENT_STEP] = step
    s[at + k.EVENT_KIND] = kind
    s[at + k.EVENT_OF] = of
    s[at + k.EVENT_FIRST] = first
    s[at + k.EVENT_LAST] = last
    s[at + k.EVENT_SECONDS] = seconds
    s[k.EVENTS_PLANNED] += 1.0


@jit
def open_timeline(s: Numbers, p: Numbers, w: Numbers, g: Numbers, key: Any) -> bool:
    """What happens before the first observation. Each fault has to land, else this returns False."""
    faults = start_timeline(s)
    if faults < i64(s[k.DUE_EVENT]):
        _surround(s, p, w, g, key)
    for _ in range(faults):
        fault = next_to_inject(s)
        if not inject(s, p, key, i64(s[k.FORM + fault]), i64(s[k.SERVICE + fault]), s[k.SEVERITY + fault]):
            return False
        s[k.CASE_BEGUN + fault] = 1.0
    return True


@jit
def start_timeline(s: Numbers) -> int:
    """Find the first event after those of step 0. Returns how many faults begin before it."""
    faults = 0
    s[k.DUE_EVENT] = -1.0
    find_next_due(s)
    while s[k.DUE_STEP] == 0.0:
        if s[k.EVENTS + i64(s[k.DUE_EVENT]) * k.EVENT_SIZE + k.EVENT_KIND] == k.BREAKS:
            faults += 1
        find_next_due(s)
    return faults


@jit
def _surround(s: Numbers, p: Numbers, w: Numbers, g: Numbers, key: Any) -> None:
    """The surroundings of step 0 happen. New processes get time to become warm."""
    deployed = False
    for event in range(i64(s[k.DUE_EVENT])):
        at = k.EVENTS + event * k.EVENT_SIZE
        if s[at + k.EVENT_KIND] >= k.DEPLOYS:
            deployed = deployed or s[at + k.EVENT_KIND] == k.DEPLOYS
            _let_happen(s, p, at)
    if deployed:
        advance(s, p, key, DEPLOY_SETTLES_STEPS * i64(g[k.TICKS_A_STEP]))
        observe(s, p, key, w)


@jit
def next_to_inject(s: Numbers) -> int:
    """The number of the fault of step 0 that is injected next; -1 if there is none left."""
    found, lowest = -1, _LAST_ORDER + 1.0
    for event in range(i64(s[k.DUE_EVENT])):
        at = k.EVENTS + event * k.EVENT_SIZE
        if s[at + k.EVENT_KIND] != k.BREAKS:
            continue
        fault = i64(s[at + k.EVENT_OF])
        order = _ORDERS[i64(s[k.FORM + fault])]
        if s[k.CASE_BEGUN + fault] == 0.0 and order < lowest:
            found, lowest = fault, order
    return int(found)


@jit
def find_next_due(s: Numbers) -> None:
    """Find the event after the one that was due."""
    s[k.DUE_EVENT] += 1.0
    at = k.EVENTS + i64(s[k.DUE_EVENT]) * k.EVENT_SIZE
    s[k.DUE_STEP] = s[at + k.EVENT_STEP] if s[k.DUE_EVENT] < s[k.EVENTS_PLANNED] else -1.0


@jit
def let_due_happen(s: Numbers, p: Numbers) -> None:
    """The events of the step that is being played happen to the services."""
    for event in range(i64(s[k.DUE_EVENT]), i64(s[k.EVENTS_PLANNED])):
        at = k.EVENTS + event * k.EVENT_SIZE
        if s[at + k.EVENT_STEP] != s[k.DUE_STEP]:
            break
        _let_happen(s, p, at)


@jit
def _let_happen(s: Numbers, p: Numbers, at: int) -> None:
    """The event at that place happens to the services."""
    kind, of = s[at + k.EVENT_KIND], i64(s[at + k.EVENT_OF])
    if kind == k.BREAKS:
        begin(s, p, i64(s[k.FORM + of]), i64(s[k.SERVICE + of]), s[k.SEVERITY + of])
    elif kind == k.ENDS:
        end(s, p, i64(s[k.FORM + of]), i64(s[k.SERVICE + of]))
    elif kind == k.DEPLOYS:
        ops.deploy(s, p, of, True, True)
    elif kind == k.TRAFFIC_CHANGES:
        change_traffic(s, p, s[at + k.EVENT_FIRST], s[at + k.EVENT_LAST], s[at + k.EVENT_SECONDS])
    else:
        assert kind == k.BURSTS_OUT
        start_burst(s, p, of, s[at + k.EVENT_FIRST], s[at + k.EVENT_SECONDS])
