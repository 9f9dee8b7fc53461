"""Turns raw counters into what a World observes: the difference between two scrapes, without smoothing.

`rate()` over fewer than four scrapes smears, so each window is the difference between its first and its last scrape.
A counter that fell means a new process; a target that is down is missing, not zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from mirr.bridge.prometheus import TRAFFIC, Labels, Sample
from mirr.chaos.load import Load
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.vocabulary import STEADY_RELEASE, Feature, Journey, Service
from mirr.env.world import FEATURES_SHAPE, JourneyCount, Snapshot, WorldError

_LOOKBACK_S = 3.0  # the scrapes that one reading looks back over; one is due every 0.5 s
_FUTURE_S = 10.0  # no reading takes so long that a scrape so much later could be a new one
_BOOT_S = 2.5  # the beginning of a process's life that is not counted as load, at least
_SLOW_BOOT_S = 10.0  # a process this young may have booted just before its first scrape, on a slow machine
_WARM_UP_S = 1.0  # from the first scrape of a young process to the time that counts as load
_LOAD_WINDOW_S = 1.4  # the shortest time that shows a load: four scrapes, one of which may be late


class Reader(Protocol):
    """Where samples come from; bridge.prometheus.PrometheusReader is the real one."""

    def samples(self, lookback_s: float, *, until: float | None = None) -> dict[str, list[Sample]]:
        """Per target, its scrapes of the last `lookback_s` before the Unix time `until`, oldest first. None: now."""


@dataclass
class Window:
    """Where the last observation ended: per target, the last good scrape."""

    ends: dict[str, Sample] = field(default_factory=dict)
    sound: set[Service] = field(default_factory=set)  # services that run another release that is not faulty


class Measures(Protocol):
    """What the bridge needs of telemetry; Telemetry is the real one."""

    def open_window(self) -> Window:
        """A window that begins now."""

    def measure(self, window: Window) -> Snapshot:
        """Everything since `window` began. The window then begins again, from now."""

    def last(self, seconds: float) -> Snapshot:
        """The last `seconds`."""


class Telemetry:
    """Measures the lab through Prometheus. Windows tile: each begins with the scrape that ended the one before."""

    def __init__(self, reader: Reader, *, steady_cpu_quota_cores: Callable[[Service], float]) -> None:
        self._reader = reader
        self._steady_quota = steady_cpu_quota_cores

    def open_window(self) -> Window:
        """A window that begins at each target's last good scrape."""
        ends = {}
        for target, samples in self._reader.samples(_LOOKBACK_S).items():
            good = [sample for sample in samples if sample.up]
            if good:
                ends[target] = good[-1]
        self._refuse_a_past(max((sample.at for sample in ends.values()), default=None))
        return Window(ends)

    def _refuse_a_past(self, latest: float | None) -> None:
        """Raise WorldError if there are scrapes of the future: then the clock was set back, and these are old ones.

        Prometheus keeps no scrape that is older than what it has, until the clock has caught up."""
        if latest is None:
            return
        future = _newest(self._reader.samples(_LOOKBACK_S, until=latest + _FUTURE_S))
        if future is None or future <= latest + _LOOKBACK_S:
            return
        # A busy machine may have stood still between the two readings. Then these scrapes are of the time between.
        now = _newest(self._reader.samples(_LOOKBACK_S))
        if now is not None and future > now + _LOOKBACK_S:
            raise _set_back("perhaps by hours")

    def measure(self, window: Window) -> Snapshot:
        """Everything since `window` was opened or last measured. Its beginning then moves to now."""
        recent = self._reader.samples(_LOOKBACK_S)
        latest = {target: samples[-1] for target, samples in recent.items()}
        for target, sample in latest.items():
            if target in window.ends and sample.at < window.ends[target].at:
                raise _set_back(f"by about {window.ends[target].at - sample.at:,.0f} s")
        snapshot = self._snapshot(window.ends, latest, window.sound)
        window.ends |= {target: sample for target, sample in latest.items() if sample.up}
        return snapshot

    def last(self, seconds: float) -> Snapshot:
        """The last `seconds`, measured without a window. The scrapes must reach back that far."""
        first, latest = {}, {}
        # It reads one scrape more, so that the first one is not after the beginning of the window.
        for target, samples in self._reader.samples(seconds + 0.6).items():
            latest[target] = samples[-1]
            good = [sample for sample in samples if sample.up]
            if good:
                first[target] = good[0]
        return self._snapshot(first, latest)

    def load(self, service: Service, seconds: float) -> Load | None:
        """What the service's process did over the last `seconds`, without its boot. None if that is too short to
        measure."""
        samples = [sample for sample in self._reader.samples(seconds).get(service, []) if sample.up]
        return _load(_last_process(samples))

    def load_between(
        self, service: Service, since: float, until: float | None, *, seconds: float = 60.0
    ) -> Load | None:
        """What the service did between two Unix times, at most over the last `seconds` of that; None: until now.

        It is what one process did after its boot: the last one that ran for long enough to be measured. None if none
        did."""
        if until is not None and until - since < _LOAD_WINDOW_S:
            return None
        scrapes = self._reader.samples(seconds, until=until).get(service, [])
        samples = [sample for sample in scrapes if sample.up and sample.at >= since]
        load = None
        while samples and load is None:
            process = _last_process(samples)
            load = _load(process)
            samples = samples[: -len(process)]
        return load

    def _snapshot(
        self, first: dict[str, Sample], latest: dict[str, Sample], sound: set[Service] | None = None
    ) -> Snapshot:
        if TRAFFIC not in latest or not latest[TRAFFIC].up:
            raise WorldError("the load generator is down, so nobody knows how users fare; next: mirr up")
        features = np.full(FEATURES_SHAPE, np.nan)
        degraded: dict[Service, str] = {}
        for service in Service:
            sample = latest.get(service)
            if sample is None:
                raise WorldError(f"Prometheus has no target {service}; next: mirr down, then mirr up")
            row = features[SERVICE_ROW[service]]
            if sample.up:
                row[:] = _features(first.get(service), sample)
                reason = self._degraded(service, sample, any_release=service in (sound or ()))
                if reason:
                    degraded[service] = reason
            else:
                row[FEATURE_COLUMN[Feature.UP]] = 0.0
        return Snapshot(
            features=features,
            journeys=_journeys(first.get(TRAFFIC), latest[TRAFFIC]),
            degraded=degraded,
        )

    def _degraded(self, service: Service, sample: Sample, *, any_release: bool) -> str | None:
        release = sample.label("build_info", "version")
        if release != STEADY_RELEASE and not any_release:
            return f"runs release {release}, steady is {STEADY_RELEASE}"
        quota, steady = sample.single("container_cpu_quota_cores"), self._steady_quota(service)
        if quota < steady:
            return f"has {quota:g} cores, steady is {steady:g}"
        return None


