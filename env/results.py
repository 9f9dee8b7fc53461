"""What a world answers to an action: one table of sentences, by the kind of action and the reason."""

from __future__ import annotations

from functools import lru_cache

from mirr.env.vocabulary import (
    STEADY_RELEASE,
    Action,
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    Reason,
    Restart,
    Rollback,
    ScaleUp,
    Wait,
    action_text,
)
from mirr.env.world import ActionResult, LogLine

TEXTS: dict[tuple[type[Action], Reason], str] = {
    (Wait, Reason.DONE): "waited",
    (CheckLogs, Reason.DONE): "{log_lines} lines of {service}'s log",
    (Diagnose, Reason.DONE): "diagnosis noted: {mode} on {service}",
    (DiagnoseNone, Reason.DONE): "diagnosis noted: nothing is broken",
    (Restart, Reason.DONE): "{service} is restarting",
    (Rollback, Reason.DONE): "{service} is going back to release {release}",
    (Rollback, Reason.NO_EARLIER_RELEASE): "{service} has no earlier release",
    (ScaleUp, Reason.DONE): "{service} has twice the CPU quota now",
    (ScaleUp, Reason.NOT_RUNNING): "{service} is not running, nothing to scale",
    (ScaleUp, Reason.LARGEST_SIZE): "{service} is already at its largest size",
}
"""The sentence for each kind of action and reason. A pair that is not here cannot happen."""


def reasons_for(action: Action) -> tuple[Reason, ...]:
    """Every reason that can answer `action`, in the order of `Reason`."""
    return tuple(reason for reason in Reason if (type(action), reason) in TEXTS)


def result_text(action: Action, reason: Reason, *, log_lines: int = 0, release: str = STEADY_RELEASE) -> str:
    """The sentence for `action` and `reason`. `log_lines` is how many lines were read; `release` is the one that a
    rollback goes back to. Raises ValueError if `reason` cannot answer this action."""
    try:
        text = TEXTS[type(action), reason]
    except KeyError as error:
        possible = ", ".join(reasons_for(action))
        raise ValueError(f"{reason} cannot answer {action_text(action)}; one of: {possible}") from error
    return text.format(log_lines=log_lines, release=release, **vars(action))


def result_of(
    action: Action, reason: Reason = Reason.DONE, *, logs: tuple[LogLine, ...] = (), release: str = STEADY_RELEASE
) -> ActionResult:
    """The value that every world returns from `apply`. Raises ValueError as `result_text` does."""
    if not logs:
        return _result_without_logs(action, reason, release)
    return ActionResult(
        reason=reason, text=result_text(action, reason, log_lines=len(logs), release=release), logs=logs
    )


@lru_cache(maxsize=1024)  # nearly every step asks for one of a few
def _result_without_logs(action: Action, reason: Reason, release: str) -> ActionResult:
    return ActionResult(reason=reason, text=result_text(action, reason, release=release))
