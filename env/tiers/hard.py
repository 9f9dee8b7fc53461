"""`hard`: any form of any fault, among all that goes on in a shop, or nothing broken at all.

Each form is as likely as any other. Most forms look like another mode's, and so do most incidents here. Users come more
or less often than usual. Harmless releases went out before. A short burst comes to an innocent service. The fault may
begin later, and a second one may follow.
"""

from __future__ import annotations

from typing import Any

from mirr.env.dice import below, uniform
from mirr.env.forms import numbered_forms
from mirr.env.scenario import TRAFFIC, EpisodeConfig, Scheduled, checked_fault
from mirr.env.simulator.fast import dice
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, constants, i64, jit
from mirr.env.simulator.fast.timeline import plan_event, plan_fault
from mirr.env.simulator.physics.faults import MODE_OF_FORM
from mirr.env.tiers import easy, medium
from mirr.env.tiers.rules import Rules
from mirr.env.vocabulary import Breaks, Bursts, Deploys, Fault, Service, TrafficChanges

# The draws after those of `medium`. Each has a number of its own.
_NOTHING = medium.DRAW_OF_THE_SEVERITY + 1
_FIRST_LEVEL = _NOTHING + 1
_DRIFT = _NOTHING + 2
_ONSET = _NOTHING + 3
_DEPLOY = _NOTHING + 4  # one draw for each service
_LEAST_DEPLOY = _DEPLOY + len(Service)
_BURST = _LEAST_DEPLOY + 1
_BURST_SERVICE = _BURST + 1
_BURST_STEP = _BURST + 2
_BURST_STEPS = _BURST + 3
_BURST_LOAD = _BURST + 4
_SECOND = _BURST + 5
_SECOND_SERVICE = _SECOND + 1
_SECOND_FORM = _SECOND + 2
_SECOND_SEVERITY = _SECOND + 3
_SECOND_STEP = _SECOND + 4

NOTHING_BROKEN = 0.12
"""Share of the episodes in which nothing is broken."""
SECOND_FAULT = 0.12
"""Share of the other episodes in which a second fault follows."""
LATEST_ONSET = 6  # steps
DRIFT = 0.2
"""The most by which traffic changes, times the usual rate."""
DRIFT_S = 60.0
DEPLOYED = 0.35
"""Share of the services that run a harmless new release. At least one does, so every reset takes the same time."""
BURST = 0.4
"""Share of the episodes with a burst."""
BURST_STEPS = (1, 12)  # the first and the last step at which it can begin
BURST_LENGTHS_S = (6.0, 8.0, 10.0)
BURST_LOADS = (0.2, 0.3)  # of the CPU quota
SECOND_AFTER = (6, 12)  # steps between the two onsets


def _traffic(key: int) -> TrafficChanges:
    least, most = TRAFFIC
    first = least + uniform(key, _FIRST_LEVEL) * (most - least)
    drifted = first + (2.0 * uniform(key, _DRIFT) - 1.0) * DRIFT
    return TrafficChanges(first, min(most, max(least, drifted)), DRIFT_S)


def _deploys(key: int) -> list[Deploys]:
    services = tuple(Service)
    drawn = [Deploys(service) for i, service in enumerate(services) if uniform(key, _DEPLOY + i) < DEPLOYED]
    return drawn or [Deploys(services[below(key, _LEAST_DEPLOY, len(services))])]


_FORMS_OF = {
    service: tuple(number for number, form in enumerate(numbered_forms()) if service in form.services)
    for service in Service
}
"""The numbers of the forms in which each service can break."""


def _drawn_fault(key: int, service: Service, *, form: int, severity: int) -> Fault:
    """A fault of a service in any of its forms. `form` and `severity` are the numbers of the draws."""
    numbers = _FORMS_OF[service]
    return medium.severe(key, numbers[below(key, form, len(numbers))], service, severity, users_vary=True)


