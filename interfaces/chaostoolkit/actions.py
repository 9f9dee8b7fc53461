"""The actions of a Chaos Toolkit experiment on a lab. Each one holds the lab's lock while it acts."""

# No `from __future__ import annotations`: the toolkit's discovery reads types, not their names. It leaves out
# keyword-only arguments, so clocks do not show.

from chaoslib.exceptions import ActivityFailed  # type: ignore[import-untyped]  # chaostoolkit-lib ships no types
from chaoslib.types import Configuration  # type: ignore[import-untyped]  # chaostoolkit-lib ships no types

from mirr.env.vocabulary import Fault, Fix, Restart, Rollback, ScaleUp, parse_service
from mirr.interfaces.chaostoolkit.connection import CLOCK, Clock, acting, as_activity_failures, lab_name, world_of

__all__ = ["end_fault", "inject", "restart", "revert", "rollback", "scale_up"]


def inject(mode: str, service: str, configuration: Configuration = None, *, clock: Clock = CLOCK) -> str:
    """Inject a fault into a service, and wait until it has landed.

    `mode` is a fault mode, such as bad_deploy, or a mode and its form, such as bad_deploy/errors.

    The fault is leased to the run. While the toolkit lives, the lease is renewed every few seconds. When the toolkit
    is gone, even by SIGKILL, the fault ends by itself. Put `revert` into the rollbacks anyway. Returns what was
    injected, as MODE:SERVICE.
    """
    with as_activity_failures():
        fault = Fault.parse(f"{mode}:{service}")
    with acting(configuration, f"inject {fault}") as parts:
        world_of(parts, clock).inject(fault)
    return str(fault)


def end_fault(mode: str, service: str, configuration: Configuration = None) -> str:
    """Let a fault end by itself, without anybody's fix: a crowd goes home, for example.

    This is not the fix under test, so wait first until the fix has worked. Returns what was ended, as MODE:SERVICE.
    """
    with as_activity_failures():
        fault = Fault.parse(f"{mode}:{service}")
    with acting(configuration, f"end {fault}") as parts:
        parts.chaos.end(fault)
    return str(fault)


def restart(service: str, configuration: Configuration = None, *, clock: Clock = CLOCK) -> str:
    """End the service's process and start it again, same release. Returns at once; wait with `objectives_restored`."""
    with as_activity_failures():
        fix = Restart(parse_service(service))
    return _apply(fix, "restart", configuration, clock)


def rollback(service: str, configuration: Configuration = None, *, clock: Clock = CLOCK) -> str:
    """Go back to the release before the current one; fails if there is none. Returns at once; wait with
    `objectives_restored`."""
    with as_activity_failures():
        fix = Rollback(parse_service(service))
    return _apply(fix, "rollback", configuration, clock)


def scale_up(service: str, configuration: Configuration = None, *, clock: Clock = CLOCK) -> str:
    """Double the service's CPU quota; fails if it does not run or has its largest size. Returns at once; wait with
    `objectives_restored`."""
    with as_activity_failures():
        fix = ScaleUp(parse_service(service))
    return _apply(fix, "scale_up", configuration, clock)


def revert(configuration: Configuration = None, *, clock: Clock = CLOCK) -> str:
    """Revert everything that was injected or left broken, no matter who did it. Wait until steady state is measured.

    It is meant for the rollbacks. It fails while another command works on the lab, so it never ends somebody else's
    episode.
    """
    with acting(configuration, "revert") as parts:
        # The load generator has a seed of its own, so a World of containers draws nothing from this key.
        world_of(parts, clock).restore(key=0)
        return f"lab {lab_name(configuration)} is in steady state"


def _apply(fix: Fix, name: str, configuration: Configuration, clock: Clock) -> str:
    with acting(configuration, f"{name} {fix.service}") as parts:
        result = world_of(parts, clock).apply(fix)
    if not result.accepted:
        raise ActivityFailed(f"{result.text}; next: mirr status")
    return result.text
