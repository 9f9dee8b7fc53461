"""The numbers of the machine, apart from those of the system: a few, which the next laptop has otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.values import changed, own, value_of
from mirr.env.checks import NotReal, real_number
from mirr.env.simulator.parameters import Parameters
from mirr.env.vocabulary import Service

SHARED_REQUEST_TIMES = ("shed_cpu_s", "leak_request_cpu_s", "costly_request_cpu_s")
"""CPU seconds of requests that no service has of its own."""

REQUEST_TIMES = (*own("request_cpu_s").values(), *own("surge_request_cpu_s").values(), *SHARED_REQUEST_TIMES)

Each = dict[Service, float]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the machine makes of the system. On another machine the services do not change alike."""

    request_cpu: Each  # CPU time of a request, in times of the system's
    latency_p50_s: Each  # median of its own part of an answer, unloaded
    base_memory_mb: Each  # in steady state
    latency_sigma: float  # how much the latencies of a moment scatter
    start_s: float  # seconds of a boot that need no CPU
    boot_cpu_s: float
    idle_cpu_cores: float

    def __post_init__(self) -> None:
        """Raises CalibrationError unless every service has its numbers, and every number is positive."""
        for name in EACH:
            if not _of_services(vars(self)[name]):
                raise CalibrationError(f"machine.{name} has the services {', '.join(Service)}")
        for name, value in self.numbers().items():
            try:
                good = 0.0 < real_number(value) < math.inf
            except NotReal:
                good = False
            if not good:
                raise CalibrationError(f"machine.{name} must be a positive number; got {value!r}")

    def numbers(self) -> dict[str, float]:
        """Every number by its name, as in `boot_cpu_s` and `request_cpu.auth`."""
        found: dict[str, float] = {}
        for each in fields(self):
            value = vars(self)[each.name]
            found |= {f"{each.name}.{one}": value[one] for one in Service} if each.name in EACH else {each.name: value}
        return found

    def applied(self, system: Parameters) -> Parameters:
        """The system on this machine."""
        values = {name: times * value_of(system, name) for name, times in self._times().items()}
        for kind in OF_ITS_OWN:
            values |= {name: vars(self)[kind][service] for service, name in own(kind).items()}
        shared = {each.name: vars(self)[each.name] for each in fields(self) if each.name not in EACH}
        return changed(system, values | shared)

    def system_of(self, parameters: Parameters) -> Parameters:
        """The reverse: what the system is, if it has these parameters on this machine. The machine's own stay."""
        return changed(parameters, {name: value_of(parameters, name) / times for name, times in self._times().items()})

    def _times(self) -> dict[str, float]:
        """By what each of `REQUEST_TIMES` changes. What all services share changes as they do on average."""
        found = dict.fromkeys(SHARED_REQUEST_TIMES, _mean(self.request_cpu.values()))
        for kind in ("request_cpu_s", "surge_request_cpu_s"):
            found |= {name: self.request_cpu[service] for service, name in own(kind).items()}
        return found


OF_ITS_OWN = ("latency_p50_s", "base_memory_mb")
"""The parameters of each service that are the machine's, whatever the system."""

EACH = ("request_cpu", *OF_ITS_OWN)
"""The fields that have a number of each service."""


def machine_of(fitted: Parameters, system: Parameters, names: Iterable[str]) -> Machine:
    """The machine on which the system has come out as `fitted`. `names` are those that were fitted.

    Only ordinary requests say how fast a core is. The other request times are differences of measurements, or those of
    one crowd."""
    known = set(names)
    seen = {
        service: value_of(fitted, name) / value_of(system, name)
        for service, name in own("request_cpu_s").items()
        if name in known
    }
    return Machine(
        request_cpu={service: seen.get(service, _mean(seen.values())) for service in Service},
        latency_p50_s={service: fitted.services[service].latency_p50_s for service in Service},
        base_memory_mb={service: fitted.services[service].base_memory_mb for service in Service},
        latency_sigma=fitted.latency_sigma,
        start_s=fitted.start_s,
        boot_cpu_s=fitted.boot_cpu_s,
        idle_cpu_cores=fitted.idle_cpu_cores,
    )


def _mean(times: Iterable[float]) -> float:
    """The geometric mean; 1 if there is none."""
    logs = [math.log(each) for each in times]
    return math.exp(sum(logs) / len(logs)) if logs else 1.0


def _of_services(raw: object) -> bool:
    return isinstance(raw, dict) and set(raw) == set(Service)


def parse_machine(raw: object) -> Machine:
    """From JSON. Raises CalibrationError."""
    names = [each.name for each in fields(Machine)]
    if not isinstance(raw, dict) or sorted(raw) != sorted(names):
        raise CalibrationError(f"machine has the numbers {', '.join(names)}")
    each = {name: {service: raw[name][service] for service in Service} for name in EACH if _of_services(raw[name])}
    return Machine(**raw | each)
