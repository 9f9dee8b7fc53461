"""Scrapes of Prometheus, and a reader that has them."""

from __future__ import annotations

from mirr.bridge.prometheus import Labels, Sample
from mirr.env.vocabulary import Journey

OK: Labels = (("code", "200"), ("method", "GET"), ("route", "/search"))
FAILED: Labels = (("code", "500"), ("method", "GET"), ("route", "/search"))


def scrape(
    at: float, *, ok: float, failed: float = 0.0, cpu_s: float = 0.0, started: float = 0.0, quota_cores: float = 0.3
) -> Sample:
    """A scrape of a service. All its requests took between 10 and 25 ms."""
    total = ok + failed
    return Sample(
        at,
        up=True,
        values={
            "http_requests_total": {OK: ok, FAILED: failed},
            "http_request_duration_seconds_bucket": {
                (("le", "0.01"),): 0.0,
                (("le", "0.025"),): total,
                (("le", "+Inf"),): total,
            },
            "http_requests_in_flight": {(): 3.0},
            "process_cpu_seconds_total": {(): cpu_s},
            "process_start_time_seconds": {(): started},
            "process_resident_memory_bytes": {(): 48e6},
            "container_memory_limit_bytes": {(): 192e6},
            "container_cpu_quota_cores": {(): quota_cores},
            "build_info": {(("version", "1.4.0"),): 1.0},
        },
    )


def users(at: float, *, ok: float, slow: float = 0.0) -> Sample:
    rows: dict[Labels, float] = {}
    for journey in Journey:
        rows[(("journey", journey.value), ("outcome", "ok"))] = ok
        rows[(("journey", journey.value), ("outcome", "slow"))] = slow
    return Sample(at, up=True, values={"journey_requests_total": rows, "process_start_time_seconds": {(): 0.0}})


class FakeReader:
    """A fake reader. Without a time, it returns the same scrapes for every lookback."""

    def __init__(self, *, now: float | None = None) -> None:
        self.scrapes: dict[str, list[Sample]] = {}
        self._now = now

    def samples(self, lookback_s: float, *, until: float | None = None) -> dict[str, list[Sample]]:
        last = self._now if until is None else until
        if last is None:
            return self.scrapes
        return {
            target: [sample for sample in scrapes if last - lookback_s <= sample.at <= last]
            for target, scrapes in self.scrapes.items()
        }