def _second(key: int, first: Fault, onset: int) -> Scheduled | None:
    """The fault that follows, on another service."""
    if uniform(key, _SECOND) >= SECOND_FAULT:
        return None
    others = [service for service in Service if service is not first.service]
    service = others[below(key, _SECOND_SERVICE, len(others))]
    fault = _drawn_fault(key, service, form=_SECOND_FORM, severity=_SECOND_SEVERITY)
    least, most = SECOND_AFTER
    return Scheduled(onset + least + below(key, _SECOND_STEP, most - least + 1), Breaks(fault))


def _burst(key: int, culprits: set[Service]) -> Scheduled | None:
    """A burst on a service with which nothing is wrong."""
    if uniform(key, _BURST) >= BURST:
        return None
    innocent = [service for service in Service if service not in culprits]
    first, last = BURST_STEPS
    least, most = BURST_LOADS
    return Scheduled(
        first + below(key, _BURST_STEP, last - first + 1),
        Bursts(
            innocent[below(key, _BURST_SERVICE, len(innocent))],
            least + uniform(key, _BURST_LOAD) * (most - least),
            BURST_LENGTHS_S[below(key, _BURST_STEPS, len(BURST_LENGTHS_S))],
        ),
    )


def timeline(key: int, fault: Fault | None) -> tuple[Scheduled, ...]:
    """The surroundings, and what breaks among them. A given fault is the only one, and it always comes."""
    onset = below(key, _ONSET, LATEST_ONSET + 1)
    broken: list[Scheduled] = []
    if fault is not None:
        broken = [Scheduled(onset, Breaks(checked_fault(fault)))]
    elif uniform(key, _NOTHING) >= NOTHING_BROKEN:
        service = easy.drawn_fault(key).service
        first = _drawn_fault(key, service, form=medium.DRAW_OF_THE_FORM, severity=medium.DRAW_OF_THE_SEVERITY)
        broken = [Scheduled(onset, Breaks(first))]
        if (second := _second(key, first, onset)) is not None:
            broken.append(second)
    culprits = {entry.event.fault.service for entry in broken if isinstance(entry.event, Breaks)}
    around = [Scheduled(0, _traffic(key)), *[Scheduled(0, deploy) for deploy in _deploys(key)]]
    if (burst := _burst(key, culprits)) is not None:
        around.append(burst)
    return tuple(sorted([*around, *broken], key=lambda entry: entry.step))


# The same in numbers, for compiled code.
_LEAST_LEVEL, _HIGHEST_LEVEL = TRAFFIC
_FIRST_BURST, _LAST_BURST = BURST_STEPS
_LEAST_LOAD, _MOST_LOAD = BURST_LOADS
_LEAST_AFTER, _MOST_AFTER = SECOND_AFTER
_LENGTHS_S = constants(BURST_LENGTHS_S)
_NO_STEP = -1
_MOST = max(len(numbers) for numbers in _FORMS_OF.values())
_COUNTS = constants(len(numbers) for numbers in _FORMS_OF.values())
_FORMS = constants(number for numbers in _FORMS_OF.values() for number in (*numbers, *[-1] * (_MOST - len(numbers))))


@jit
def _drawn_form(key: Any, i: int, number: int) -> int:
    """The form in which service `i` breaks. `number` is the draw's."""
    return int(i64(_FORMS[i * _MOST + dice.below(key, number, i64(_COUNTS[i]))]))


