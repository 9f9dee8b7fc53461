"""The service level objectives, and whether a snapshot meets them."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mirr.env.checks import number_field
from mirr.env.vocabulary import Feature, Service
from mirr.env.world import Snapshot

FEATURE_COLUMN: dict[Feature, int] = {feature: column for column, feature in enumerate(Feature)}
SERVICE_ROW: dict[Service, int] = {service: row for row, service in enumerate(Service)}


USER_LATENCY_S = 1.0
"""An answer to a user that takes longer counts as failed. The load generator and the simulator count this way. It is
not a field of `Objectives`, because the judge gets finished counts and cannot count again."""


@dataclass(frozen=True, kw_only=True)
class Objectives:
    """What counts as healthy over one step. The defaults are the lab's."""

    user_sli: float = 0.95  # at least this share of user requests went well
    user_rate_per_s: float = 12.0  # at least this rate, a third of the usual one: without traffic there is no service
    request_rate: float = 1.0  # at least, per service and second: nobody knows whether an idle service works
    error_ratio: float = 0.05  # at most, per service
    latency_p95_s: float = 0.5  # at most, per service
    memory_share: float = 0.6  # at most, per service: above it the kernel's OOM killer is near
    collapse_sli: float = 0.02  # at or below this, nothing works for the users

    def __post_init__(self) -> None:
        """Raises BadConfig for anything but finite numbers. Limits that nothing can meet are allowed."""
        for each in fields(self):
            given = vars(self)[each.name]
            object.__setattr__(self, each.name, number_field(f"Objectives({each.name}=...)", given))


OBJECTIVES = Objectives()


def service_breaches(snapshot: Snapshot, service: Service, objectives: Objectives = OBJECTIVES) -> list[str]:
    """A sentence for each objective that `service` misses in `snapshot`; empty if it meets them all."""
    row = snapshot.features[SERVICE_ROW[service]]
    if not row[FEATURE_COLUMN[Feature.UP]] >= 1.0:
        return [f"{service} is down"]
    breaches = []
    for feature, limit in (
        (Feature.ERROR_RATIO, objectives.error_ratio),
        (Feature.LATENCY_P95_S, objectives.latency_p95_s),
        (Feature.MEMORY_SHARE, objectives.memory_share),
    ):
        value = float(row[FEATURE_COLUMN[feature]])
        # NaN fails this comparison, so a value that could not be measured is a breach.
        if not value <= limit:
            breaches.append(f"{service} {feature} is {value:.3g}, objective {limit:g}")
    rate = float(row[FEATURE_COLUMN[Feature.REQUEST_RATE]])
    if not rate >= objectives.request_rate:
        breaches.append(f"{service} answers {rate:.3g} requests a second, objective {objectives.request_rate:g}")
    if service in snapshot.degraded:
        breaches.append(f"{service}: {snapshot.degraded[service]}")
    return breaches


def breaches(snapshot: Snapshot, objectives: Objectives = OBJECTIVES) -> list[str]:
    """A sentence for each objective missed in `snapshot`, the users' first. Empty in steady state."""
    found = []
    if not snapshot.user_sli >= objectives.user_sli:
        found.append(f"user SLI is {snapshot.user_sli:.3f}, objective {objectives.user_sli:g}")
    for service in Service:
        found += service_breaches(snapshot, service, objectives)
    return found


_UP, _RATE, _ERROR_RATIO, _LATENCY, _MEMORY = (
    FEATURE_COLUMN[feature]
    for feature in (
        Feature.UP,
        Feature.REQUEST_RATE,
        Feature.ERROR_RATIO,
        Feature.LATENCY_P95_S,
        Feature.MEMORY_SHARE,
    )
)


def services_healthy(snapshot: Snapshot, objectives: Objectives = OBJECTIVES) -> bool:
    """Whether no service misses an objective. It is the same rule as in `service_breaches`, but makes no sentences,
    because it runs in every step."""
    if snapshot.degraded:
        return False
    least_rate, worst_error, worst_latency_s, worst_memory = (
        objectives.request_rate,
        objectives.error_ratio,
        objectives.latency_p95_s,
        objectives.memory_share,
    )
    # NaN fails each of these comparisons. `all` with a generator takes nearly twice as long.
    for row in snapshot.features.tolist():
        if not (
            row[_UP] >= 1.0
            and row[_RATE] >= least_rate
            and row[_ERROR_RATIO] <= worst_error
            and row[_LATENCY] <= worst_latency_s
            and row[_MEMORY] <= worst_memory
        ):
            return False
    return True
