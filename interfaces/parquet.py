"""Records as a data set: Parquet, one row a step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirr.bridge.arrow import needed_pyarrow, refuse_large_seed
from mirr.env.record import RecordedStep, RecordError, Rollout, episode_id, parse_rollout, read_record
from mirr.env.reward import Outcome
from mirr.env.vocabulary import ACTION_INDEX, Feature, Journey, Service, action_text

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow ships no types

TABLE_SCHEMA = "mirr-steps"
TABLE_VERSION = 3
_ROWS_A_GROUP = 20_000
_CELLS = len(Service) * len(Feature)
_SEEN = f"list of {_CELLS} float"
_MEASURED = f"list of {_CELLS} double"

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table."""

    name: str
    type: str
    says: str
    unit: str = ""


COLUMNS: tuple[Column, ...] = (
    Column(
        name="episode_id", type="string", says="made from the record's content, so the same episode has the same id"
    ),
    Column(name="step", type="int32", says="the number of the step; step 0 is before the first action"),
    Column(name="world", type="string", says="the name of the world that the episode was played in"),
    Column(name="policy", type="string", says="the name of the policy that played"),
    Column(name="seed", type="uint64", says="the seed of the users, the noise and the drawn fault"),
    Column(name="tier", type="string", says="the tier that the seed drew the scenario from; null for a pack"),
    Column(name="scenario", type="string", says="the scenario as JSON; it reveals the truth"),
    Column(name="action", type="string", says="the action of this step; null at step 0"),
    Column(name="action_number", type="int16", says="the number of the action in the environment; null at step 0"),
    Column(name="reward", type="double", says="the reward of this step"),
    Column(name="terminated", type="bool", says="whether the episode ended here as resolved or collapsed"),
    Column(name="truncated", type="bool", says="whether the episode ended here as exhausted"),
    Column(name="observation", type=_SEEN, says="what the agent saw: the measured features with noise"),
    Column(name="measured", type=_MEASURED, says="services by features, row by row, without noise"),
    *(
        Column(name=f"{journey}_{what}", type="int64", unit="requests", says=f"the users' {journey} journeys: {which}")
        for journey in Journey
        for what, which in (("requests", "how many finished"), ("failed", "how many of these failed"))
    ),
    Column(name="overrun_s", type="double", unit="s", says="by how much the step took too long"),
    Column(name="result", type="string", says="the answer of the world to the action"),
    Column(
        name="accepted", type="bool", says="whether the action had anything to act on; null at step 0 and in version 1"
    ),
    Column(
        name="reason", type="string", says="why the action was accepted or not; null at step 0 and before version 3"
    ),
    Column(
        name="degraded", type="string", says="services that run worse than in steady state, as JSON; null in version 1"
    ),
    Column(name="logs", type="string", says="the log lines that the agent read, as JSON"),
    Column(
        name="outcome", type="string", says="how the episode ended; only in the last row, null if the record is cut off"
    ),
    Column(name="report", type="string", says="the rest of the report, as JSON; only in the last row"),
    Column(name="record_version", type="int16", says="the version of the record's schema"),
)
"""Every column. The features are lists of a fixed size, not 70 columns. A model reads them directly, and the schema's
metadata give their order."""


def table_schema() -> pa.Schema:
    """The table's schema. Its metadata have the version and the features in their order."""
    arrow = needed_pyarrow()
    named = {
        "string": arrow.string(),
        "int16": arrow.int16(),
        "int32": arrow.int32(),
        "int64": arrow.int64(),
        "uint64": arrow.uint64(),
        "double": arrow.float64(),
        "bool": arrow.bool_(),
        _SEEN: arrow.list_(arrow.float32(), _CELLS),
        _MEASURED: arrow.list_(arrow.float64(), _CELLS),
    }
    metadata = {
        "mirr.schema": TABLE_SCHEMA,
        "mirr.schema_version": str(TABLE_VERSION),
        "mirr.services": json.dumps(list(Service)),
        "mirr.features": json.dumps(list(Feature)),
    }
    return arrow.schema(
        [arrow.field(column.name, named[column.type], metadata=_metadata(column)) for column in COLUMNS],
        metadata=metadata,
    )