@jit
def choose(s: Numbers, key: Any, i: int) -> None:
    """Draw the surroundings, and what breaks among them. A given fault is the only one, and it always comes."""
    onset = dice.below(key, _ONSET, LATEST_ONSET + 1)
    second_step = _NO_STEP
    if s[k.GIVEN] == k.NOTHING_GIVEN:
        if dice.uniform(key, _NOTHING) < NOTHING_BROKEN:
            s[k.FAULTS] = 0.0
        else:
            form = _drawn_form(key, i, medium.DRAW_OF_THE_FORM)
            s[k.FORM] = form
            s[k.MODE] = MODE_OF_FORM[form]
            s[k.SEVERITY] = medium.drawn_severity(key, form, medium.DRAW_OF_THE_SEVERITY, True)
            if dice.uniform(key, _SECOND) < SECOND_FAULT:
                second_step = _plan_second(s, key, i, onset)
    _plan_steady(s, key)
    burst_step = _NO_STEP
    if dice.uniform(key, _BURST) < BURST:
        burst_step = _FIRST_BURST + dice.below(key, _BURST_STEP, _LAST_BURST - _FIRST_BURST + 1)
    if burst_step >= 0 and (s[k.FAULTS] == 0.0 or burst_step <= onset):
        _plan_burst(s, key, burst_step)
        burst_step = _NO_STEP
    if s[k.FAULTS] > 0.0:
        plan_event(s, float(onset), k.BREAKS, 0.0, 0.0, 0.0, 0.0)
    if burst_step >= 0 and (second_step < 0 or burst_step <= second_step):
        _plan_burst(s, key, burst_step)
        burst_step = _NO_STEP
    if second_step >= 0:
        plan_event(s, float(second_step), k.BREAKS, 1.0, 0.0, 0.0, 0.0)
    if burst_step >= 0:
        _plan_burst(s, key, burst_step)


@jit
def _plan_second(s: Numbers, key: Any, first: int, onset: int) -> int:
    """Add the second fault. Returns the step in which it begins."""
    i = dice.below(key, _SECOND_SERVICE, k.SERVICES - 1)
    i += i64(i >= first)
    form = _drawn_form(key, i, _SECOND_FORM)
    plan_fault(s, form, i, medium.drawn_severity(key, form, _SECOND_SEVERITY, True))
    return int(onset + _LEAST_AFTER + dice.below(key, _SECOND_STEP, _MOST_AFTER - _LEAST_AFTER + 1))


@jit
def _plan_steady(s: Numbers, key: Any) -> None:
    """Add traffic and deploys, which are there from the beginning."""
    first = _LEAST_LEVEL + dice.uniform(key, _FIRST_LEVEL) * (_HIGHEST_LEVEL - _LEAST_LEVEL)
    drifted = first + (2.0 * dice.uniform(key, _DRIFT) - 1.0) * DRIFT
    last = min(_HIGHEST_LEVEL, max(_LEAST_LEVEL, drifted))
    plan_event(s, 0.0, k.TRAFFIC_CHANGES, 0.0, first, last, DRIFT_S)
    deployed = False
    for i in range(k.SERVICES):
        if dice.uniform(key, _DEPLOY + i) < DEPLOYED:
            plan_event(s, 0.0, k.DEPLOYS, float(i), 0.0, 0.0, 0.0)
            deployed = True
    if not deployed:
        plan_event(s, 0.0, k.DEPLOYS, float(dice.below(key, _LEAST_DEPLOY, k.SERVICES)), 0.0, 0.0, 0.0)


@jit
def _plan_burst(s: Numbers, key: Any, step: int) -> None:
    """Add the burst, on a service with which nothing is wrong."""
    place = dice.below(key, _BURST_SERVICE, k.SERVICES - i64(s[k.FAULTS]))
    service = _NO_STEP
    for i in range(k.SERVICES):
        culprit = False
        for fault in range(i64(s[k.FAULTS])):
            culprit = culprit or s[k.SERVICE + fault] == i
        if not culprit:
            if place == 0:
                service = i
            place -= 1
    load = _LEAST_LOAD + dice.uniform(key, _BURST_LOAD) * (_MOST_LOAD - _LEAST_LOAD)
    seconds = _LENGTHS_S[dice.below(key, _BURST_STEPS, len(BURST_LENGTHS_S))]
    plan_event(s, float(step), k.BURSTS_OUT, float(service), load, 0.0, seconds)


RULES = Rules(
    says="any form and severity, among changing traffic, harmless deploys and bursts; the fault may come "
    "later, with a second one after it, or not at all",
    timeline=timeline,
    choose=choose,
    config=EpisodeConfig(none_diagnosis=True),
)
