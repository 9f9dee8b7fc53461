"""Waits until a lab is in steady state."""

from __future__ import annotations

import time
from collections.abc import Callable

from mirr.bridge.telemetry import Measures
from mirr.env.objectives import breaches
from mirr.env.world import Snapshot, WorldError

NOT_LONG_ENOUGH = "it has not held long enough"


def wait_until_steady(
    telemetry: Measures,
    *,
    timeout_s: float,
    window_s: float = 1.5,
    poll_s: float = 0.2,
    problems_in: Callable[[Snapshot], list[str]] = breaches,
    on_problems: Callable[[list[str]], None] = lambda problems: None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once there are no problems over `window_s`. Raises WorldError with the problems after `timeout_s`.

    `problems_in` finds the problems in a snapshot: by default, each objective that is missed. `on_problems` gets them
    after every look that found some.
    """
    deadline = now() + timeout_s
    while problems := steady_problems(telemetry, window_s, problems_in):
        on_problems(problems)
        if now() > deadline:
            raise WorldError(
                f"the lab is not in steady state after {timeout_s:g} s: {'; '.join(problems)}; "
                "next: mirr logs SERVICE, or mirr down and mirr up"
            )
        sleep(poll_s)


def held_since(snapshot: Snapshot, not_before: float, *, now: Callable[[], float]) -> list[str]:
    """The objectives that are missed, as texts. If none is missed but it is earlier than `not_before`, one text says
    that it is too early: the whole window must come after the last act."""
    return breaches(snapshot) or ([NOT_LONG_ENOUGH] if now() < not_before else [])


def steady_problems(
    telemetry: Measures, window_s: float, problems_in: Callable[[Snapshot], list[str]] = breaches
) -> list[str]:
    """The problems over the last `window_s`, as texts. There are none in steady state."""
    try:
        return problems_in(telemetry.last(window_s))
    except WorldError as error:
        # Prometheus or the load generator may have just started, and then answers soon. The caller has the deadline.
        return [str(error)]
