"""The faults that an audit plays."""

from __future__ import annotations

from mirr.env.forms import fault_of, form_numbers
from mirr.env.vocabulary import Fault, FaultMode, Service

EVERY_FAULT: tuple[Fault, ...] = tuple(
    fault_of(number, service) for mode in FaultMode for service in Service for number in form_numbers(mode, service)
)
"""Every form on every service."""


def in_turn(services_a_mode: int) -> tuple[Fault, ...]:
    """Every form once, and each mode at least `services_a_mode` times. Each mode takes the next services in turn, so
    that every service is played in some mode, and its forms in turn."""
    services = list(Service)
    chosen = []
    for row, mode in enumerate(FaultMode):
        forms = {service: form_numbers(mode, service) for service in services}
        for place in range(max(services_a_mode, *map(len, forms.values()))):
            service = services[(2 * row + place) % len(services)]
            chosen.append(fault_of(forms[service][place % len(forms[service])], service))
    return tuple(chosen)
