"""What a Chaos Toolkit experiment can ask of a lab. Probes only look; those that wait have a deadline."""

# No `from __future__ import annotations`: the toolkit's discovery reads types, not their names.

import logging
from collections.abc import Sequence

from chaoslib.exceptions import ActivityFailed  # type: ignore[import-untyped]  # chaostoolkit-lib ships no types
from chaoslib.types import Configuration  # type: ignore[import-untyped]  # chaostoolkit-lib ships no types

from mirr.bridge.assembly import Parts
from mirr.bridge.steady import wait_until_steady
from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES, SERVICE_ROW, breaches, service_breaches
from mirr.env.vocabulary import Feature, Journey, Service, parse_service
from mirr.env.world import JourneyCount, Snapshot, WorldError
from mirr.interfaces.chaostoolkit.connection import CLOCK, Clock, looking, told

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

_logger = logging.getLogger("chaostoolkit")  # what is said there appears in the run's own log


def user_sli(window_s: float = WINDOW_S, configuration: Configuration = None) -> float:
    """The share of users' requests over the last `window_s` that were answered well and in time, 0..1."""
    with looking(configuration) as parts:
        return round(parts.telemetry.last(window_s).user_sli, 4)


def objectives_met(window_s: float = WINDOW_S, configuration: Configuration = None) -> float:
    """The share of those who have objectives, the users and each of the five services, that were inside them over the
    last `window_s`, 0..1."""
    with looking(configuration) as parts:
        snapshot = parts.telemetry.last(window_s)
    well = [not service_breaches(snapshot, service) for service in Service]
    well.append(snapshot.user_sli >= OBJECTIVES.user_sli)
    return round(sum(well) / len(well), 4)


def steady(
    window_s: float = WINDOW_S, within_s: float = 10.0, configuration: Configuration = None, *, clock: Clock = CLOCK
) -> bool:
    """Whether the lab is in steady state: users and every service inside every objective, each on its steady release
    and limits, for `window_s`. A busy machine is given until `within_s`."""
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
    """Wait until users and every service are back inside every objective for `window_s`; fails, with what is still
    missed, where that takes longer than `within_s`. Returns the seconds it took."""
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
    """Wait until the service has missed an objective for `window_s` running; fails where that does not happen within
    `within_s`. Returns, in words, every objective missed then, by whomever."""
    with told():
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
    """Measure what users feel over the `over_s` that follow; fails where one of the `spared` journeys (browse,
    sign_in, check_out) misses the users' objective. Returns the share of each journey's requests that went well."""
    unknown = sorted(set(spared) - set(Journey))
    if unknown:
        raise ActivityFailed(f"unknown journey {unknown[0]!r}; one of: {', '.join(Journey)}")
    with looking(configuration) as parts:
        window = parts.telemetry.open_window()
        # The interval is what is being measured, not something to wait for.
        clock.sleep(over_s)
        snapshot = parts.telemetry.measure(window)
    shares = {journey.value: _share(count) for journey, count in snapshot.journeys.items()}
    for name in spared:
        if shares[name] < OBJECTIVES.user_sli:
            raise ActivityFailed(
                f"{name} was to be spared, but only {shares[name]:.3f} of its requests went well over {over_s:g} s, "
                f"objective {OBJECTIVES.user_sli:g}; {_NEXT}"
            )
    return shares


def service_up(service: str, window_s: float = WINDOW_S, configuration: Configuration = None) -> bool:
    """Whether the service answered Prometheus' last scrape."""
    with told():
        row = SERVICE_ROW[parse_service(service)]
    with looking(configuration) as parts:
        return bool(parts.telemetry.last(window_s).features[row, FEATURE_COLUMN[Feature.UP]] == 1.0)


def release(service: str, configuration: Configuration = None) -> str:
    """The release of the service's container, running or not, as in 1.4.0."""
    with told():
        named = parse_service(service)
    with looking(configuration) as parts:
        state = parts.fleet.state(named)
    if state is None:
        raise ActivityFailed(f"{named} has no container; next: mirr up")
    return state.release


def open_faults(configuration: Configuration = None) -> list[str]:
    """What is injected and not put back, each as MODE:SERVICE, whoever injected it."""
    with looking(configuration) as parts:
        return [str(fault) for fault in parts.chaos.open_faults()]


def _share(count: JourneyCount) -> float:
    return round(1.0 - count.failed / count.requests, 4) if count.requests else 0.0


def _await_steady(parts: Parts, window_s: float, within_s: float, clock: Clock) -> None:
    # The window has to lie wholly behind whatever was done just before.
    not_before = clock.now() + window_s

    def problems(snapshot: Snapshot) -> list[str]:
        return breaches(snapshot) or (["it has not held long enough"] if clock.now() < not_before else [])

    wait_until_steady(
        parts.telemetry,
        timeout_s=within_s,
        window_s=window_s,
        poll_s=POLL_S,
        problems_in=problems,
        now=clock.now,
        sleep=clock.sleep,
    )