def _newest(scrapes: dict[str, list[Sample]]) -> float | None:
    """The Unix time of the newest scrape of any target. None: there is no scrape."""
    return max((sample.at for samples in scrapes.values() for sample in samples), default=None)


def _set_back(by: str) -> WorldError:
    return WorldError(
        f"the clock of the lab's containers was set back, {by}, and Prometheus keeps nothing until it has caught up; "
        "next: mirr down, then mirr up"
    )


def _same_process(first: Sample | None, last: Sample) -> bool:
    return first is not None and first.single("process_start_time_seconds") == last.single("process_start_time_seconds")


def _after_boot(samples: list[Sample]) -> list[Sample]:
    """The samples of one process without its boot: no request caused the work of a boot."""
    first, started = samples[0].at, samples[0].single("process_start_time_seconds")
    booted = max(started + _BOOT_S, first + _WARM_UP_S) if first < started + _SLOW_BOOT_S else 0.0
    return [sample for sample in samples if sample.at > booted]


def _last_process(samples: list[Sample]) -> list[Sample]:
    """The samples of the process that was measured last."""
    return [sample for sample in samples if _same_process(sample, samples[-1])]


def _load(process: list[Sample]) -> Load | None:
    """What a process did after its boot. None if it ran for too short to measure it."""
    samples = _after_boot(process) if process else []
    if not samples or samples[-1].at - samples[0].at < _LOAD_WINDOW_S:
        return None
    first, last = samples[0], samples[-1]
    elapsed_s = last.at - first.at
    by_route: dict[str, float] = {}
    for labels, count in _grown(first, last, "http_requests_total").items():
        if not _failed(labels):
            route = dict(labels).get("route", "")
            by_route[route] = by_route.get(route, 0.0) + count / elapsed_s
    return Load(
        cpu_cores=(last.single("process_cpu_seconds_total") - first.single("process_cpu_seconds_total")) / elapsed_s,
        served_rate=sum(by_route.values()),
        quota_cores=last.single("container_cpu_quota_cores"),
        served_by_route=by_route,
        began=first.at,
        ended=last.at,
    )


