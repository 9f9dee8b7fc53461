"""What a Chaos Toolkit experiment can do to a lab. Each action holds the lab's lock while it acts."""

# No `from __future__ import annotations`: the toolkit's discovery reads types, not their names. It leaves out what is
# keyword-only, so clocks do not show.

from chaoslib.exceptions import ActivityFailed  # type: ignore[import-untyped]  # chaostoolkit-lib ships no types
from chaoslib.types import Configuration  # type: ignore[import-untyped]  # chaostoolkit-lib ships no types

from mirr.env.vocabulary import Fault, Fix, Restart, Rollback, ScaleUp, parse_mode, parse_service
from mirr.interfaces.chaostoolkit.connection import CLOCK, Clock, acting, lab_name, told, world_of

__all__ = ["end_fault", "inject", "restart", "revert", "rollback", "scale_up"]


def inject(mode: str, service: str, configuration: Configuration = None, *, clock: Clock = CLOCK) -> str:
    """Break a service, and wait until the fault has landed: `mode` is crashed, memory_leak, overloaded or bad_deploy.

    The fault is leased to the run: what is made of traffic is renewed every few seconds for as long as the toolkit
    lives, and ends by itself when it is gone, SIGKILL included. Put `revert` into the rollbacks all the same. Returns
    what was injected, as MODE:SERVICE.
    """
    with told():
        fault = Fault(parse_mode(mode), parse_service(service))
    with acting(configuration, f"inject {fault}") as parts:
        world_of(parts, clock).inject(fault)
    return str(fault)


def end_fault(mode: str, service: str, configuration: Configuration = None) -> str:
    """Let a fault end as incidents end without anybody's fix: the crowd goes home; the leaking client goes away and a
    new process takes over; what was killed is started; what was deployed is rolled back.

    It is no remedy to be tested, so see the fix work first. Returns what was ended, as MODE:SERVICE.
    """
    with told():
        fault = Fault(parse_mode(mode), parse_service(service))
    with acting(configuration, f"end {fault}") as parts:
        parts.chaos.end(fault)
    return str(fault)


def restart(service: str, configuration: Configuration = None, *, clock: Clock = CLOCK) -> str:
    """End the service's process and start it again, same release. Returns at once; wait with `objectives_restored`."""
    with told():
        fix = Restart(parse_service(service))
    return _apply(fix, "restart", configuration, clock)


def rollback(service: str, configuration: Configuration = None, *, clock: Clock = CLOCK) -> str:
    """Go back to the release before the current one; fails where there is none. Returns at once; wait with
    `objectives_restored`."""
    with told():
        fix = Rollback(parse_service(service))
    return _apply(fix, "rollback", configuration, clock)


def scale_up(service: str, configuration: Configuration = None, *, clock: Clock = CLOCK) -> str:
    """Double the service's CPU quota; fails where it does not run or has its largest size. Returns at once; wait with
    `objectives_restored`."""
    with told():
        fix = ScaleUp(parse_service(service))
    return _apply(fix, "scale_up", configuration, clock)


def revert(configuration: Configuration = None, *, clock: Clock = CLOCK) -> str:
    """Put everything back to how the lab was made, whoever broke it, and wait until steady state is measured.

    For the rollbacks. Fails while another command works on the lab, so that it ends nobody else's episode.
    """
    with acting(configuration, "revert") as parts:
        # The load generator has a seed of its own, so a World of containers draws nothing from this one.
        world_of(parts, clock).restore(key=0)
        return f"lab {lab_name(configuration)} is in steady state"


def _apply(fix: Fix, name: str, configuration: Configuration, clock: Clock) -> str:
    with acting(configuration, f"{name} {fix.service}") as parts:
        result = world_of(parts, clock).apply(fix)
    if not result.accepted:
        raise ActivityFailed(f"{result.text}; next: mirr status")
    return result.text
