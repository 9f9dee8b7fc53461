"""The table of what is fitted in closed form: parameter, what it belongs to, the probe it is read from, the formula.

A formula knows the parameters that are fitted before it. So the order of the table matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.calibration import readings
from mirr.bridge.calibration.readings import STEADY_FEATURES, STEP_S, Rows
from mirr.bridge.calibration.robust import deviation, middle
from mirr.bridge.calibration.unloaded import LEAVES, latencies, sigma
from mirr.bridge.calibration.values import own
from mirr.bridge.recording import Recording
from mirr.env.forms import severity_of
from mirr.env.objectives import SERVICE_ROW
from mirr.env.simulator.parameters import Parameters
from mirr.env.vocabulary import Fault, Feature, Service

LEAST_EXCESS_PER_S = 0.5  # a campaign that adds less to a rate cannot be told from chance
FULL = 0.95  # CPU share from which a queue is surely never empty
LEAST_TIME_S = 1e-5  # where a difference of measurements is not positive
LEAST_WINDOWS = 10  # fewer do not tell how much something changes from window to window
LEAST_RATIO = 0.01
MIXED = (Service.GATEWAY, Service.AUTH, Service.INVENTORY)
"""The services that get other requests than those of check-outs."""

Values = dict[str, float]


class Kind(StrEnum):
    """What a parameter belongs to."""

    SYSTEM = "system"  # the programs: the same on every machine, relative to each other
    MACHINE = "machine"


@dataclass(frozen=True, kw_only=True)
class Fitter:
    """One row of the table."""

    names: tuple[str, ...]
    kind: Kind
    probe: str  # as people read it
    read: Callable[[Recording], Rows]
    solve: Callable[[Rows, Parameters], Values]  # there is at least one row; what is not known is left out
    grain: Callable[[Parameters], float] = lambda parameters: 0.0  # smaller differences do not show


def _steady_values(rows: Rows, feature: Feature) -> NDArray[np.float64]:  # (windows, services)
    return rows.reshape(len(rows), len(Service), len(STEADY_FEATURES))[:, :, STEADY_FEATURES.index(feature)]


def _of_service(rows: Rows, value: Callable[[Service], float]) -> NDArray[np.float64]:
    """For each row, a value of the service in its first column."""
    return np.asarray(np.array([value(service) for service in Service])[rows[:, 0].astype(int)])


def _usual_rates(p: Parameters, rows: Rows) -> NDArray[np.float64]:
    """For each row, the usual rate of its service."""
    return _of_service(rows, p.request_rate)


def _costs(p: Parameters, rows: Rows) -> NDArray[np.float64]:
    """The same with the CPU time of an ordinary request."""
    return _of_service(rows, lambda service: p.services[service].request_cpu_s)


def _boot_ratios(p: Parameters, rows: Rows) -> NDArray[np.float64]:
    """The same with how much its boot costs, in boots of the mean service."""
    return _of_service(rows, lambda service: p.services[service].boot_cpu_ratio)


def _idle(rows: Rows, p: Parameters) -> Values:
    return {"idle_cpu_cores": max(LEAST_TIME_S, middle(rows[:, 0]) * p.cpu_quota_cores)}


def _request_cpu(rows: Rows, p: Parameters) -> Values:
    cores = _steady_values(rows, Feature.CPU_SHARE) * p.cpu_quota_cores - p.idle_cpu_cores
    rates = _steady_values(rows, Feature.REQUEST_RATE)
    found = {}
    for service, name in own("request_cpu_s").items():
        row = SERVICE_ROW[service]
        busy = rates[:, row] > 0.0
        if busy.any():
            found[name] = max(LEAST_TIME_S, middle(cores[busy, row] / rates[busy, row]))
    return found


def _kinds_of_requests(rows: Rows, p: Parameters) -> Values:
    """Check-outs cost more or less than the other requests of a service. All of them reach orders. Around that, the CPU
    time of a window scatters by the root of the number of requests."""
    used_s = (_steady_values(rows, Feature.CPU_SHARE) * p.cpu_quota_cores - p.idle_cpu_cores) * STEP_S
    requests = _steady_values(rows, Feature.REQUEST_RATE) * STEP_S
    check_outs = requests[:, SERVICE_ROW[Service.ORDERS]]
    found = {}
    for service in Service:
        mine, each_s = requests[:, SERVICE_ROW[service]], p.services[service].request_cpu_s
        busy = (mine > 0.0) & (check_outs > 0.0)
        if busy.sum() < LEAST_WINDOWS:
            continue
        others = np.maximum(0.0, mine - check_outs)[busy]
        columns = np.column_stack([check_outs[busy], others] if service in MIXED else [mine[busy]])
        cost_s = np.linalg.lstsq(columns, used_s[busy, SERVICE_ROW[service]], rcond=None)[0]
        off_s = used_s[busy, SERVICE_ROW[service]] - columns @ cost_s
        found[own("request_cpu_cv")[service]] = max(LEAST_RATIO, deviation(off_s / each_s / np.sqrt(mine[busy])))
        if service in MIXED:
            most = p.request_rate(service) / p.request_rate(Service.ORDERS)  # then the others cost nothing
            ratio = cost_s[0] * most / (cost_s[0] + cost_s[1] * (most - 1.0))
            found[own("check_out_cpu_ratio")[service]] = float(np.clip(ratio, LEAST_RATIO, most))
    return found


def _base_memory(rows: Rows, p: Parameters) -> Values:
    memory = _steady_values(rows, Feature.MEMORY_SHARE) * p.memory_limit_mb
    return {name: middle(memory[:, SERVICE_ROW[service]]) for service, name in own("base_memory_mb").items()}


def _latency_sigma(rows: Rows, p: Parameters) -> Values:
    p95_s = _steady_values(rows, Feature.LATENCY_P95_S)
    shown = {service: p95_s[:, SERVICE_ROW[service]] for service in LEAVES}
    busy = {service: values[values > 0.0] for service, values in shown.items()}
    found = sigma(p, {service: values for service, values in busy.items() if len(values) >= LEAST_WINDOWS})
    return {} if found is None else {"latency_sigma": found}


def _latencies(rows: Rows, p: Parameters) -> Values:
    p95_s = _steady_values(rows, Feature.LATENCY_P95_S)
    found = latencies(p, {service: middle(p95_s[:, SERVICE_ROW[service]]) for service in Service})
    return {name: found[service] for service, name in own("latency_p50_s").items()}


def _boot_cpu(rows: Rows, p: Parameters) -> Values:
    cores = rows[:, 2] * p.cpu_quota_cores - p.idle_cpu_cores - rows[:, 3] * _costs(p, rows)
    return {"boot_cpu_s": max(LEAST_TIME_S, middle(cores * _age_s(p, rows) / _boot_ratios(p, rows)))}


def _start(rows: Rows, p: Parameters) -> Values:
    """The part of a restart that CPU time does not explain."""
    gone_s = _age_s(p, rows) * (1.0 - np.minimum(1.0, rows[:, 3] / _usual_rates(p, rows)))
    boots_s = _boot_ratios(p, rows) * p.boot_cpu_s / p.cpu_quota_cores
    return {"start_s": max(LEAST_TIME_S, middle(gone_s - boots_s))}


def _age_s(p: Parameters, rows: Rows) -> NDArray[np.float64]:
    """How old each process is at its last scrape, on average. This comes before the end of the window."""
    return np.asarray(STEP_S * rows[:, 1] - 0.5 * p.scrape_interval_s)


def _surge_cpu(rows: Rows, p: Parameters) -> Values:
    """A crowd is as large as it has to be. So the more requests come, the less one of them costs."""
    usual = _usual_rates(p, rows)
    missing_cores = p.overload_factor * p.cpu_quota_cores - usual * _costs(p, rows)
    excess = rows[:, 1] - usual
    found, ratios = {}, []
    for service, name in own("surge_request_cpu_s").items():
        mine = rows[:, 0] == SERVICE_ROW[service]
        if mine.any() and (more := middle(excess[mine])) > LEAST_EXCESS_PER_S:
            found[name] = max(LEAST_TIME_S, float(missing_cores[mine][0]) / more)
            ratios.append(found[name] / p.services[service].surge_request_cpu_s)
    # A service that no crowd was seen on has changed as the others have.
    change = float(np.exp(np.mean(np.log(ratios)))) if ratios else 1.0
    return {
        name: found.get(name, change * p.services[service].surge_request_cpu_s)
        for service, name in own("surge_request_cpu_s").items()
    }


def _shed_cpu(rows: Rows, p: Parameters) -> Values:
    """What the quota has left beside the requests that are served goes into those that are turned away."""
    leaves = [SERVICE_ROW[service] for service in LEAVES]  # their errors are all their own
    rows = rows[np.isin(rows[:, 0], leaves) & (rows[:, 2] > 0.0) & (rows[:, 3] > FULL)]
    if not len(rows):
        return {}
    surges = _of_service(rows, lambda service: p.services[service].surge_request_cpu_s)
    usual, rate = _usual_rates(p, rows), rows[:, 1]
    each = (usual * _costs(p, rows) + np.maximum(0.0, rate - usual) * surges + p.idle_cpu_cores) / rate
    shed = rate * rows[:, 2]
    left = p.cpu_quota_cores - (rate - shed) * each
    return {"shed_cpu_s": max(LEAST_TIME_S, middle(left) / middle(shed))}


def _leak(rows: Rows, p: Parameters) -> Values:
    usual = _usual_rates(p, rows)
    rate = middle(rows[:, 2] - usual)
    if rate < LEAST_EXCESS_PER_S:
        return {}
    cores = middle(rows[:, 3] * p.cpu_quota_cores - p.idle_cpu_cores - usual * _costs(p, rows))
    share_in_step = middle(rows[:, 1])
    landed = middle(rows[:, 4]) - share_in_step * (1.0 + 0.5 * p.tick_s / STEP_S)  # it is seen at the end of a tick
    found = {
        "leak_requests_per_s": rate,
        "leak_body_mb": share_in_step * p.memory_limit_mb / STEP_S / rate,
        "leak_request_cpu_s": max(LEAST_TIME_S, cores / rate),
    }
    return found if landed <= 0.0 else found | {"leak_landed_share": landed}


def _costly_cpu(rows: Rows, p: Parameters) -> Values:
    usual = _usual_rates(p, rows)
    excess = middle(rows[:, 1] - usual)
    if excess < LEAST_EXCESS_PER_S:
        return {}
    load = severity_of(Fault.parse("overloaded/costly:gateway")) * p.cpu_quota_cores
    return {"costly_request_cpu_s": middle(load - usual * _costs(p, rows)) / excess}


def _leaky_carried(rows: Rows, p: Parameters) -> Values:
    share_per_s = severity_of(Fault.parse("bad_deploy/leaky:gateway"))
    boots_s = _of_service(rows, p.boot_s)
    base_mb = middle(np.array([each.base_memory_mb for each in p.services.values()]))
    risen_share = rows[:, 2] + (1.0 - p.young_memory_ratio) * base_mb / p.memory_limit_mb  # since the boot
    carried_s = risen_share / share_per_s - np.maximum(0.0, rows[:, 1] * STEP_S - boots_s)
    found = middle(carried_s)
    return {"leaky_carried_s": found} if found > 0.0 else {}


FITTERS: tuple[Fitter, ...] = (
    Fitter(
        names=("idle_cpu_cores",),
        kind=Kind.MACHINE,
        probe="the gateway is killed, so nobody calls the others: CPU share",
        read=readings.idle,
        solve=_idle,
    ),
    Fitter(
        names=tuple(own("request_cpu_s").values()),
        kind=Kind.MACHINE,
        probe="steady state: CPU share and rate",
        read=readings.steady,
        solve=_request_cpu,
    ),
    Fitter(
        names=(*own("request_cpu_cv").values(), *(own("check_out_cpu_ratio")[service] for service in MIXED)),
        kind=Kind.SYSTEM,
        probe="steady state: CPU share and rate of check-outs and of other requests, window by window",
        read=readings.steady,
        solve=_kinds_of_requests,
    ),
    Fitter(
        names=tuple(own("base_memory_mb").values()),
        kind=Kind.MACHINE,
        probe="steady state: memory share",
        read=readings.steady,
        solve=_base_memory,
    ),
    Fitter(
        names=("latency_sigma",),
        kind=Kind.MACHINE,
        probe="steady state: how much the p95 changes from window to window",
        read=readings.steady,
        solve=_latency_sigma,
    ),
    Fitter(
        names=tuple(own("latency_p50_s").values()),
        kind=Kind.MACHINE,
        probe="steady state: p95",
        read=readings.steady,
        solve=_latencies,
    ),
    Fitter(
        names=("boot_cpu_s",),
        kind=Kind.MACHINE,
        probe="a restart: CPU share of the first window",
        read=readings.boot,
        solve=_boot_cpu,
    ),
    Fitter(
        names=("start_s",),
        kind=Kind.MACHINE,
        probe="a restart: how long the service does not answer",
        read=readings.boot,
        solve=_start,
        grain=lambda parameters: 0.5 * parameters.tick_s,
    ),
    Fitter(
        names=tuple(own("surge_request_cpu_s").values()),
        kind=Kind.SYSTEM,
        probe="a crowd: rate",
        read=readings.crowd,
        solve=_surge_cpu,
    ),
    Fitter(
        names=("shed_cpu_s",),
        kind=Kind.SYSTEM,
        probe="a crowd: rate, error ratio",
        read=readings.crowd,
        solve=_shed_cpu,
    ),
    Fitter(
        names=("leak_requests_per_s", "leak_body_mb", "leak_request_cpu_s", "leak_landed_share"),
        kind=Kind.SYSTEM,
        probe="a leak: rise of memory, rate, CPU share",
        read=readings.leak,
        solve=_leak,
    ),
    Fitter(
        names=("costly_request_cpu_s",),
        kind=Kind.SYSTEM,
        probe="costly requests: rate",
        read=readings.costly,
        solve=_costly_cpu,
    ),
    Fitter(
        names=("leaky_carried_s",),
        kind=Kind.SYSTEM,
        probe="a restart of a leaky release: memory of the first window",
        read=readings.leaky,
        solve=_leaky_carried,
    ),
)

COUPLED: Mapping[str, Kind] = {
    "timeout_spread": Kind.SYSTEM,
    "retry_delay_s": Kind.SYSTEM,
    "shed_cpu_s": Kind.SYSTEM,
}
"""What no probe shows alone. It is fitted to the means of all probes together, by simulation."""


def kinds() -> dict[str, Kind]:
    """Every parameter that is fitted, and what it belongs to. All others are constants: of the lab's own
    files, or measured once (docs/fidelity.md)."""
    return {name: fitter.kind for fitter in FITTERS for name in fitter.names} | dict(COUPLED)
