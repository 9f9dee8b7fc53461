"""`hard`: the incidents of `medium`, among all that goes on in a shop, or nothing broken at all.

Users come more or less often than usual. Harmless releases went out before. A short burst comes to an innocent service.
The fault may begin later, and a second one may follow.
"""

from __future__ import annotations

from mirr.env.dice import below, uniform
from mirr.env.scenario import TRAFFIC, EpisodeConfig, Scheduled, checked_fault
from mirr.env.tiers import easy, medium
from mirr.env.tiers.rules import Rules
from mirr.env.vocabulary import ALL_FAULTS, Breaks, Bursts, Deploys, Fault, Service, TrafficChanges

# The draws after those of `medium`. Each has a number of its own.
_NOTHING = medium.DRAW_OF_THE_SEVERITY + 1
_FIRST_LEVEL = _NOTHING + 1
_DRIFT = _NOTHING + 2
_ONSET = _NOTHING + 3
_DEPLOY = _NOTHING + 4  # one draw for each service
_LEAST_DEPLOY = _DEPLOY + len(Service)
_BURST = _LEAST_DEPLOY + 1
_BURST_SERVICE = _BURST + 1
_BURST_STEP = _BURST + 2
_BURST_STEPS = _BURST + 3
_BURST_LOAD = _BURST + 4
_SECOND = _BURST + 5
_SECOND_SERVICE = _SECOND + 1
_SECOND_MODE = _SECOND + 2
_SECOND_FORM = _SECOND + 3
_SECOND_SEVERITY = _SECOND + 4
_SECOND_STEP = _SECOND + 5

NOTHING_BROKEN = 0.1
"""Share of the episodes in which nothing is broken."""
SECOND_FAULT = 0.1
"""Share of the other episodes in which a second fault follows."""
LATEST_ONSET = 6  # steps
DRIFT = 0.2
"""The most by which traffic changes, times the usual rate."""
DRIFT_S = 60.0
DEPLOYED = 0.35
"""Share of the services that run a harmless new release. At least one does, so every reset takes the same time."""
BURST = 0.4
"""Share of the episodes with a burst."""
BURST_STEPS = (1, 12)  # the first and the last step at which it can begin
BURST_LENGTHS_S = (6.0, 8.0, 10.0)
BURST_LOADS = (0.2, 0.3)  # of the CPU quota
SECOND_AFTER = (6, 12)  # steps between the two onsets


def _traffic(key: int) -> TrafficChanges:
    least, most = TRAFFIC
    first = least + uniform(key, _FIRST_LEVEL) * (most - least)
    drifted = first + (2.0 * uniform(key, _DRIFT) - 1.0) * DRIFT
    return TrafficChanges(first, min(most, max(least, drifted)), DRIFT_S)


def _deploys(key: int) -> list[Deploys]:
    services = tuple(Service)
    drawn = [Deploys(service) for i, service in enumerate(services) if uniform(key, _DEPLOY + i) < DEPLOYED]
    return drawn or [Deploys(services[below(key, _LEAST_DEPLOY, len(services))])]


def _second(key: int, first: Fault, onset: int) -> Scheduled | None:
    """The fault that follows, on another service."""
    if uniform(key, _SECOND) >= SECOND_FAULT:
        return None
    others = [service for service in Service if service is not first.service]
    service = others[below(key, _SECOND_SERVICE, len(others))]
    of_service = [fault for fault in ALL_FAULTS if fault.service is service]
    base = of_service[below(key, _SECOND_MODE, len(of_service))]
    fault = medium.formed(key, base, form=_SECOND_FORM, severity=_SECOND_SEVERITY, users_vary=True)
    least, most = SECOND_AFTER
    return Scheduled(onset + least + below(key, _SECOND_STEP, most - least + 1), Breaks(fault))


def _burst(key: int, culprits: set[Service]) -> Scheduled | None:
    """A burst on a service with which nothing is wrong."""
    if uniform(key, _BURST) >= BURST:
        return None
    innocent = [service for service in Service if service not in culprits]
    first, last = BURST_STEPS
    least, most = BURST_LOADS
    return Scheduled(
        first + below(key, _BURST_STEP, last - first + 1),
        Bursts(
            innocent[below(key, _BURST_SERVICE, len(innocent))],
            least + uniform(key, _BURST_LOAD) * (most - least),
            BURST_LENGTHS_S[below(key, _BURST_STEPS, len(BURST_LENGTHS_S))],
        ),
    )


def timeline(key: int, fault: Fault | None) -> tuple[Scheduled, ...]:
    """The surroundings, and what breaks among them. A given fault is the only one, and it always comes."""
    onset = below(key, _ONSET, LATEST_ONSET + 1)
    broken: list[Scheduled] = []
    if fault is not None:
        broken = [Scheduled(onset, Breaks(checked_fault(fault)))]
    elif uniform(key, _NOTHING) >= NOTHING_BROKEN:
        first = medium.formed(
            key,
            easy.drawn_fault(key),
            form=medium.DRAW_OF_THE_FORM,
            severity=medium.DRAW_OF_THE_SEVERITY,
            users_vary=True,
        )
        broken = [Scheduled(onset, Breaks(first))]
        if (second := _second(key, first, onset)) is not None:
            broken.append(second)
    culprits = {entry.event.fault.service for entry in broken if isinstance(entry.event, Breaks)}
    around = [Scheduled(0, _traffic(key)), *[Scheduled(0, deploy) for deploy in _deploys(key)]]
    if (burst := _burst(key, culprits)) is not None:
        around.append(burst)
    return tuple(sorted([*around, *broken], key=lambda entry: entry.step))


RULES = Rules(
    says="forms and severities as on medium, among changing traffic, harmless deploys and bursts; the fault may come "
    "later, with a second one after it, or not at all",
    timeline=timeline,
    choose=easy.choose,
    config=EpisodeConfig(none_diagnosis=True),
)
