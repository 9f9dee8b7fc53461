"""Every form of a fault on every service, as severe as it can be and as little as it can be."""

from __future__ import annotations

from mirr.env.forms import all_forms, parse_form
from mirr.env.vocabulary import Fault, FaultMode


def severities_of(mode: FaultMode, name: str) -> tuple[float | None, ...]:
    """The least, the usual and the greatest severity of a form, as `Fault.severity` has them."""
    severity = all_forms()[mode][name].severity
    return (None,) if severity is None else (severity.least, None, severity.most)


def every_fault() -> list[Fault]:
    """Each form on each service that can have it, in each of these severities."""
    return [
        Fault(mode, service, parse_form(mode, name), severity)
        for mode, forms in all_forms().items()
        for name, form in forms.items()
        for service in form.services
        for severity in severities_of(mode, name)
    ]
