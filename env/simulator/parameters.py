"""The simulator's parameters, read from one file: every number that is meant to match the lab."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, assert_never, get_type_hints

from mirr.env.checks import each_name_once
from mirr.env.quoting import quoted
from mirr.env.vocabulary import Journey, Service

PARAMETERS_FILE = Path(__file__).with_name("parameters.json")

MOST_USERS_A_TICK = 40.0  # on average, of one journey; the tables for drawing users hold no more


class ParameterError(ValueError):
    """Parameters that the simulator cannot run with. The message names the parameter."""


@dataclass(frozen=True, kw_only=True)
class ServiceParameters:
    """The parameters of one service."""

    request_cpu_s: float  # CPU time of an ordinary request, mean
    request_cpu_cv: float  # standard deviation of that / its mean
    check_out_cpu_ratio: float  # CPU time of a check-out's request / that of the service's mean request
    latency_p50_s: float  # median of its own part of an answer, unloaded; without waiting for upstreams
    base_memory_mb: float  # resident in steady state
    surge_request_cpu_s: float  # CPU time of a request of the flash crowd
    boot_cpu_ratio: float  # CPU time of its boot / boot_cpu_s

    def __post_init__(self) -> None:
        """Raises ParameterError unless every number is positive."""
        for each in fields(self):
            _positive(each.name, vars(self)[each.name])


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters that all services share, and those of each service."""

    tick_s: float
    cpu_quota_cores: float
    scale_up_factor: float
    memory_limit_mb: float
    killed_at_memory_share: float  # what a process shows when its container is full; it counts pages of others, too
    in_flight_limit: float
    shed_cpu_s: float  # CPU time of a 503
    start_s: float  # seconds of a boot that need no CPU, mean: the container is started, files are read
    start_scatter_s: float  # their standard deviation
    boot_cpu_s: float  # CPU time of a boot, mean of the services
    young_memory_ratio: float  # resident memory after a boot / that in steady state
    idle_cpu_cores: float  # scrapes and housekeeping
    scrape_interval_s: float  # of Prometheus
    latency_sigma: float  # of the lognormal latency of an unloaded service
    gateway_timeout_s: float  # towards each of its upstreams
    orders_timeout_s: float
    timeout_spread: float  # latencies of one moment spread over 1 - spread .. 1 + spread
    retry_delay_s: float
    leak_requests_per_s: float
    leak_body_mb: float
    leak_request_cpu_s: float
    leak_landed_share: float  # rise of the memory share at which the leak counts as injected
    overload_factor: float  # offered load of a flash crowd, ordinary traffic included / CPU quota
    spoiled_at_boot: float  # share of the rows not yet spoiled that a boot of a faulty release usually spoils
    costly_request_cpu_s: float  # CPU time of a request that costs much more than the others, in every service
    leaky_landed_s: float  # a leaky release has landed when it keeps memory of so many seconds of the usual requests
    leaky_carried_s: float  # each boot of a leaky release begins with what it kept of so many more seconds of requests
    journeys_per_s: dict[Journey, float]
    services: dict[Service, ServiceParameters]

    def __post_init__(self) -> None:
        """Raises ParameterError unless the simulator can run with these numbers."""
        for name, kind in get_type_hints(Parameters).items():
            if kind is float:
                _positive(name, vars(self)[name])
        _same_names("journeys_per_s", self.journeys_per_s, list(Journey))
        _same_names("services", self.services, list(Service))
        for journey, rate in self.journeys_per_s.items():
            if _positive(f"journeys_per_s.{journey}", rate) * self.tick_s > MOST_USERS_A_TICK:
                raise ParameterError(
                    f"journeys_per_s.{journey}: at most {MOST_USERS_A_TICK:g} users a tick can be drawn"
                )
        for service in Service:
            check_outs = self.journeys_per_s[Journey.CHECK_OUT] / self.request_rate(service)
            if check_outs < 1.0 and self.services[service].check_out_cpu_ratio * check_outs > 1.0:
                raise ParameterError(
                    f"services.{service}.check_out_cpu_ratio must be at most {1.0 / check_outs:.3g}: then other "
                    "requests cost nothing"
                )
            if self.surge_rate(service) <= 0:
                raise ParameterError(f"services.{service}: ordinary traffic alone is beyond overload_factor")

    def request_rate(self, service: Service) -> float:
        """Ordinary requests per second that reach `service` in steady state."""
        rates = self.journeys_per_s
        browse, sign_in, check_out = rates[Journey.BROWSE], rates[Journey.SIGN_IN], rates[Journey.CHECK_OUT]
        match service:
            case Service.GATEWAY:
                return browse + sign_in + check_out
            case Service.AUTH:
                return sign_in + check_out
            case Service.INVENTORY:
                return browse + check_out
            case Service.ORDERS | Service.PAYMENTS:
                return check_out
            case _:
                assert_never(service)

    def boot_s(self, service: Service) -> float:
        """Seconds from the start of a process to its first answer, at the steady quota."""
        return self.start_s + self.services[service].boot_cpu_ratio * self.boot_cpu_s / self.cpu_quota_cores

    def surge_rate(self, service: Service) -> float:
        """Requests per second of a flash crowd on `service`: they lift the offered load to the overload factor."""
        own = self.services[service]
        steady_cores = self.request_rate(service) * own.request_cpu_s
        return (self.overload_factor * self.cpu_quota_cores - steady_cores) / own.surge_request_cpu_s


def load_parameters(path: Path = PARAMETERS_FILE) -> Parameters:
    """The parameters in `path`. Raises ParameterError."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=each_name_once)
    except RecursionError:
        raise ParameterError(f"cannot read the simulator's parameters {path}: nested too deeply") from None
    except (OSError, ValueError) as error:  # not JSON, a name twice, or a number with thousands of digits
        raise ParameterError(f"cannot read the simulator's parameters {path}: {error}") from error
    return parse_parameters(raw)


def parse_parameters(raw: dict[str, Any]) -> Parameters:
    """Parameters from JSON. Raises ParameterError unless every number is there, finite and positive, and no other."""
    _same_names("parameters", raw, [field.name for field in fields(Parameters)])
    scalars = {name: _positive(name, raw[name]) for name, kind in get_type_hints(Parameters).items() if kind is float}
    _same_names("journeys_per_s", raw["journeys_per_s"], list(Journey))
    _same_names("services", raw["services"], list(Service))
    journeys = {name: _positive(f"journeys_per_s.{name}", raw["journeys_per_s"][name]) for name in Journey}
    return Parameters(
        **scalars,
        journeys_per_s=journeys,
        services={name: _service(f"services.{name}", raw["services"][name]) for name in Service},
    )


def _service(where: str, raw: dict[str, Any]) -> ServiceParameters:
    names = [field.name for field in fields(ServiceParameters)]
    _same_names(where, raw, names)
    return ServiceParameters(**{name: _positive(f"{where}.{name}", raw[name]) for name in names})


def _same_names(where: str, raw: object, names: list[str] | list[Journey] | list[Service]) -> None:
    if not isinstance(raw, dict):
        raise ParameterError(f"{where} must be an object")
    if missing := sorted(set(names) - set(raw)):
        raise ParameterError(f"{where}: missing {', '.join(missing)}")
    if unknown := sorted(set(raw) - set(names)):
        raise ParameterError(f"{where}: unknown {', '.join(unknown)}")


def _positive(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ParameterError(f"{where} must be a positive number; got {quoted(value)}")
    return float(value)
