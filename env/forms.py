"""The forms of each fault mode. Each form is one module. There is no list of them: this module looks for them.

An agent names the mode and the service. The form is how the fault happens, and no agent has to name it.
"""

from __future__ import annotations

import pkgutil
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


def parse_severity(mode: FaultMode, form: str, text: str) -> float:
    """The severity that `text` writes. `form` is as in `Fault.form`. Raises BadSeverity."""
    try:
        severity = float(text)
    except ValueError:
        return checked_severity(mode, form, text)
    return checked_severity(mode, form, severity)


def checked_severity(mode: FaultMode, form: str, severity: object) -> float:
    """`severity`, if a fault of that form can be so severe. `form` is as in `Fault.form`. Raises BadSeverity."""
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
            f"the severity of {mode}/{name} is {can.least:g} to {can.most:g} {can.unit}; got {severity!r}"
        )
    return number


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


def fault_of(number: int, service: Service) -> Fault:
    """The fault on a service whose form has that number."""
    mode, name = _numbered()[number]
    return Fault(mode, service, parse_form(mode, name))


def injection_order(fault: Fault) -> int:
    """The place of a fault among faults that begin together. The fault with the lowest place is injected first."""
    return numbered_forms()[form_number(fault)].order
