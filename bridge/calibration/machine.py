"""The numbers of the machine, apart from those of the system: a handful, which the next laptop has otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.values import changed, own, value_of
from mirr.env.checks import NotReal, real_number
from mirr.env.simulator.parameters import Parameters
from mirr.env.vocabulary import Service

REQUEST_TIMES = (
    *own("request_cpu_s").values(),
    *own("surge_request_cpu_s").values(),
    "shed_cpu_s",
    "leak_request_cpu_s",
    "costly_request_cpu_s",
)
"""CPU seconds of requests. On another machine all of them change alike."""

WELL_KNOWN = tuple(own("request_cpu_s").values())
"""The request times that say how fast a core is. The others are differences of measurements, or those of one crowd."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the machine makes of the system."""

    request_cpu: float = 1.0  # CPU time of a request, in times of the system's
    # Its own part of an answer, unloaded, the median. On another machine the services do not change alike.
    latency_p50_s: dict[Service, float]
    latency_sigma: float  # how much the latencies of a moment scatter
    boot_cpu_s: float
    idle_cpu_cores: float

    def __post_init__(self) -> None:
        """Raises CalibrationError unless every service has a latency, and every number is positive."""
        if not isinstance(self.latency_p50_s, dict) or set(self.latency_p50_s) != set(Service):
            raise CalibrationError(f"machine.latency_p50_s has the services {', '.join(Service)}")
        latencies = {f"latency_p50_s.{service}": self.latency_p50_s[service] for service in Service}
        for name, value in (self._shared() | latencies).items():
            try:
                good = real_number(value) > 0.0
            except NotReal:
                good = False
            if not good:
                raise CalibrationError(f"machine.{name} must be a positive number; got {value!r}")

    def numbers(self) -> dict[str, float]:
        """Every number, by its name among the parameters; `request_cpu` is none of them."""
        latencies = {name: self.latency_p50_s[service] for service, name in own("latency_p50_s").items()}
        return self._shared() | latencies

    def applied(self, system: Parameters) -> Parameters:
        """The system on this machine."""
        values = self.numbers()
        request_cpu = values.pop("request_cpu")
        return changed(system, values | {name: request_cpu * value_of(system, name) for name in REQUEST_TIMES})

    def system_of(self, parameters: Parameters) -> Parameters:
        """The reverse: what the system is, if it has these parameters on this machine. The machine's own stay."""
        return changed(parameters, {name: value_of(parameters, name) / self.request_cpu for name in REQUEST_TIMES})

    def _shared(self) -> dict[str, float]:
        """The numbers that all services share."""
        return {each.name: vars(self)[each.name] for each in fields(self) if each.name != "latency_p50_s"}


def machine_of(fitted: Parameters, system: Parameters, names: Iterable[str]) -> Machine:
    """The machine on which the system has come out as `fitted`. `names` are those that were fitted."""
    known = set(names)
    return Machine(
        request_cpu=_change([name for name in WELL_KNOWN if name in known], fitted, system),
        latency_p50_s={service: fitted.services[service].latency_p50_s for service in Service},
        latency_sigma=fitted.latency_sigma,
        boot_cpu_s=fitted.boot_cpu_s,
        idle_cpu_cores=fitted.idle_cpu_cores,
    )


def _change(names: list[str], fitted: Parameters, system: Parameters) -> float:
    """How many times as large these are: the geometric mean."""
    logs = [np.log(value_of(fitted, name) / value_of(system, name)) for name in names]
    return float(np.exp(np.mean(logs))) if logs else 1.0


def parse_machine(raw: object) -> Machine:
    """From JSON. Raises CalibrationError."""
    names = [each.name for each in fields(Machine)]
    if not isinstance(raw, dict) or sorted(raw) != sorted(names):
        raise CalibrationError(f"machine has the numbers {', '.join(names)}")
    latencies = raw["latency_p50_s"]
    if isinstance(latencies, dict) and set(latencies) == set(Service):
        latencies = {service: latencies[service] for service in Service}
    return Machine(**raw | {"latency_p50_s": latencies})
