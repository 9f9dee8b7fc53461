"""The fields of a record's lines: one table. The reader checks lines with it, and the documentation shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mirr.env import record_values as values
from mirr.env.record_values import Json, Line, Misfit
from mirr.env.vocabulary import Reason
from mirr.env.world import FEATURES_SHAPE

SCHEMA = "mirr-rollout"
SCHEMA_VERSION = 4
READABLE_VERSIONS = (1, 2, 3, 4)


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


_SHAPE = f"{FEATURES_SHAPE[0]} by {FEATURES_SHAPE[1]} numbers or null"

FIELDS: dict[LineKind, tuple[RecordField, ...]] = {
    LineKind.HEADER: (
        RecordField(name="schema", type="text", read=values.text, says=f"always `{SCHEMA}`"),
        RecordField(name="version", type="whole number", read=values.whole, says="the version of the schema"),
        RecordField(
            name="world", type="text", read=values.text, says="the name of the world that the episode was played in"
        ),
        RecordField(name="policy", type="text", read=values.text, says="the name of the policy that played"),
        RecordField(
            name="seed",
            type="whole number",
            read=values.seed,
            says="the seed of the users, the noise and the drawn fault",
        ),
        RecordField(
            name="scenario", type="object", read=values.scenario, says="the scenario, as `mirr episode` prints it"
        ),
        RecordField(
            name="config",
            type="object",
            read=values.config,
            unit="s for `step_s`",
            says="the fields of `EpisodeConfig`",
        ),
        RecordField(
            name="timeline",
            type="list of objects",
            read=values.timeline,
            unit="steps",
            since=2,
            says="the events in order, each with `step`, `event`, and `fault` or `service`",
        ),
        RecordField(
            name="objectives",
            type="object",
            read=values.objectives,
            since=2,
            says="the `Objectives` that the judge used",
        ),
        RecordField(
            name="rewards", type="object", read=values.rewards, since=3, says="the `RewardTable` that the judge used"
        ),
    ),
    LineKind.STEP: (
        RecordField(
            name="step",
            type="whole number",
            read=values.whole,
            says="the number of the step; step 0 is before the first action",
        ),
        RecordField(
            name="action",
            type="text or null",
            read=values.action_or_null,
            says="the action of this step; null at step 0",
        ),
        RecordField(name="reward", type="number", read=values.number, says="the reward of this step"),
        RecordField(name="result", type="text", read=values.text, says="the answer of the world to the action"),
        RecordField(
            name="observation",
            type=_SHAPE,
            read=values.features,
            unit="see measured",
            says="what the agent saw: the measured features with noise, as float32",
        ),
        RecordField(
            name="measured",
            type=_SHAPE,
            read=values.features,
            unit="1, 1/s, ratio, s, ratio, ratio, 1",
            says="services by features, without noise; null if a service could not be scraped; rounded in version 1",
        ),
        RecordField(
            name="journeys",
            type="object",
            read=values.journeys,
            unit="requests",
            says="the users' `requests` and how many of them `failed`, for each journey",
        ),
        RecordField(
            name="overrun_s", type="number", read=values.number, unit="s", says="by how much the step took too long"
        ),
        RecordField(
            name="logs",
            type="list of objects",
            read=values.logs,
            unit="s for `age_s`",
            says="the log lines that the agent read: `age_s`, `level`, `event`, `text`",
        ),
        RecordField(
            name="accepted",
            type="flag or null",
            read=values.flag_or_null,
            since=2,
            says="whether the action had anything to act on; null at step 0",
        ),
        RecordField(
            name="reason",
            type="text or null",
            read=values.reason_or_null,
            since=3,
            says=f"why the action was accepted or not: {', '.join(f'`{reason}`' for reason in Reason)}; null at step 0",
        ),
        RecordField(
            name="degraded",
            type="object",
            read=values.degraded,
            since=2,
            says="services that run worse than in steady state, and why; only the judge sees this",
        ),
    ),
    LineKind.END: (
        RecordField(
            name="report", type="object", read=values.report, says="how the episode ended, as `mirr episode` prints it"
        ),
        RecordField(
            name="attempted",
            type="text or null",
            read=values.action_or_null,
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
