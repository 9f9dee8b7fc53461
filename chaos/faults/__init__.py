"""The forms of the faults as things done to containers: one module a form, each with its `FORM`.

Nothing lists the modules. They are found by looking into this folder. `killed.py` is the smallest, so read it first.
`mirr.env.simulator.physics.forms` has the same forms as physics. A test checks that both folders have the same forms.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from mirr.chaos.errors import ChaosError
from mirr.chaos.form import ContainerForm, Texts
from mirr.env.forms import all_forms as all_simulated_forms
from mirr.env.forms import form_name, parse_form, severity_of
from mirr.env.vocabulary import Fault, FaultMode, Service, parse_mode


@cache
def all_forms() -> dict[str, ContainerForm]:
    """Every form for containers, by the name of its module."""
    return {name: _form(name) for _, name, _ in pkgutil.iter_modules(__path__)}


def _form(name: str) -> ContainerForm:
    found = vars(import_module(f"mirr.chaos.faults.{name}")).get("FORM")
    if not isinstance(found, ContainerForm):
        raise TypeError(f"{__name__}.{name} has no FORM that is a ContainerForm; see CONTRIBUTING.md")
    return found


def form_of(fault: Fault) -> ContainerForm:
    """The form in which `fault` breaks a container. Raises ChaosError if chaos has no such form."""
    name = form_name(fault.mode, fault.form)
    form = all_forms().get(name)
    if form is None or form.mode is not fault.mode:
        raise ChaosError(f"{fault.mode} has no form {name} in chaos/faults; next: see CONTRIBUTING.md, Add a fault")
    return form


def texts_of(fault: Fault, service: str | None = None) -> Texts:
    """What people read about a fault. `service` is what they call the service, if not by its name."""
    return form_of(fault).texts.about(service or fault.service, severity_on_containers(fault))


def severity_on_containers(fault: Fault) -> float:
    """How severe a fault is on a lab, in the unit of its form: of what the form can be there, what is nearest to the
    fault's own severity. It is 0 if the form has no severity. Raises ChaosError as `form_of` does."""
    severity, possible = severity_of(fault), form_of(fault).severities
    return min(possible, key=lambda one: abs(one - severity)) if possible else severity


def parse_kind(text: str) -> tuple[FaultMode, str | None]:
    """`MODE` or `MODE/FORM` as a mode and its form. Without a form it is None, which stands for every form.

    Raises UnknownName."""
    mode_name, slash, form = text.partition("/")
    mode = parse_mode(mode_name)
    return mode, parse_form(mode, form) if slash else None


def faults(mode: FaultMode | None = None, form: str | None = None, service: Service | None = None) -> tuple[Fault, ...]:
    """Every fault of that mode, form and service. None stands for all of them; some services lack some forms."""
    return tuple(
        Fault(one_mode, one_service, one_form)
        for one_mode in (FaultMode if mode is None else (mode,))
        for one_form in (_forms_of(one_mode) if form is None else (form,))
        for one_service in (Service if service is None else (service,))
        if one_service in all_simulated_forms()[one_mode][form_name(one_mode, one_form)].services
    )


def _forms_of(mode: FaultMode) -> list[str]:
    """The forms of a mode as `Fault.form` names them: the first one's name is empty."""
    return [parse_form(mode, name) for name in all_simulated_forms()[mode]]


def campaign_kinds() -> list[str]:
    """Every kind of campaign that a form lets the load generator send."""
    return sorted({form.sends for form in all_forms().values() if form.sends is not None})
