"""Makes the tables of docs/environment.md from the code. `python -m tests.env.environment_page` writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import fields

from mirr.env.forms import all_forms
from mirr.env.logs import LogNumber
from mirr.env.objectives import OBJECTIVES, Objectives
from mirr.env.reward import REWARDS, Outcome, RewardTable
from mirr.env.scenario import EpisodeConfig
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import (
    PACK_ACTIONS,
    REMEDY,
    Action,
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    FaultMode,
    Feature,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Tier,
    Wait,
    action_text,
)
from mirr.interfaces.gymnasium_envs.spaces import MOST
from tests.paths import ROOT

PAGE = ROOT / "docs" / "environment.md"

FEATURE_TEXTS: dict[Feature, tuple[str, str]] = {
    Feature.UP: ("1", "1 if the last scrape succeeded, else 0; exact, and never missing"),
    Feature.REQUEST_RATE: ("1/s", "requests finished"),
    Feature.ERROR_RATIO: ("ratio", "answers of 5xx among all answers"),
    Feature.LATENCY_P95_S: ("s", "95th percentile, linear within a histogram's bucket"),
    Feature.CPU_SHARE: ("ratio", "CPU used of the CPU quota"),
    Feature.MEMORY_SHARE: (
        "ratio",
        "resident memory / memory limit; the OOM killer comes at about 1.07, for it counts fewer pages",
    ),
    Feature.IN_FLIGHT: ("1", "requests being worked on, at the last scrape of the step"),
}
"""The unit and the meaning of each feature."""

FEATURE_OBJECTIVES: dict[Feature, str] = {
    Feature.UP: "1",
    Feature.REQUEST_RATE: f"at least {OBJECTIVES.request_rate:g}",
    Feature.ERROR_RATIO: f"at most {OBJECTIVES.error_ratio:g}",
    Feature.LATENCY_P95_S: f"at most {OBJECTIVES.latency_p95_s:g}",
    Feature.MEMORY_SHARE: f"at most {OBJECTIVES.memory_share:g}",
}

ACTION_TEXTS: dict[type[Action], str] = {
    Wait: "lets a step pass",
    CheckLogs: "the service's recent log lines come with the next observation",
    Diagnose: "commits to which service is broken, and how; the first commitment counts",
    Restart: "ends the service's process and starts it again, same release",
    Rollback: "goes back to the release before the current one, if there is one",
    ScaleUp: "doubles the service's CPU quota, once an episode",
    DiagnoseNone: "commits to a false alarm; only in scenario packs and on `hard`",
}

REWARD_TEXTS: dict[str, str] = {
    "correct_diagnosis": "a correct diagnosis, if it is the first and comes before the right fix",
    "wrong_diagnosis": "a wrong first diagnosis",
    "fix_diagnosed": "the right fix on the right service, after a correct diagnosis",
    "fix_undiagnosed": "the right fix on the right service, without a correct diagnosis",
    "wrong_fix": "a fix of the wrong kind, or on the wrong service; each time",
    "recovery": "full recovery, if the correct diagnosis came before the right fix",
    "recovery_per_step_left": "with a full recovery, for each step left",
    "collapse": "collapse",
}

NOT_PAID = frozenset({"recovery_steps", "collapse_steps"})

OUTCOME_TEXTS: dict[Outcome, tuple[str, str]] = {
    Outcome.RESOLVED: (
        "terminated",
        f"it is fixed, and users and every service met their objectives for {REWARDS.recovery_steps} steps running",
    ),
    Outcome.COLLAPSED: (
        "terminated",
        f"the users' SLI was at or below {OBJECTIVES.collapse_sli:g} for {REWARDS.collapse_steps} steps running",
    ),
    Outcome.EXHAUSTED: ("truncated", f"{EpisodeConfig().max_steps} steps were taken"),
    Outcome.VOID: (
        "`WorldError`",
        "the world failed, for example because the engine stopped; this says nothing about the agent",
    ),
}

OBJECTIVE_TEXTS: dict[str, tuple[str, str]] = {
    "user_sli": ("ratio", "at least this share of users' requests went well"),
    "user_rate_per_s": ("1/s", "at least this rate of users' requests: no traffic is no service"),
    "request_rate": ("1/s", "at least, of each service"),
    "error_ratio": ("ratio", "at most, of each service"),
    "latency_p95_s": ("s", "at most, of each service"),
    "memory_share": ("ratio", "at most, of each service"),
    "collapse_sli": ("ratio", "at or below this nothing works for the users"),
}

CONFIG_TEXTS: dict[str, tuple[str, str]] = {
    "step_s": ("s", "how much of the services' time a step takes"),
    "max_steps": ("1", "steps of an episode"),
    "noise": ("ratio", "half-width of the observation noise"),
    "none_diagnosis": ("flag", "whether `diagnose(none)` is an action"),
}

LOG_TEXTS: dict[LogNumber, tuple[str, str]] = {
    LogNumber.READ: ("1", "1 if it was read"),
    LogNumber.STEPS_AGO: ("steps", "how long ago it was read; 0 if that was the last action"),
    LogNumber.STARTS: ("lines", "starts of the process that the log shows; at most the last 3"),
    LogNumber.ERRORS: ("events", "different errors, each counted once"),
    LogNumber.WARNINGS: ("upstreams", "to which calls failed, each counted once"),
    LogNumber.TURNED_AWAY: ("flag", "1 if requests were turned away"),
    LogNumber.OTHER_RELEASE: ("flag", "1 if the last start was of another release than that of steady state"),
}
"""The unit and the meaning of what a log tells."""

Row = tuple[object, ...]


def _table(heads: Row, rows: Iterable[Row]) -> str:
    head, *body = ("| " + " | ".join(str(cell) for cell in line) + " |" for line in (heads, *rows))
    return "\n".join([head, "|---" * len(heads) + "|", *body])


def _features() -> str:
    rows = []
    for column, feature in enumerate(Feature):
        unit, text = FEATURE_TEXTS[feature]
        rows.append(
            (column, f"`{feature}`", unit, f"0 to {MOST[feature]:g}", FEATURE_OBJECTIVES.get(feature, "-"), text)
        )
    return _table(("column", "feature", "unit", "range", "objective", "what it is"), rows)


def _services() -> str:
    return _table(("row", "service"), [(row, f"`{service}`") for row, service in enumerate(Service)])


def _actions() -> str:
    rows = []
    for kind, text in ACTION_TEXTS.items():
        numbers = [number for number, action in enumerate(PACK_ACTIONS) if type(action) is kind]
        names = [f"`{action_text(PACK_ACTIONS[number])}`" for number in numbers]
        shown = names if len(names) <= 2 else [names[0], "...", names[-1]]
        rows.append((f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else numbers[0], " ".join(shown), text))
    return _table(("number", "action", "what it does"), sorted(rows, key=lambda row: int(str(row[0]).split()[0])))


def _rewards() -> str:
    rows = []
    for field in fields(RewardTable):
        if field.name not in NOT_PAID:
            value = getattr(REWARDS, field.name)
            rows.append((REWARD_TEXTS[field.name], f"{value:+g}"))
    return _table(("event", "reward"), [*rows, ("anything else", "0")])


def _outcomes() -> str:
    return _table(
        ("outcome", "how it shows", "when"),
        [(f"`{outcome}`", *OUTCOME_TEXTS[outcome]) for outcome in Outcome],
    )


def _remedies() -> str:
    names = {Restart: "restart", Rollback: "rollback", ScaleUp: "scale_up"}
    return _table(("mode", "what fixes it"), [(f"`{mode}`", f"`{names[REMEDY[mode]]}`") for mode in FaultMode])


def _defaults(of: type[Objectives] | type[EpisodeConfig], texts: dict[str, tuple[str, str]]) -> str:
    defaults = of()
    rows = [(f"`{field.name}`", getattr(defaults, field.name), *texts[field.name]) for field in fields(of)]
    return _table(("name", "default", "unit", "what it is"), rows)


def _logs() -> str:
    rows = [(column, f"`{number}`", *LOG_TEXTS[number]) for column, number in enumerate(LogNumber)]
    return _table(("column", "number", "unit", "what it is"), rows)


def _tiers() -> str:
    return _table(("tier", "what a seed draws"), [(f"`{tier}`", TIERS[tier].says) for tier in Tier])


def _forms() -> str:
    rows = []
    for mode, named in all_forms().items():
        for name, form in named.items():
            size = form.severity
            severity = "-" if size is None else f"{size.least:g} to {size.most:g}, usually {size.usual:g}, {size.unit}"
            rows.append((f"`{mode}/{name}`", severity))
    return _table(("form", "severity"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "forms": _forms,
    "logs": _logs,
    "tiers": _tiers,
    "services": _services,
    "features": _features,
    "actions": _actions,
    "rewards": _rewards,
    "outcomes": _outcomes,
    "remedies": _remedies,
    "objectives": lambda: _defaults(Objectives, OBJECTIVE_TEXTS),
    "config": lambda: _defaults(EpisodeConfig, CONFIG_TEXTS),
}
"""The functions that make the tables. The keys are the names in the marks of the page."""


def filled(text: str) -> str:
    """The text of the page, with all tables made from the code."""
    parts = re.split(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", text, flags=re.DOTALL)
    before, begins, names, ends = parts[0::4], parts[1::4], parts[2::4], parts[3::4]
    if sorted(names) != sorted(TABLES):
        raise ValueError(
            f"{PAGE.name} has the tables {', '.join(names)}; it should have each once: {', '.join(TABLES)}"
        )
    tables = [f"{begin}{TABLES[name]()}\n{end}" for begin, name, end in zip(begins, names, ends, strict=True)]
    return "".join(part + table for part, table in zip(before, [*tables, ""], strict=True))


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
