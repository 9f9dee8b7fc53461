"""The forms of each fault mode. Each form is one module. There is no list of them: this module looks for them.

An agent names the mode and the service. The form is how the fault happens, and no agent has to name it.
"""

from __future__ import annotations

import pkgutil
from contextlib import suppress
from functools import cache
from importlib import import_module

from mirr.env.checks import NotReal, real_number
from mirr.env.quoting import quoted
from mirr.env.simulator.physics import forms
from mirr.env.simulator.physics.forms.form import Form
from mirr.env.vocabulary import BadSeverity, Fault, FaultMode, Service, UnknownName


@cache
def all_forms() -> dict[FaultMode, dict[str, Form]]:
    """Every form by its name, for each mode. A mode's first form is the one that the base task plays."""
    named = [(name, _form(name)) for _, name, _ in pkgutil.iter_modules(forms.__path__) if name != "form"]
    named.sort(key=lambda each: each[1].place)
    return {mode: {name: form for name, form in named if form.mode is mode} for mode in FaultMode}


def _form(name: str) -> Form:
    found = vars(import_module(f"mirr.env.simulator.physics.forms.{name}")).get("FORM")
    if not isinstance(found, Form):
        raise TypeError(f"{forms.__name__}.{name} has no FORM that is a Form; see CONTRIBUTING.md")
    return found


def parse_form(mode: FaultMode, name: str) -> str:
    """The form of that name, as `Fault.form` names it: the mode's first form has an empty name. Raises UnknownName."""
    known = list(all_forms()[mode])
    if name not in known:
        raise UnknownName(f"unknown form {quoted(name)} of {mode}; one of: {', '.join(known)}")
    return "" if name == known[0] else name


def checked_service(mode: FaultMode, form: str, service: Service) -> Service:
    """`service`, if it can break in that form. `form` is as in `Fault.form`. Raises UnknownName."""
    name = form_name(mode, form)
    can = all_forms()[mode][name].services
    if service not in can:
        raise UnknownName(f"{service} has no {mode}/{name}; services that have it: {', '.join(can)}")
    return service


def parse_severity(mode: FaultMode, form: str, text: str) -> float | None:
    """The severity that `text` writes, as `Fault.severity` has it. `form` is as in `Fault.form`. Raises BadSeverity."""
    severity: object = text
    with suppress(ValueError):
        severity = float(text)
    return checked_severity(mode, form, severity)


def checked_severity(mode: FaultMode, form: str, severity: object) -> float | None:
    """`severity`, if a fault of that form can be so severe: None if it is the usual one. `form` is as in `Fault.form`.

    Raises BadSeverity.
    """
    name = form_name(mode, form)
    can = all_forms()[mode][name].severity
    if can is None:
        raise BadSeverity(f"{mode}/{name} has no severity; got {quoted(severity)}")
    try:
        number = real_number(severity)
    except NotReal:
        number = float("nan")
    if not can.least <= number <= can.most:
        raise BadSeverity(
            f"the severity of {mode}/{name} is {can.least:g} to {can.most:g} {can.unit}; got {quoted(severity)}"
        )
    return None if number == can.usual else number


def severity_of(fault: Fault) -> float:
    """How severe a fault is, in the unit of its form. It is 0 if the form has no severity."""
    if fault.severity is not None:
        return fault.severity
    form = all_forms()[fault.mode][form_name(fault.mode, fault.form)]
    return 0.0 if form.severity is None else form.severity.usual


def form_name(mode: FaultMode, form: str) -> str:
    """The name of a form. If `form` is empty, it is the name of the mode's first form."""
    return form or next(iter(all_forms()[mode]))


@cache
def _numbered() -> tuple[tuple[FaultMode, str], ...]:
    """Mode and name of every form, in the order of their numbers: the first of each mode, then the others."""
    named = [(place, mode, name) for mode, own in all_forms().items() for place, name in enumerate(own)]
    first = [(mode, name) for place, mode, name in named if place == 0]
    if len(first) != len(FaultMode):
        raise TypeError(f"{forms.__name__}: every fault mode needs a form; see CONTRIBUTING.md")
    return (*first, *[(mode, name) for place, mode, name in named if place > 0])


def numbered_forms() -> tuple[Form, ...]:
    """Every form in the order of its number. The base task's forms come first, numbered as their modes are."""
    return tuple(all_forms()[mode][name] for mode, name in _numbered())


def form_number(fault: Fault) -> int:
    """The number of a fault's form. Raises UnknownName."""
    named = (fault.mode, form_name(fault.mode, fault.form))
    if named not in _numbered():
        parse_form(fault.mode, fault.form)
    return _numbered().index(named)


def form_numbers(mode: FaultMode, service: Service) -> tuple[int, ...]:
    """The numbers of the forms in which that mode can come on that service, in the order of their places."""
    return tuple(
        _numbered().index((mode, name)) for name, form in all_forms()[mode].items() if service in form.services
    )


def fault_of(number: int, service: Service, severity: float | None = None) -> Fault:
    """The fault on a service whose form has that number. `severity` is as `severity_of` has it; None: the usual one."""
    mode, name = _numbered()[number]
    usual = all_forms()[mode][name].severity
    said = severity is not None and usual is not None and severity != usual.usual
    return Fault(mode, service, parse_form(mode, name), severity if said else None)


def injection_order(fault: Fault) -> int:
    """The place of a fault among faults that begin together. The fault with the lowest place is injected first."""
    return numbered_forms()[form_number(fault)].order
