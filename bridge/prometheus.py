"""Reads raw samples from Prometheus: counters as scraped, with the scrape's own time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from mirr.env.world import WorldError

TRAFFIC = "traffic"
"""The name of the load generator's samples, beside the names of the services."""

_METRICS = (
    "up",
    "http_requests_total",
    "http_request_duration_seconds_bucket",
    "http_requests_in_flight",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_start_time_seconds",
    "container_cpu_quota_cores",
    "container_memory_limit_bytes",
    "build_info",
    "journey_requests_total",
    "journey_duration_seconds_bucket",
)

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sample:
    """One scrape of one target."""

    at: float  # Unix time of the scrape, by Prometheus's clock
    up: bool
    values: dict[str, dict[Labels, float]] = field(default_factory=dict)  # metric → labels → value

    def single(self, metric: str) -> float:
        """The value of a metric that has one series. NaN if it was not scraped."""
        series = self.values.get(metric, {})
        return next(iter(series.values())) if series else float("nan")

    def label(self, metric: str, name: str) -> str | None:
        """The label `name` of a metric that has one series."""
        return next((dict(labels).get(name) for labels in self.values.get(metric, {})), None)


@dataclass(frozen=True, kw_only=True)
class FiredAlert:
    """An alert that Prometheus has as pending or firing."""

    name: str
    service: str  # empty if it is about no service
    severity: str
    state: str  # pending or firing


class PrometheusReader:
    """Samples by Prometheus's HTTP interface at `url`."""

    def __init__(self, url: str, session: requests.Session, *, timeout_s: float = 3.0) -> None:
        self._url = url
        self._session = session
        self._timeout_s = timeout_s

    def samples(self, lookback_s: float, *, until: float | None = None) -> dict[str, list[Sample]]:
        """Per target, its scrapes of the last `lookback_s` before the Unix time `until`, oldest first. None: now.

        Raises WorldError."""
        pattern = "|".join(_METRICS)
        query = f'{{__name__=~"{pattern}",service!=""}}[{round(lookback_s * 1000)}ms]'
        asked: dict[str, str | float] = {"query": query} | ({} if until is None else {"time": until})
        try:
            answer = self._session.get(f"{self._url}/api/v1/query", params=asked, timeout=self._timeout_s)
            answer.raise_for_status()
            result = answer.json()["data"]["result"]
        except (requests.RequestException, ValueError, KeyError) as error:
            raise self._silent(error) from error
        return _by_scrape(result)

    def alerts(self) -> list[FiredAlert]:
        """The alerts that are pending or firing now. Raises WorldError."""
        try:
            answer = self._session.get(f"{self._url}/api/v1/alerts", timeout=self._timeout_s)
            answer.raise_for_status()
            return [_alert(row) for row in answer.json()["data"]["alerts"]]
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> WorldError:
        # The kind of error is enough for one line. The whole error is chained.
        return WorldError(f"Prometheus at {self._url} does not answer ({type(error).__name__}); next: mirr up")


def _alert(row: dict[str, Any]) -> FiredAlert:
    labels: Mapping[str, str] = row["labels"]
    return FiredAlert(
        name=labels["alertname"],
        service=labels.get("service", ""),
        severity=labels.get("severity", ""),
        state=str(row["state"]),
    )


def _by_scrape(result: list[dict[str, Any]]) -> dict[str, list[Sample]]:
    ups: dict[str, dict[float, bool]] = {}
    values: dict[tuple[str, float], dict[str, dict[Labels, float]]] = {}
    for series in result:
        labels: Mapping[str, str] = series["metric"]
        target, name = labels["service"], labels["__name__"]
        own = tuple(sorted((k, v) for k, v in labels.items() if k not in ("__name__", "service", "job", "instance")))
        for at, value in series["values"]:
            if name == "up":
                ups.setdefault(target, {})[at] = value == "1"
            else:
                # All samples of one scrape have the same time, to the millisecond.
                values.setdefault((target, at), {}).setdefault(name, {})[own] = float(value)
    return {
        target: [Sample(at, up, values.get((target, at), {})) for at, up in sorted(scrapes.items())]
        for target, scrapes in ups.items()
    }
