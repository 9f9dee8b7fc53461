"""The fields of a record's lines: one table. The reader checks lines with it, and the documentation shows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np

from mirr.env.checks import BadConfig
from mirr.env.objectives import Objectives
from mirr.env.quoting import quoted
from mirr.env.reward import Outcome, RewardTable
from mirr.env.scenario import BadScenario, EpisodeConfig, Scheduled, checked_seed
from mirr.env.vocabulary import (
    Action,
    Breaks,
    Deploys,
    Ends,
    Event,
    Fault,
    Journey,
    Reason,
    Service,
    UnknownName,
    parse_action,
    parse_service,
)
from mirr.env.world import FEATURES_SHAPE, JourneyCount, Level, LogLine

SCHEMA = "mirr-rollout"
SCHEMA_VERSION = 4
READABLE_VERSIONS = (1, 2, 3, 4)

_MOST_REQUESTS = 2**53  # in one step; larger numbers are not exact as floats

Json = Any  # what json.loads returns
Line = dict[str, Any]


class Misfit(ValueError):
    """A value that does not fit its field. The reader adds the file and the line."""


class LineKind(StrEnum):
    """The kind of a line: one header, then one line for each step, then one end."""

    HEADER = "header"
    STEP = "step"
    END = "end"


@dataclass(frozen=True, kw_only=True)
class RecordField:
    """One field of a line."""

    name: str
    type: str  # for the documentation
    read: Callable[[Json], object]  # returns the checked value in our own types, or raises Misfit
    says: str
    unit: str = ""
    since: int = 1  # the first schema version that has it


def _whole(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Misfit(f"{quoted(value)} is not a whole number from 0 up")
    return value


def _count(value: Json) -> int:
    if _whole(value) > _MOST_REQUESTS:
        raise Misfit("the number is too large")
    return _whole(value)


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Misfit(f"{quoted(value)} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Misfit("the number is too large")
    return number


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise Misfit(f"{quoted(value)} is not text")
    return value


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise Misfit(f"{quoted(value)} is neither true nor false")
    return value


def _flag_or_null(value: Json) -> bool | None:
    return None if value is None else _flag(value)


def _reason_or_null(value: Json) -> Reason | None:
    if value is None:
        return None
    if value not in list(Reason):
        raise Misfit(f"{quoted(value)} is not a reason; one of: {', '.join(Reason)}")
    return Reason(value)


def _object(value: Json) -> Line:
    if not isinstance(value, dict):
        raise Misfit(f"{quoted(value)} is not an object")
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise Misfit(f"{quoted(value)} is not a list")
    return value


def _part(value: Json, name: str) -> Json:
    holder = _object(value)
    if name not in holder:
        raise Misfit(f"no {name}")
    return holder[name]


def _seed(value: Json) -> int:
    try:
        return checked_seed(_whole(value))
    except BadScenario as error:
        raise Misfit(str(error)) from error


def _features(value: Json) -> object:
    rows = [_list(row) for row in _list(value)]
    if len(rows) != FEATURES_SHAPE[0] or any(len(row) != FEATURES_SHAPE[1] for row in rows):
        raise Misfit(f"not {FEATURES_SHAPE[0]} rows of {FEATURES_SHAPE[1]} numbers")
    return np.array([[math.nan if cell is None else _number(cell) for cell in row] for row in rows])


def _action_or_null(value: Json) -> Action | None:
    if value is None:
        return None
    try:
        return parse_action(_text(value))
    except UnknownName as error:
        raise Misfit(str(error)) from error


def _journeys(value: Json) -> object:
    counts = _object(value)
    if set(counts) != set(Journey):
        raise Misfit(f"not one count each of {', '.join(Journey)}")
    return {
        journey: JourneyCount(
            requests=_count(_part(counts[journey], "requests")), failed=_count(_part(counts[journey], "failed"))
        )
        for journey in Journey
    }


def _level(value: Json) -> Level:
    if value not in list(Level):
        raise Misfit(f"{quoted(value)} is not a level; one of: {', '.join(Level)}")
    return Level(value)


def _logs(value: Json) -> object:
    return tuple(
        LogLine(
            age_s=_number(_part(line, "age_s")),
            level=_level(_part(line, "level")),
            event=_text(_part(line, "event")),
            text=_text(_part(line, "text")),
        )
        for line in _list(value)
    )


def _service(value: Json) -> Service:
    try:
        return parse_service(_text(value))
    except UnknownName as error:
        raise Misfit(str(error)) from error


def _degraded(value: Json) -> object:
    return {_service(name): _text(why) for name, why in _object(value).items()}


def _fault(value: Json) -> Fault:
    try:
        return Fault.parse(_text(value))
    except UnknownName as error:
        raise Misfit(str(error)) from error


def _event(value: Json) -> Event:
    match _part(value, "event"):
        case "breaks":
            return Breaks(_fault(_part(value, "fault")))
        case "heals":
            return Ends(_fault(_part(value, "fault")))
        case "deploys":
            return Deploys(_service(_part(value, "service")))
        case other:
            raise Misfit(f"{quoted(other)} is not an event; one of: breaks, heals, deploys")


def event_json(entry: Scheduled) -> Line:
    """An entry of the timeline, as written."""
    match entry.event:
        case Breaks(fault):
            return {"step": entry.step, "event": "breaks", "fault": str(fault)}
        case Ends(fault):
            return {"step": entry.step, "event": "heals", "fault": str(fault)}
        case Deploys(service):
            return {"step": entry.step, "event": "deploys", "service": str(service)}


def _timeline(value: Json) -> object:
    return _in_order([Scheduled(_whole(_part(entry, "step")), _event(entry)) for entry in _list(value)])


def _in_order(timeline: list[Scheduled]) -> tuple[Scheduled, ...]:
    """Sorted by step, stable within a step. Raises Misfit if a fault ends before it begins."""
    begun: set[Fault] = set()
    in_order = sorted(timeline, key=lambda scheduled: scheduled.step)
    for entry in in_order:
        if isinstance(entry.event, Breaks):
            begun.add(entry.event.fault)
        elif isinstance(entry.event, Ends) and entry.event.fault not in begun:
            raise Misfit(f"{entry.event.fault} ends at step {entry.step} and has not begun")
    return tuple(in_order)


def _scenario(value: Json) -> object:
    """The name and the timeline of a scenario in its printed form. Version 1 has nothing else."""
    timeline: list[Scheduled] = []
    for entry in _list(_part(value, "faults")):
        fault = _fault(f"{_part(entry, 'mode')}:{_part(entry, 'service')}")
        timeline.append(Scheduled(_whole(entry.get("at_step", 0)), Breaks(fault)))
        if "heals_at_step" in entry:
            timeline.append(Scheduled(_whole(entry["heals_at_step"]), Ends(fault)))
    for entry in _list(value.get("deploys", [])):
        timeline.append(Scheduled(_whole(entry.get("at_step", 0)), Deploys(_service(_part(entry, "service")))))
    return _text(value.get("name", "")), _in_order(timeline)


def _config(value: Json) -> object:
    known = _object(value)
    max_steps = _whole(known.get("max_steps", EpisodeConfig.max_steps))
    step_s = _number(known.get("step_s", EpisodeConfig.step_s))
    noise = _number(known.get("noise", EpisodeConfig.noise))
    none_diagnosis = _flag(known.get("none_diagnosis", EpisodeConfig.none_diagnosis))
    try:
        return EpisodeConfig(step_s=step_s, max_steps=max_steps, noise=noise, none_diagnosis=none_diagnosis)
    except BadConfig as error:
        raise Misfit(str(error)) from error


def _objectives(value: Json) -> object:
    return Objectives(**{each.name: _number(_part(value, each.name)) for each in fields(Objectives)})


def _rewards(value: Json) -> object:
    recovery_steps, collapse_steps = (_whole(_part(value, name)) for name in ("recovery_steps", "collapse_steps"))
    if recovery_steps == 0 or collapse_steps == 0:
        raise Misfit("recovery_steps and collapse_steps are at least 1")
    return RewardTable(
        correct_diagnosis=_number(_part(value, "correct_diagnosis")),
        wrong_diagnosis=_number(_part(value, "wrong_diagnosis")),
        fix_diagnosed=_number(_part(value, "fix_diagnosed")),
        fix_undiagnosed=_number(_part(value, "fix_undiagnosed")),
        wrong_fix=_number(_part(value, "wrong_fix")),
        recovery=_number(_part(value, "recovery")),
        recovery_per_step_left=_number(_part(value, "recovery_per_step_left")),
        collapse=_number(_part(value, "collapse")),
        recovery_steps=recovery_steps,
        collapse_steps=collapse_steps,
    )


def _report(value: Json) -> Line:
    report = _object(value)
    if _part(report, "outcome") not in list(Outcome):
        raise Misfit(f"{quoted(report['outcome'])} is not an outcome; one of: {', '.join(Outcome)}")
    _text(_part(report, "reason"))
    return report


_SHAPE = f"{FEATURES_SHAPE[0]} by {FEATURES_SHAPE[1]} numbers or null"

FIELDS: dict[LineKind, tuple[RecordField, ...]] = {
    LineKind.HEADER: (
        RecordField(name="schema", type="text", read=_text, says=f"always `{SCHEMA}`"),
        RecordField(name="version", type="whole number", read=_whole, says="the version of the schema"),
        RecordField(name="world", type="text", read=_text, says="the name of the world that the episode was played in"),
        RecordField(name="policy", type="text", read=_text, says="the name of the policy that played"),
        RecordField(
            name="seed", type="whole number", read=_seed, says="the seed of the users, the noise and the drawn fault"
        ),
        RecordField(name="scenario", type="object", read=_scenario, says="the scenario, as `mirr episode` prints it"),
        RecordField(
            name="config", type="object", read=_config, unit="s for `step_s`", says="the fields of `EpisodeConfig`"
        ),
        RecordField(
            name="timeline",
            type="list of objects",
            read=_timeline,
            unit="steps",
            since=2,
            says="the events in order, each with `step`, `event`, and `fault` or `service`",
        ),
        RecordField(
            name="objectives", type="object", read=_objectives, since=2, says="the `Objectives` that the judge used"
        ),
        RecordField(
            name="rewards", type="object", read=_rewards, since=3, says="the `RewardTable` that the judge used"
        ),
    ),
    LineKind.STEP: (
        RecordField(
            name="step",
            type="whole number",
            read=_whole,
            says="the number of the step; step 0 is before the first action",
        ),
        RecordField(
            name="action", type="text or null", read=_action_or_null, says="the action of this step; null at step 0"
        ),
        RecordField(name="reward", type="number", read=_number, says="the reward of this step"),
        RecordField(name="result", type="text", read=_text, says="the answer of the world to the action"),
        RecordField(
            name="observation",
            type=_SHAPE,
            read=_features,
            unit="see measured",
            says="what the agent saw: the measured features with noise, as float32",
        ),
        RecordField(
            name="measured",
            type=_SHAPE,
            read=_features,
            unit="1, 1/s, ratio, s, ratio, ratio, 1",
            says="services by features, without noise; null if a service could not be scraped; rounded in version 1",
        ),
        RecordField(
            name="journeys",
            type="object",
            read=_journeys,
            unit="requests",
            says="the users' `requests` and how many of them `failed`, for each journey",
        ),
        RecordField(name="overrun_s", type="number", read=_number, unit="s", says="by how much the step took too long"),
        RecordField(
            name="logs",
            type="list of objects",
            read=_logs,
            unit="s for `age_s`",
            says="the log lines that the agent read: `age_s`, `level`, `event`, `text`",
        ),
        RecordField(
            name="accepted",
            type="flag or null",
            read=_flag_or_null,
            since=2,
            says="whether the action had anything to act on; null at step 0",
        ),
        RecordField(
            name="reason",
            type="text or null",
            read=_reason_or_null,
            since=3,
            says=f"why the action was accepted or not: {', '.join(f'`{reason}`' for reason in Reason)}; null at step 0",
        ),
        RecordField(
            name="degraded",
            type="object",
            read=_degraded,
            since=2,
            says="services that run worse than in steady state, and why; only the judge sees this",
        ),
    ),
    LineKind.END: (
        RecordField(
            name="report", type="object", read=_report, says="how the episode ended, as `mirr episode` prints it"
        ),
        RecordField(
            name="attempted",
            type="text or null",
            read=_action_or_null,
            since=2,
            says="the action during which the world failed; null if it did not fail",
        ),
    ),
}
"""Every field of every line, except `kind`."""


def read_fields(kind: LineKind, line: Line, version: int) -> Line:
    """The checked fields of `line` that schema `version` has. Raises Misfit, which names the missing or wrong field."""
    found: Line = {}
    for field in FIELDS[kind]:
        if field.since > version:
            continue
        if field.name not in line:
            raise Misfit(f"the {kind} has no {field.name}")
        try:
            found[field.name] = field.read(line[field.name])
        except Misfit as error:
            raise Misfit(f"{field.name}: {error}") from error
    return found
