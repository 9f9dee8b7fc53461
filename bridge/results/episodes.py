"""One played episode as the results keep it: how it ended and what it cost, without its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mirr.env import record_values as values
from mirr.env.environment import EpisodeReport
from mirr.env.quoting import quoted
from mirr.env.record_values import Json, Line, Misfit
from mirr.env.reward import Outcome


@dataclass(frozen=True, kw_only=True)
class Played:
    """An episode that is over. What a void one has besides its seed says nothing."""

    seed: int
    outcome: Outcome
    clean: bool
    diagnosed: bool  # every fault was diagnosed correctly before its fix
    reward: float
    steps: int
    time_to_diagnose_s: float | None
    time_to_mitigate_s: float | None
    steps_to_diagnose: int | None
    steps_to_mitigate: int | None
    wrong_fixes: int
    failed_requests: int
    objective_lost_s: float
    needless_actions: int
    source: str  # the commit that played it, or `record` and the record's id

    @property
    def valid(self) -> bool:
        """Whether it says something about its agent."""
        return self.outcome is not Outcome.VOID

    def to_json(self) -> Line:
        """As a line of its cell has it."""
        return {name: vars(self)[name] for name in FIELDS}


def of_report(report: EpisodeReport, source: str) -> Played:
    """The episode of a report. Numbers are rounded as `mirr episode --json` rounds them."""
    return Played(
        seed=report.scenario.seed,
        outcome=report.outcome,
        clean=report.clean,
        diagnosed=report.diagnosis_correct,
        reward=round(report.total_reward, 6),
        steps=report.steps,
        time_to_diagnose_s=_rounded(report.time_to_diagnose_s),
        time_to_mitigate_s=_rounded(report.time_to_mitigate_s),
        steps_to_diagnose=report.steps_to_diagnose,
        steps_to_mitigate=report.steps_to_mitigate,
        wrong_fixes=report.wrong_fixes,
        failed_requests=report.harm.failed_requests,
        objective_lost_s=round(report.harm.objective_lost_s, 3),
        needless_actions=report.harm.needless_actions,
        source=source,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of an episode."""

    read: Callable[[Json], Any]  # the checked value, or Misfit
    column: str  # its type in the Parquet table


def _flag(value: Json) -> bool:
    if (flag := values.flag_or_null(value)) is None:
        raise Misfit("null is neither true nor false")
    return flag


def _number_or_null(value: Json) -> float | None:
    return None if value is None else values.number(value)


def _whole_or_null(value: Json) -> int | None:
    return None if value is None else values.whole(value)


def _outcome(value: Json) -> Outcome:
    if value not in list(Outcome):
        raise Misfit(f"{quoted(value)} is not an outcome; one of: {', '.join(Outcome)}")
    return Outcome(value)


FIELDS: dict[str, Field] = {
    "seed": Field(read=values.seed, column="uint64"),
    "outcome": Field(read=_outcome, column="text"),
    "clean": Field(read=_flag, column="bool"),
    "diagnosed": Field(read=_flag, column="bool"),
    "reward": Field(read=values.number, column="double"),
    "steps": Field(read=values.whole, column="int32"),
    "time_to_diagnose_s": Field(read=_number_or_null, column="double"),
    "time_to_mitigate_s": Field(read=_number_or_null, column="double"),
    "steps_to_diagnose": Field(read=_whole_or_null, column="int32"),
    "steps_to_mitigate": Field(read=_whole_or_null, column="int32"),
    "wrong_fixes": Field(read=values.whole, column="int32"),
    "failed_requests": Field(read=values.whole, column="int64"),
    "objective_lost_s": Field(read=values.number, column="double"),
    "needless_actions": Field(read=values.whole, column="int32"),
    "source": Field(read=values.text, column="text"),
}
"""Every field of `Played`, in the order in which it is written."""


def parse_played(line: Line) -> Played:
    """The episode of a line. Raises Misfit, which names the missing or wrong field."""
    found: dict[str, Any] = {}
    for name, field in FIELDS.items():
        if name not in line:
            raise Misfit(f"the episode has no {name}")
        try:
            found[name] = field.read(line[name])
        except Misfit as error:
            raise Misfit(f"{name}: {error}") from error
    return Played(**found)
