"""`medium`: the same faults, in any of their forms, and as severe as the form can be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mirr.env.dice import below, uniform
from mirr.env.forms import fault_of, form_numbers, numbered_forms
from mirr.env.scenario import DRAW_OF_THE_FAULT, Scheduled, checked_fault
from mirr.env.simulator.fast import dice
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, constants, i64, jit
from mirr.env.simulator.fast.timeline import plan_event
from mirr.env.tiers import easy
from mirr.env.tiers.rules import Rules
from mirr.env.vocabulary import ALL_FAULTS, Breaks, Fault, Service

DRAW_OF_THE_FORM = DRAW_OF_THE_FAULT + 1
DRAW_OF_THE_SEVERITY = DRAW_OF_THE_FAULT + 2

_NUMBERS = {fault: form_numbers(fault.mode, fault.service) for fault in ALL_FAULTS}
"""The numbers of the forms in which each fault can come."""


def severe(key: int, form: int, service: Service, draw: int, *, users_vary: bool = False) -> Fault:
    """The fault on a service whose form has that number, with a drawn severity. `draw` is the number of that draw."""
    fault, can = fault_of(form, service), numbered_forms()[form].severity
    if can is None:
        return fault
    return replace(fault, severity=can.drawn(uniform(key, draw), users_vary=users_vary))


def drawn_fault(key: int) -> Fault:
    """The fault of the stream with that key: each form with equal probability, each severity too."""
    base = easy.drawn_fault(key)
    numbers = _NUMBERS[base]
    return severe(key, numbers[below(key, DRAW_OF_THE_FORM, len(numbers))], base.service, DRAW_OF_THE_SEVERITY)


def timeline(key: int, fault: Fault | None) -> tuple[Scheduled, ...]:
    """One fault, from the beginning."""
    return (Scheduled(0, Breaks(drawn_fault(key) if fault is None else checked_fault(fault))),)


# The same in numbers, for compiled code. A cell is a fault of the base task: mode by mode, service by service. A span
# is how far severities go above the least one.
_MOST = max(len(numbers) for numbers in _NUMBERS.values())
_COUNTS = constants(len(numbers) for numbers in _NUMBERS.values())
_FORMS = constants(number for numbers in _NUMBERS.values() for number in (*numbers, *[-1] * (_MOST - len(numbers))))
_LEAST = constants(0.0 if form.severity is None else form.severity.least for form in numbered_forms())
_SPAN = constants(0.0 if form.severity is None else form.severity.span() for form in numbered_forms())
_SPAN_IF_USERS_VARY = constants(
    0.0 if form.severity is None else form.severity.span(users_vary=True) for form in numbered_forms()
)


@jit
def drawn_form(key: Any, mode: int, i: int, number: int) -> int:
    """The form of a fault of that mode on service `i`. `number` is the draw's."""
    cell = mode * k.SERVICES + i
    return int(i64(_FORMS[cell * _MOST + dice.below(key, number, i64(_COUNTS[cell]))]))


@jit
def drawn_severity(key: Any, form: int, number: int, users_vary: bool) -> float:
    """The severity of a fault of that form. `number` is the draw's."""
    span = _SPAN_IF_USERS_VARY[form] if users_vary else _SPAN[form]
    return float(_LEAST[form] + dice.uniform(key, number) * span)


@jit
def choose(s: Numbers, key: Any, i: int) -> None:
    """Draw the form and the severity of a fault that is not given. It is there from the beginning."""
    if s[k.GIVEN] == k.NOTHING_GIVEN:
        form = drawn_form(key, i64(s[k.MODE]), i, DRAW_OF_THE_FORM)
        s[k.FORM] = form
        s[k.SEVERITY] = drawn_severity(key, form, DRAW_OF_THE_SEVERITY, False)
    plan_event(s, 0.0, k.BREAKS, 0.0, 0.0, 0.0, 0.0)


RULES = Rules(says="the same faults, in any of their forms, and any severity", timeline=timeline, choose=choose)