def _grown(first: Sample | None, last: Sample, metric: str) -> dict[Labels, float]:
    """By how much each series of a counter grew. A new process began at zero."""
    before = first.values.get(metric, {}) if first is not None and _same_process(first, last) else {}
    grown = {}
    for labels, value in last.values.get(metric, {}).items():
        earlier = before.get(labels, 0.0)
        grown[labels] = value - earlier if value >= earlier else value
    return grown


def _failed(labels: Labels) -> bool:
    return dict(labels).get("code", "").startswith("5")


def _features(first: Sample | None, last: Sample) -> list[float]:
    """One service's row, in the order of `Feature`."""
    started = last.single("process_start_time_seconds")
    since = first.at if first is not None and _same_process(first, last) else started
    elapsed_s = last.at - since
    if not elapsed_s > 0:
        return [1.0, *[math.nan] * (len(Feature) - 1)]
    requests = _grown(first, last, "http_requests_total")
    total = sum(requests.values())
    failed = sum(count for labels, count in requests.items() if _failed(labels))
    cpu_s = sum(_grown(first, last, "process_cpu_seconds_total").values())
    row = {
        Feature.UP: 1.0,
        Feature.REQUEST_RATE: total / elapsed_s,
        Feature.ERROR_RATIO: failed / total if total else 0.0,
        Feature.LATENCY_P95_S: quantile(0.95, _grown(first, last, "http_request_duration_seconds_bucket")),
        Feature.CPU_SHARE: cpu_s / elapsed_s / last.single("container_cpu_quota_cores"),
        Feature.MEMORY_SHARE: last.single("process_resident_memory_bytes")
        / last.single("container_memory_limit_bytes"),
        Feature.IN_FLIGHT: last.single("http_requests_in_flight"),
    }
    return [row[feature] for feature in Feature]


def quantile(q: float, buckets: dict[Labels, float]) -> float:
    """The q-quantile of cumulative histogram buckets (label `le`), summed over all other labels.

    It is interpolated within its bucket, as histogram_quantile of Prometheus does. 0 if nothing was counted."""
    counts: dict[float, float] = {}
    for labels, count in buckets.items():
        bound = float(dict(labels)["le"])
        counts[bound] = counts.get(bound, 0.0) + count
    bounds = sorted(counts)
    total = counts[bounds[-1]] if bounds else 0.0
    if not total > 0:
        return 0.0
    rank = q * total
    lower, below = 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= rank:
            if math.isinf(bound):
                return lower
            within = counts[bound] - below
            return lower + (bound - lower) * ((rank - below) / within if within else 1.0)
        lower, below = bound, counts[bound]
    return lower


def _journeys(first: Sample | None, last: Sample) -> dict[Journey, JourneyCount]:
    counted = {journey: [0.0, 0.0] for journey in Journey}
    for labels, count in _grown(first, last, "journey_requests_total").items():
        named = dict(labels)
        row = counted[Journey(named["journey"])]
        row[0] += count
        if named["outcome"] != "ok":
            row[1] += count
    return {
        journey: JourneyCount(requests=round(total), failed=round(failed))
        for journey, (total, failed) in counted.items()
    }
