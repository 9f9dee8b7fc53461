"""The alerts of an incident: the rules of `prometheus/rules/alerts.yml`, evaluated over the windows of an episode.

They are made of what somebody sees. So a team's alerts are made of its noisy observations, and tell it nothing that an
agent is not told; the trainer's are made of what was measured, and know of the users too. A test compares the names,
the thresholds and the durations with Prometheus' rules. Where a rule looks back over some seconds, this looks back over
the windows that there are: what was before an incident is not known here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray

from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES
from mirr.env.vocabulary import Feature, Service
from mirr.env.world import Snapshot

Windows = Sequence[Sequence[float]]  # (windows, features) of one service, oldest first

CPU_SATURATED = 0.9  # of the quota: requests wait from there on
BUDGET = 0.01  # of user journeys may be bad
FAST_BURN = 14.4  # times the budget


class AlertName(StrEnum):
    """The alerts, as Prometheus names them."""

    SERVICE_DOWN = "ServiceDown"
    HIGH_ERROR_RATIO = "HighErrorRatio"
    HIGH_LATENCY = "HighLatency"
    CPU_SATURATED = "CpuSaturated"
    MEMORY_NEAR_LIMIT = "MemoryNearLimit"
    USERS = "UserErrorBudgetBurnsFastCompressed"


class State(StrEnum):
    """How far an alert has come."""

    PENDING = "pending"  # its condition holds, but not for long enough
    FIRING = "firing"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert that is pending or fires."""

    name: str
    service: str  # empty: it is about the users
    severity: str
    state: str

    def to_json(self) -> dict[str, str]:
        """As the page gets it."""
        return {"name": self.name, "service": self.service, "severity": self.severity, "state": self.state}


def _by_requests(windows: Windows, feature: Feature) -> float:
    """The mean over the requests of the windows, as a rate over all of them would give it. NaN if there were none."""
    rate, column = FEATURE_COLUMN[Feature.REQUEST_RATE], FEATURE_COLUMN[feature]
    known = [(row[rate], row[column]) for row in windows if row[rate] > 0 and math.isfinite(row[column])]
    requests = sum(each for each, _ in known)
    return sum(each * value for each, value in known) / requests if known else math.nan


def _mean(windows: Windows, feature: Feature) -> float:
    column = FEATURE_COLUMN[feature]
    known = [row[column] for row in windows if math.isfinite(row[column])]
    return sum(known) / len(known) if known else math.nan


def _is_down(windows: Windows) -> bool:
    return not any(row[FEATURE_COLUMN[Feature.UP]] >= 0.5 for row in windows)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule about a service."""

    severity: str
    over_s: float  # how far it looks back
    for_s: float  # how long its condition has to hold
    holds: Callable[[Windows], bool]
    of_one_that_is_up: bool = True


RULES: dict[AlertName, Rule] = {
    AlertName.SERVICE_DOWN: Rule(
        severity="critical",
        over_s=3.0,
        for_s=2.0,
        holds=_is_down,
        of_one_that_is_up=False,
    ),
    AlertName.HIGH_ERROR_RATIO: Rule(
        severity="warning",
        over_s=10.0,
        for_s=5.0,
        holds=lambda windows: _by_requests(windows, Feature.ERROR_RATIO) > OBJECTIVES.error_ratio,
    ),
    AlertName.HIGH_LATENCY: Rule(
        severity="warning",
        over_s=10.0,
        for_s=5.0,
        holds=lambda windows: _by_requests(windows, Feature.LATENCY_P95_S) > OBJECTIVES.latency_p95_s,
    ),
    AlertName.CPU_SATURATED: Rule(
        severity="warning",
        over_s=10.0,
        for_s=5.0,
        holds=lambda windows: _mean(windows, Feature.CPU_SHARE) > CPU_SATURATED,
    ),
    AlertName.MEMORY_NEAR_LIMIT: Rule(
        severity="warning",
        over_s=0.0,
        for_s=2.0,
        holds=lambda windows: _mean(windows, Feature.MEMORY_SHARE) > OBJECTIVES.memory_share,
    ),
}
"""The rules about a service. Each has its name in Prometheus."""

USERS_OVER_S = (60.0, 15.0)
"""How far the alert of the users looks back: the long window shows that it matters, the short one that it goes on."""


class Alarms:
    """Follows the alerts of one episode, window by window."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._windows: deque[list[list[float]]] = deque(maxlen=self._steps(max(rule.over_s for rule in RULES.values())))
        self._users: deque[tuple[int, int]] = deque(maxlen=self._steps(USERS_OVER_S[0]))  # requests, failed
        self._held: dict[tuple[AlertName, Service], int] = {}  # for how many windows running

    def after(self, features: NDArray[Any], users: Snapshot | None = None) -> tuple[Alert, ...]:
        """The alerts after a window with these (services, features). With `users`, those of the users too."""
        self._windows.append(features.tolist())
        found = [alert for row, service in enumerate(Service) for alert in self._of(service, row)]
        if users is not None:
            self._users.append((users.requests, users.failed_requests))
            if all(self._bad(over_s) > FAST_BURN * BUDGET for over_s in USERS_OVER_S):
                found.insert(0, Alert(name=AlertName.USERS, service="", severity="critical", state=State.FIRING))
        return tuple(found)

    def _of(self, service: Service, row: int) -> list[Alert]:
        windows = [features[row] for features in self._windows]
        down = RULES[AlertName.SERVICE_DOWN]
        is_up = not _is_down(windows[-self._steps(down.over_s) :])
        found = []
        for name, rule in RULES.items():
            seen = windows[-self._steps(rule.over_s) :]
            whole = rule.of_one_that_is_up or len(windows) >= self._steps(rule.over_s)
            holds = whole and (is_up or not rule.of_one_that_is_up) and rule.holds(seen)
            held = self._held.get((name, service), 0) + 1 if holds else 0
            self._held[name, service] = held
            if held:
                state = State.FIRING if held - 1 >= math.ceil(rule.for_s / self._step_s) else State.PENDING
                found.append(Alert(name=name, service=service, severity=rule.severity, state=state))
        return found

    def _bad(self, over_s: float) -> float:
        users = list(self._users)[-self._steps(over_s) :]
        requests = sum(asked for asked, _ in users)
        return sum(failed for _, failed in users) / requests if requests else 0.0

    def _steps(self, seconds: float) -> int:
        return max(1, math.ceil(seconds / self._step_s))