def _metadata(column: Column) -> dict[str, str]:
    return {"says": column.says} | ({"unit": column.unit} if column.unit else {})


def rows(rollout: Rollout, episode: str) -> Iterator[Row]:
    """The rows of one episode. Raises RecordError if a table cannot hold its seed."""
    refuse_large_seed(rollout.scenario.seed, f"the record {rollout.path}", "export the others")
    common = {
        "episode_id": episode,
        "world": rollout.header["world"],
        "policy": rollout.header["policy"],
        "seed": rollout.scenario.seed,
        "tier": rollout.scenario.tier,
        "scenario": json.dumps(rollout.header["scenario"]),
        "record_version": rollout.version,
    }
    last = len(rollout.steps) - 1
    for step in rollout.steps:
        yield common | _step_row(step) | (_end_row(rollout) if step.step == last else {})


def _step_row(step: RecordedStep) -> Row:
    logs = [{"age_s": line.age_s, "level": line.level, "event": line.event, "text": line.text} for line in step.logs]
    counts = {
        f"{journey}_{what}": number
        for journey, count in step.journeys.items()
        for what, number in (("requests", count.requests), ("failed", count.failed))
    }
    return {
        "step": step.step,
        "action": None if step.action is None else action_text(step.action),
        "action_number": None if step.action is None else ACTION_INDEX[step.action],
        "reward": step.reward,
        "terminated": False,
        "truncated": False,
        "observation": step.observation.ravel().tolist(),
        "measured": step.measured.ravel().tolist(),
        "overrun_s": step.overrun_s,
        "result": step.result,
        "accepted": step.accepted,
        "reason": step.reason,
        "degraded": None if step.degraded is None else json.dumps(step.degraded),
        "logs": json.dumps(logs),
        **counts,
    }


def _end_row(rollout: Rollout) -> Row:
    if rollout.end is None:
        return {}
    report = rollout.end["report"]
    outcome = Outcome(report["outcome"])
    rest = {name: value for name, value in report.items() if name not in ("trajectory", "outcome")}
    return {
        "outcome": str(outcome),
        "report": json.dumps(rest),
        "terminated": outcome in (Outcome.RESOLVED, Outcome.COLLAPSED),
        "truncated": outcome is Outcome.EXHAUSTED,
    }


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The size of a table."""

    episodes: int
    rows: int


def export(paths: Iterable[Path], to: Path, say: Callable[[str], None]) -> Exported:
    """Write the records in `paths` as one table. If one cannot be read, nothing is written to `to`. An episode that
    comes twice is written once, and `say` gets a sentence about it."""
    arrow = needed_pyarrow()
    from pyarrow import parquet

    schema = table_schema()
    seen: dict[str, Path] = {}
    waiting: list[Row] = []
    written = 0
    begun = to.with_name(to.name + ".part")
    try:
        with parquet.ParquetWriter(begun, schema, compression="zstd") as writer:
            for path in paths:
                found = list(_new_rows(path, seen, say))
                waiting += found
                written += len(found)
                if len(waiting) >= _ROWS_A_GROUP:
                    writer.write_table(arrow.Table.from_pylist(waiting, schema=schema))
                    waiting.clear()
            writer.write_table(arrow.Table.from_pylist(waiting, schema=schema))
        begun.replace(to)
    except (OSError, OverflowError, UnicodeEncodeError, arrow.ArrowInvalid) as error:
        raise RecordError(f"cannot write the table {to}: {error}") from error
    finally:
        begun.unlink(missing_ok=True)
    return Exported(episodes=len(seen), rows=written)


def _new_rows(path: Path, seen: dict[str, Path], say: Callable[[str], None]) -> Iterator[Row]:
    content = read_record(path)  # only once: a pipe is empty after that
    rollout, name = parse_rollout(path, content), episode_id(content)
    if name in seen:
        say(f"{path} is the same episode as {seen[name]}; it is written once")
        return
    seen[name] = path
    if not rollout.steps:
        how = "is cut off" if rollout.end is None else "ends"
        say(f"{path} {how} {rollout.last_seen}: it has no rows")
    elif rollout.end is None:
        say(f"{path} is cut off {rollout.last_seen}: its rows have no outcome")
    yield from rows(rollout, name)
