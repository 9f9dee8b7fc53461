"""What agents that read are told: what an incident is, what they can do, how it is judged. One text for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mirr.env.objectives import OBJECTIVES
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import (
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    FaultMode,
    Restart,
    Rollback,
    ScaleUp,
    Wait,
)

ActionType = (
    type[Wait] | type[CheckLogs] | type[Diagnose] | type[DiagnoseNone] | type[Restart] | type[Rollback] | type[ScaleUp]
)


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A kind of action, as a tool."""

    name: str
    title: str
    says: str
    service: bool = False  # whether it takes a service
    mode: bool = False  # whether it takes a fault mode


VERBS: Final[dict[ActionType, Verb]] = {
    Wait: Verb(name="wait", title="Wait", says="Do nothing, and see what the next step brings."),
    CheckLogs: Verb(name="check_logs", title="Check a log", says="Read a service's recent log lines.", service=True),
    Diagnose: Verb(
        name="diagnose",
        title="Commit to a diagnosis",
        says="Say which service is broken, and how. It cannot be taken back.",
        service=True,
        mode=True,
    ),
    Restart: Verb(
        name="restart",
        title="Restart a service",
        says="End its process and start it again, on the same release.",
        service=True,
    ),
    Rollback: Verb(
        name="rollback",
        title="Roll a service back",
        says="Go back to the release before this one, where there is one.",
        service=True,
    ),
    ScaleUp: Verb(name="scale_up", title="Scale a service up", says="Double its CPU quota; once.", service=True),
    DiagnoseNone: Verb(
        name="diagnose_none",
        title="Commit to a false alarm",
        says="Say that nothing is broken, and the alarm is false. It cannot be taken back.",
    ),
}
"""Every kind of action."""

SERVICE_SAYS: Final = "which service"

MODES: Final[dict[FaultMode, str]] = {
    FaultMode.CRASHED: "its process has ended",
    FaultMode.MEMORY_LEAK: "it keeps more and more memory",
    FaultMode.OVERLOADED: "it is offered more than its CPU can do",
    FaultMode.BAD_DEPLOY: "its current release is faulty",
}
"""What each mode means."""

MODE_SAYS: Final = f"what is wrong with it: {', '.join(f'{mode} ({says})' for mode, says in MODES.items())}"


def verbs_of(config: EpisodeConfig) -> list[Verb]:
    """The kinds of action that an episode has."""
    return [verb for kind, verb in VERBS.items() if config.none_diagnosis or kind is not DiagnoseNone]


def duty(config: EpisodeConfig) -> str:
    """Who the agent is, what may be broken, and what to do about it."""
    what = (
        "Something may be broken: one service or two, from the beginning or later on; or nothing is, and the alarm is "
        "false. Faults may also end by themselves."
        if config.none_diagnosis
        else "One of them is broken."
    )
    return (
        "You are on call for five services under real traffic: gateway, auth, inventory, orders, payments. gateway "
        f"calls auth, inventory and orders; orders calls inventory and payments. {what} Find out what, commit to a "
        f"diagnosis, and fix it, within {config.max_steps} steps."
    )


def judgement() -> str:
    """What counts, what costs, and how an episode ends."""
    return (
        "A diagnosis counts only before the fix, and the first commitment counts. "
        "Restarting, rolling back or scaling what is healthy does harm and costs. The episode ends when every service "
        "and the users are inside their objectives for 2 steps running, when almost nothing works for the users for 3, "
        f"or when no steps are left. Objectives: {OBJECTIVES.user_sli:.0%} of the users' requests go well; each "
        f"service's error ratio is at most {OBJECTIVES.error_ratio:g}, its latency p95 at most "
        f"{OBJECTIVES.latency_p95_s:g} s, its memory share at most {OBJECTIVES.memory_share:g}."
    )
