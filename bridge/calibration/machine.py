"""The numbers of the machine, apart from those of the system: a handful, which the next laptop has otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np

from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.values import changed, own, value_of
from mirr.env.checks import NotReal, real_number
from mirr.env.simulator.parameters import Parameters

REQUEST_TIMES = (
    *own("request_cpu_s").values(),
    *own("surge_request_cpu_s").values(),
    "shed_cpu_s",
    "leak_request_cpu_s",
    "costly_request_cpu_s",
)
"""CPU seconds of requests. On another machine all of them change alike."""

LATENCIES = tuple(own("latency_p50_s").values())

WELL_KNOWN = (*own("request_cpu_s").values(), *own("surge_request_cpu_s").values())
"""The request times that say how fast a core is. The others are differences of measurements."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the machine makes of the system."""

    request_cpu: float = 1.0  # CPU time of a request, in times of the system's
    latency: float = 1.0  # unloaded latency, in times of the system's
    latency_sigma: float  # how much the latencies of a moment scatter
    boot_cpu_s: float
    idle_cpu_cores: float

    def __post_init__(self) -> None:
        """Raises CalibrationError unless every number is positive."""
        for each in fields(self):
            try:
                good = real_number(vars(self)[each.name]) > 0.0
            except NotReal:
                good = False
            if not good:
                raise CalibrationError(f"machine.{each.name} must be a positive number; got {vars(self)[each.name]!r}")

    def applied(self, system: Parameters) -> Parameters:
        """The system on this machine."""
        values = {name: self.request_cpu * value_of(system, name) for name in REQUEST_TIMES}
        values |= {name: self.latency * value_of(system, name) for name in LATENCIES}
        return changed(system, values | self._own())

    def system_of(self, parameters: Parameters) -> Parameters:
        """The reverse: what the system is, if it has these parameters on this machine. The machine's own stay."""
        values = {name: value_of(parameters, name) / self.request_cpu for name in REQUEST_TIMES}
        return changed(parameters, values | {name: value_of(parameters, name) / self.latency for name in LATENCIES})

    def _own(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if name not in ("request_cpu", "latency")}


def machine_of(fitted: Parameters, system: Parameters, names: Mapping[str, float]) -> Machine:
    """The machine on which the system has come out as `fitted`. `names` are those that were fitted."""
    return Machine(
        request_cpu=_change([name for name in WELL_KNOWN if name in names], fitted, system),
        latency=_change([name for name in LATENCIES if name in names], fitted, system),
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
    return Machine(**raw)
