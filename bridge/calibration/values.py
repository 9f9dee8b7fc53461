"""Parameters by their names, as randomisation has them: `services.auth.request_cpu_s`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mirr.env.simulator.parameters import Parameters
from mirr.env.vocabulary import Journey, Service


def value_of(parameters: Parameters, name: str) -> float:
    """One value."""
    match name.split("."):
        case ["services", service, own]:
            return float(vars(parameters.services[Service(service)])[own])
        case ["journeys_per_s", journey]:
            return parameters.journeys_per_s[Journey(journey)]
        case _:
            return float(vars(parameters)[name])


def changed(parameters: Parameters, values: Mapping[str, float]) -> Parameters:
    """The parameters with other values. Raises ParameterError if the simulator cannot run with them."""
    shared: dict[str, float] = {}
    journeys = dict(parameters.journeys_per_s)
    services: dict[Service, dict[str, float]] = {service: {} for service in Service}
    for name, value in values.items():
        match name.split("."):
            case ["services", service, own]:
                services[Service(service)][own] = value
            case ["journeys_per_s", journey]:
                journeys[Journey(journey)] = value
            case _:
                shared[name] = value
    own_parameters = {service: replace(parameters.services[service], **own) for service, own in services.items()}
    return replace(parameters, services=own_parameters, journeys_per_s=journeys, **shared)


def own(name: str) -> dict[Service, str]:
    """The name of a parameter of each service."""
    return {service: f"services.{service}.{name}" for service in Service}
