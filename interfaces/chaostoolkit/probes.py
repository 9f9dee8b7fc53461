"""The probes of a Chaos Toolkit experiment on a lab. They only look, and those that wait have a deadline."""

# No `from __future__ import annotations`: the toolkit's discovery reads types, not their names.

import logging
from collections.abc import Sequence

from chaoslib.exceptions import ActivityFailed  # type: ignore[import-untyped]  # chaostoolkit-lib ships no types
from chaoslib.types import Configuration  # type: ignore[import-untyped]  # chaostoolkit-lib ships no types

from mirr.bridge.assembly import Parts
from mirr.bridge.steady import held_since, wait_until_steady
from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES, SERVICE_ROW, breaches, service_breaches
from mirr.env.vocabulary import Feature, Journey, Service, parse_service
from mirr.env.world import JourneyCount, WorldError
from mirr.interfaces.chaostoolkit.connection import CLOCK, Clock, as_activity_failures, looking
from mirr.lab.releases import shown

__all__ = [
    "blast_radius",
    "objective_lost",
    "objectives_met",
    "objectives_restored",
    "open_faults",
    "release",
    "service_up",
    "steady",
    "user_sli",
]

WINDOW_S = 2.0  # a step of an episode
POLL_S = 0.2

_NEXT = "next: mirr status"

_logger = logging.getLogger("chaostoolkit")  # its messages appear in the run's own log


def user_sli(window_s: float = WINDOW_S, configuration: Configuration = None) -> float:
    """The share of users' requests over the last `window_s` that were answered well and in time, 0..1."""
    with looking(configuration) as parts:
        return round(parts.telemetry.last(window_s).user_sli, 4)


def objectives_met(window_s: float = WINDOW_S, configuration: Configuration = None) -> float:
    """The share, 0..1, of the users and the five services that were inside their objectives over the last
    `window_s`."""
    with looking(configuration) as parts:
        snapshot = parts.telemetry.last(window_s)
    well = [not service_breaches(snapshot, service) for service in Service]
    well.append(snapshot.user_sli >= OBJECTIVES.user_sli)
    return round(sum(well) / len(well), 4)


def steady(
    window_s: float = WINDOW_S, within_s: float = 10.0, configuration: Configuration = None, *, clock: Clock = CLOCK
) -> bool:
    """Whether the lab is in steady state for `window_s`: every objective is met, on the steady releases and limits.

    A busy machine has until `within_s` to get there."""
    with looking(configuration) as parts:
        try:
            _await_steady(parts, window_s, within_s, clock)
        except WorldError as error:
            _logger.warning(str(error))
            return False
    return True


def objectives_restored(
    within_s: float = 30.0, window_s: float = WINDOW_S, configuration: Configuration = None, *, clock: Clock = CLOCK
) -> float:
    """Wait until every objective has been met again for `window_s`. Returns the seconds that it took.

    Fails if that takes longer than `within_s`, and says which objectives are still missed."""
    began_s = clock.now()
    with looking(configuration) as parts:
        _await_steady(parts, window_s, within_s, clock)
    return round(clock.now() - began_s, 1)


def objective_lost(
    service: str,
    within_s: float = 20.0,
    window_s: float = WINDOW_S,
    configuration: Configuration = None,
    *,
    clock: Clock = CLOCK,
) -> list[str]:
    """Wait until the service has missed an objective for `window_s` without a break.

    Fails if that does not happen within `within_s`. Returns every objective that is missed then, by any service."""
    with as_activity_failures():
        named = parse_service(service)
    lost_since = None
    with looking(configuration) as parts:
        deadline = clock.now() + within_s
        while clock.now() < deadline:
            snapshot = parts.telemetry.last(window_s)
            if not service_breaches(snapshot, named):
                lost_since = None
            elif lost_since is None:
                lost_since = clock.now()
            elif clock.now() - lost_since >= window_s:
                return breaches(snapshot)
            clock.sleep(POLL_S)
    raise ActivityFailed(f"{named} does not miss an objective for {window_s:g} s within {within_s:g} s; {_NEXT}")


def blast_radius(
    spared: Sequence[str], over_s: float = 4.0, configuration: Configuration = None, *, clock: Clock = CLOCK
) -> dict[str, float]:
    """Measure how users fare over the next `over_s`. Returns the share of each journey's requests that went well.

    `spared` names journeys that should not be hit: browse, sign_in or check_out. Fails if one of them misses the users'
    objective."""
    unknown = sorted(set(spared) - set(Journey))
    if unknown:
        raise ActivityFailed(f"unknown journey {unknown[0]!r}; one of: {', '.join(Journey)}")
    with looking(configuration) as parts:
        window = parts.telemetry.open_window()
        # This is not a wait for a condition: the interval itself is measured.
        clock.sleep(over_s)
        snapshot = parts.telemetry.measure(window)
    shares = {journey.value: _share(count) for journey, count in snapshot.journeys.items()}
    for name in spared:
        if shares[name] < OBJECTIVES.user_sli:
            raise ActivityFailed(
                f"{name} should be spared, but only {shares[name]:.3f} of its requests went well over {over_s:g} s, "
                f"objective {OBJECTIVES.user_sli:g}; {_NEXT}"
            )
    return shares


def service_up(service: str, window_s: float = WINDOW_S, configuration: Configuration = None) -> bool:
    """Whether the service answered Prometheus' last scrape."""
    with as_activity_failures():
        row = SERVICE_ROW[parse_service(service)]
    with looking(configuration) as parts:
        return bool(parts.telemetry.last(window_s).features[row, FEATURE_COLUMN[Feature.UP]] == 1.0)


def release(service: str, configuration: Configuration = None) -> str:
    """The release of the service's container, such as 1.4.0, whether it runs or not."""
    with as_activity_failures():
        named = parse_service(service)
    with looking(configuration) as parts:
        state = parts.fleet.state(named)
    if state is None:
        raise ActivityFailed(f"{named} has no container; next: mirr up")
    return shown(state.release)


def open_faults(configuration: Configuration = None) -> list[str]:
    """The faults that are injected and not reverted, each as MODE:SERVICE, no matter who injected them."""
    with looking(configuration) as parts:
        return [str(fault) for fault in parts.chaos.open_faults()]


def _share(count: JourneyCount) -> float:
    return round(1.0 - count.failed / count.requests, 4) if count.requests else 0.0


def _await_steady(parts: Parts, window_s: float, within_s: float, clock: Clock) -> None:
    not_before = clock.now() + window_s
    wait_until_steady(
        parts.telemetry,
        timeout_s=within_s,
        window_s=window_s,
        poll_s=POLL_S,
        problems_in=lambda snapshot: held_since(snapshot, not_before, now=clock.now),
        now=clock.now,
        sleep=clock.sleep,
    )
