"""The values of a record's lines: JSON as our own types. Each function takes what JSON has, and raises Misfit."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np

from mirr.env.checks import BadConfig
from mirr.env.objectives import Objectives
from mirr.env.quoting import quoted
from mirr.env.reward import Outcome, RewardTable
from mirr.env.scenario import BadScenario, EpisodeConfig, Scheduled, checked_seed
from mirr.env.vocabulary import (
    Action,
    BadSeverity,
    Breaks,
    Bursts,
    Deploys,
    Ends,
    Event,
    Fault,
    Journey,
    Reason,
    Service,
    Tier,
    TrafficChanges,
    UnknownName,
    parse_action,
    parse_service,
    parse_tier,
)
from mirr.env.world import FEATURES_SHAPE, JourneyCount, Level, LogLine

_MOST_REQUESTS = 2**53  # in one step; larger numbers are not exact as floats
_LARGEST_CELL = 1e38  # with noise, larger numbers do not fit into the float32 that an agent sees

Json = Any  # what json.loads returns
Line = dict[str, Any]


class Misfit(ValueError):
    """A value that does not fit its field. The reader adds the file and the line."""


def whole(value: Json) -> int:
    """A whole number from 0 up."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Misfit(f"{quoted(value)} is not a whole number from 0 up")
    return value


def _count(value: Json) -> int:
    if whole(value) > _MOST_REQUESTS:
        raise Misfit("the number is too large")
    return whole(value)


