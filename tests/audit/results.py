"""The closed set of what a world may say of an action: each a function of the action and of what an engineer sees."""

from __future__ import annotations

from typing import assert_never

from mirr.env.vocabulary import (
    STEADY_RELEASE,
    Action,
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    Restart,
    Rollback,
    ScaleUp,
    Wait,
)
from tests.audit.transcript import Seen

REFUSALS = ("has no earlier release", "is already at its largest size", "is not running, nothing to scale")
"""How a result ends where there was nothing to act on."""


def allowed_results(action: Action | None, lines: int) -> tuple[str, ...]:
    """Every text that may answer `action`, which showed so many log lines."""
    match action:
        case None:
            return ("",)
        case Wait():
            return ("waited",)
        case Diagnose(service, mode):
            return (f"diagnosis noted: {mode} on {service}",)
        case DiagnoseNone():
            return ("diagnosis noted: nothing is broken",)
        case CheckLogs(service):
            return (f"{lines} lines of {service}'s log",)
        case Restart(service):
            return (f"{service} is restarting",)
        case Rollback(service):
            return (f"{service} has no earlier release", f"{service} is going back to release {STEADY_RELEASE}")
        case ScaleUp(service):
            return (
                f"{service} has twice the CPU quota now",
                f"{service} is already at its largest size",
                f"{service} is not running, nothing to scale",
            )
        case _:
            assert_never(action)


def result_problem(seen: Seen) -> str | None:
    """What is wrong with the result of the action, or None."""
    allowed = allowed_results(seen.action, len(seen.observation.logs))
    said = seen.observation.last_result
    if said not in allowed:
        return f"the result of {seen.action} is {said!r}; one of: {'; '.join(repr(text) for text in allowed)}"
    if seen.observation.last_accepted == said.endswith(REFUSALS):
        return f"last_accepted is {seen.observation.last_accepted} where the result of {seen.action} is {said!r}"
    return None
