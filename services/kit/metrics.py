"""What a service exposes to Prometheus: its requests, its process, its limits, its release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.metrics import disable_created_metrics
from prometheus_client.registry import Collector

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)
CGROUP = Path("/sys/fs/cgroup")
V1_UNLIMITED_BYTES = 1 << 60  # cgroup version 1 writes "no limit" as a number near 2**63


class Metrics:
    """The metrics of one application, in its own registry, so that two applications fit in one process."""

    def __init__(self, release: str, cgroup: Path = CGROUP) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests_total", "Requests answered.", ("method", "route", "code"), registry=self.registry
        )
        self._durations = Histogram(
            "http_request_duration_seconds",
            "Time from a request's arrival to its answer.",
            ("method", "route"),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests being worked on.", registry=self.registry)
        Gauge("build_info", "The release that runs.", ("version",), registry=self.registry).labels(release).set(1)
        ProcessCollector(registry=self.registry)
        self.registry.register(Limits(cgroup))
        # labels() costs as much as the rest of an observation, so its results are kept. Both tables stay small.
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[tuple[str, str], Histogram] = {}

    def answered(self, method: str, route: str, code: int, duration_s: float) -> None:
        """Count one answer."""
        counter = self._counters.get((method, route, code))
        if counter is None:
            counter = self._counters[method, route, code] = self._requests.labels(method, route, str(code))
        counter.inc()
        histogram = self._histograms.get((method, route))
        if histogram is None:
            histogram = self._histograms[method, route] = self._durations.labels(method, route)
        histogram.observe(duration_s)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)


class Limits(Collector):
    """The container's CPU quota and memory limit. They are read at each scrape: both can change while it runs."""

    def __init__(self, cgroup: Path = CGROUP) -> None:
        self._cgroup = cgroup

    def collect(self) -> Iterator[Metric]:
        cores = self.cpu_quota_cores()
        if cores is not None:
            yield GaugeMetricFamily("container_cpu_quota_cores", "CPU quota; +Inf where there is none.", value=cores)
        limit = self.memory_limit_bytes()
        if limit is not None:
            yield GaugeMetricFamily("container_memory_limit_bytes", "Memory limit; +Inf where there is none.", limit)

    def cpu_quota_cores(self) -> float | None:
        """The number of cores that this container may use; None if there is no cgroup to read."""
        version_2 = self._read("cpu.max")
        if version_2 is not None:
            quota, period = version_2.split()
        else:
            quota_v1, period_v1 = self._read("cpu/cpu.cfs_quota_us"), self._read("cpu/cpu.cfs_period_us")
            if quota_v1 is None or period_v1 is None:
                return None
            quota, period = quota_v1, period_v1
        return float("inf") if quota in ("max", "-1") else float(quota) / float(period)

    def memory_limit_bytes(self) -> float | None:
        """The number of bytes that this container may use; None if there is no cgroup to read."""
        text = self._read("memory.max") or self._read("memory/memory.limit_in_bytes")
        if text is None:
            return None
        return float("inf") if text == "max" or int(text) > V1_UNLIMITED_BYTES else float(text)

    def _read(self, name: str) -> str | None:
        try:
            return (self._cgroup / name).read_text().strip()
        except OSError:
            return None