def number(value: Json) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Misfit(f"{quoted(value)} is not a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise Misfit("the number is too large")
    return found


def text(value: Json) -> str:
    """A text."""
    if not isinstance(value, str):
        raise Misfit(f"{quoted(value)} is not text")
    return value


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise Misfit(f"{quoted(value)} is neither true nor false")
    return value


def flag_or_null(value: Json) -> bool | None:
    """True or false, or None for null."""
    return None if value is None else _flag(value)


def tier_or_null(value: Json) -> Tier | None:
    """A Tier, or None for null."""
    if value is None:
        return None
    try:
        return parse_tier(text(value))
    except UnknownName as error:
        raise Misfit(str(error)) from error


def reason_or_null(value: Json) -> Reason | None:
    """A Reason, or None for null."""
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


def seed(value: Json) -> int:
    """A seed."""
    try:
        return checked_seed(whole(value))
    except BadScenario as error:
        raise Misfit(str(error)) from error


def features(value: Json) -> object:
    """Rows of features by services, with NaN for null."""
    rows = [_list(row) for row in _list(value)]
    if len(rows) != FEATURES_SHAPE[0] or any(len(row) != FEATURES_SHAPE[1] for row in rows):
        raise Misfit(f"not {FEATURES_SHAPE[0]} rows of {FEATURES_SHAPE[1]} numbers")
    return np.array([[math.nan if cell is None else _cell(cell) for cell in row] for row in rows])


def _cell(value: Json) -> float:
    if abs(number(value)) > _LARGEST_CELL:
        raise Misfit("the number is too large")
    return number(value)


def action_or_null(value: Json) -> Action | None:
    """An Action from its text, or None for null."""
    if value is None:
        return None
    try:
        return parse_action(text(value))
    except UnknownName as error:
        raise Misfit(str(error)) from error


def journeys(value: Json) -> object:
    """A JourneyCount for each journey."""
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


def logs(value: Json) -> object:
    """LogLines, as a tuple."""
    return tuple(
        LogLine(
            age_s=number(_part(line, "age_s")),
            level=_level(_part(line, "level")),
            event=text(_part(line, "event")),
            text=text(_part(line, "text")),
        )
        for line in _list(value)
    )


def _service(value: Json) -> Service:
    try:
        return parse_service(text(value))
    except UnknownName as error:
        raise Misfit(str(error)) from error


def degraded(value: Json) -> object:
    """For each degraded service, why."""
    return {_service(name): text(why) for name, why in _object(value).items()}


def _fault(value: Json) -> Fault:
    try:
        return Fault.parse(text(value))
    except (UnknownName, BadSeverity) as error:
        raise Misfit(str(error)) from error


def _event(value: Json) -> Event:
    match _part(value, "event"):
        case "breaks":
            return Breaks(_fault(_part(value, "fault")))
        case "heals":
            return Ends(_fault(_part(value, "fault")))
        case "deploys":
            return Deploys(_service(_part(value, "service")))
        case "traffic_changes":
            return TrafficChanges(*(number(_part(value, name)) for name in ("first", "last", "over_s")))
        case "bursts":
            service = _service(_part(value, "service"))
            return Bursts(service, number(_part(value, "load")), number(_part(value, "for_s")))
        case other:
            raise Misfit(f"{quoted(other)} is not an event; one of: breaks, heals, deploys, traffic_changes, bursts")


def event_json(entry: Scheduled) -> Line:
    """An entry of the timeline, as written."""
    match entry.event:
        case Breaks(fault):
            return {"step": entry.step, "event": "breaks", "fault": str(fault)}
        case Ends(fault):
            return {"step": entry.step, "event": "heals", "fault": str(fault)}
        case Deploys(service):
            return {"step": entry.step, "event": "deploys", "service": str(service)}
        case TrafficChanges(first, last, over_s):
            return {"step": entry.step, "event": "traffic_changes", "first": first, "last": last, "over_s": over_s}
        case Bursts(service, load, for_s):
            return {"step": entry.step, "event": "bursts", "service": str(service), "load": load, "for_s": for_s}


def timeline(value: Json) -> object:
    """The events in order."""
    try:
        return _in_order([Scheduled(whole(_part(entry, "step")), _event(entry)) for entry in _list(value)])
    except BadScenario as error:
        raise Misfit(str(error)) from error


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


def scenario(value: Json) -> object:
    """The name and the timeline of a scenario in its printed form. Version 1 has nothing else."""
    timeline: list[Scheduled] = []
    for entry in _list(_part(value, "faults")):
        fault = _fault(f"{_part(entry, 'mode')}:{_part(entry, 'service')}")
        timeline.append(Scheduled(whole(entry.get("at_step", 0)), Breaks(fault)))
        if "heals_at_step" in entry:
            timeline.append(Scheduled(whole(entry["heals_at_step"]), Ends(fault)))
    for entry in _list(value.get("deploys", [])):
        service = _service(_part(entry, "service"))
        timeline.append(Scheduled(whole(entry.get("at_step", 0)), Deploys(service)))
    return text(value.get("name", "")), _in_order(timeline)


def config(value: Json) -> object:
    """An EpisodeConfig. Fields that are missing have their defaults."""
    known = _object(value)
    max_steps = whole(known.get("max_steps", EpisodeConfig.max_steps))
    step_s = number(known.get("step_s", EpisodeConfig.step_s))
    noise = number(known.get("noise", EpisodeConfig.noise))
    none_diagnosis = _flag(known.get("none_diagnosis", EpisodeConfig.none_diagnosis))
    try:
        return EpisodeConfig(step_s=step_s, max_steps=max_steps, noise=noise, none_diagnosis=none_diagnosis)
    except BadConfig as error:
        raise Misfit(str(error)) from error


def objectives(value: Json) -> object:
    """The Objectives of the judge."""
    return Objectives(**{each.name: number(_part(value, each.name)) for each in fields(Objectives)})


def rewards(value: Json) -> object:
    """The RewardTable of the judge."""
    recovery_steps, collapse_steps = (whole(_part(value, name)) for name in ("recovery_steps", "collapse_steps"))
    if recovery_steps == 0 or collapse_steps == 0:
        raise Misfit("recovery_steps and collapse_steps are at least 1")
    return RewardTable(
        correct_diagnosis=number(_part(value, "correct_diagnosis")),
        wrong_diagnosis=number(_part(value, "wrong_diagnosis")),
        fix_diagnosed=number(_part(value, "fix_diagnosed")),
        fix_undiagnosed=number(_part(value, "fix_undiagnosed")),
        wrong_fix=number(_part(value, "wrong_fix")),
        recovery=number(_part(value, "recovery")),
        recovery_per_step_left=number(_part(value, "recovery_per_step_left")),
        collapse=number(_part(value, "collapse")),
        recovery_steps=recovery_steps,
        collapse_steps=collapse_steps,
    )


def report(value: Json) -> Line:
    """A report, as it is written."""
    report = _object(value)
    if _part(report, "outcome") not in list(Outcome):
        raise Misfit(f"{quoted(report['outcome'])} is not an outcome; one of: {', '.join(Outcome)}")
    text(_part(report, "reason"))
    return report
