"""What the contract says about faults and fixes: an objective is lost until the right fix, and then all are met."""

from __future__ import annotations

import itertools

from mirr.chaos.faults import form_of
from mirr.env.objectives import OBJECTIVES, breaches, service_breaches
from mirr.env.vocabulary import (
    REMEDY,
    Breaks,
    CheckLogs,
    Ends,
    Event,
    Fault,
    Fix,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
)
from mirr.env.world import ActionResult, Snapshot, World

FIXES: tuple[type[Restart] | type[Rollback] | type[ScaleUp], ...] = (Restart, Rollback, ScaleUp)
STEPS_TO_SHOW = 5  # a leak that begins during an episode breaks the memory objective within these steps
STEPS_TO_RECOVER = 8  # a service that was overloaded first works off its queue
STEP_S = 2.0


def step(world: World, action: Wait | CheckLogs | Fix | None = None) -> tuple[ActionResult, Snapshot]:
    """Take an action and let one step pass."""
    result = world.apply(action or Wait())
    world.advance(STEP_S)
    return result, world.observe()


def lost(snapshot: Snapshot, service: Service) -> bool:
    """Whether the users or the service miss an objective."""
    return snapshot.user_sli < OBJECTIVES.user_sli or bool(service_breaches(snapshot, service))


def loses(world: World, service: Service, *, within_steps: int) -> bool:
    """Step until an objective is missed; False if none is missed in time."""
    return any(lost(step(world)[1], service) for _ in range(within_steps))


def recovers(world: World) -> bool:
    """Step until every objective is met for two steps in a row; False if that does not come in time."""
    met = (not breaches(step(world)[1]) for _ in range(STEPS_TO_RECOVER))
    return any(earlier and later for earlier, later in itertools.pairwise(met))


def after_every_fix(world: World, fault: Fault) -> list[str]:
    """Try the wrong fixes and then the right one. Returns a sentence if a fix did what it must not do, or else []."""
    for wrong in FIXES:
        if wrong is REMEDY[fault.mode]:
            continue
        step(world, wrong(fault.service))
        relief_steps = form_of(fault).relief_steps if wrong is Restart else 0
        if not loses(world, fault.service, within_steps=1 + relief_steps):
            return [f"{wrong.__name__} helped against {fault}"]
    result, _ = step(world, REMEDY[fault.mode](fault.service))
    if not result.accepted:
        return [f"the remedy of {fault} was refused: {result.text}"]
    return [] if recovers(world) else [f"the remedy of {fault} did not bring back steady state"]


def begun_and_ended(world: World, fault: Fault) -> list[str]:
    """Let a fault begin during an episode and end by itself. Returns a sentence if that has not the usual effect, or
    else []."""
    step(world)
    _happen(world, Breaks(fault))
    if not loses(world, fault.service, within_steps=STEPS_TO_SHOW):
        return [f"{fault} began and broke no objective"]
    _happen(world, Ends(fault))
    return [] if recovers(world) else [f"{fault} ended, and steady state did not come back"]


def _happen(world: World, event: Event) -> None:
    world.apply(Wait())
    world.happen(event)
    world.advance(STEP_S)
    world.observe()
