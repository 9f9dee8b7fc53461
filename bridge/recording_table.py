"""Recordings as a compact table: Parquet, one row for each play, step and service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mirr.bridge.arrow import needed_pyarrow
from mirr.bridge.recording import Phase, Recording, Recordings
from mirr.bridge.recording_file import SCHEMA, SCHEMA_VERSION
from mirr.bridge.recording_json import (
    DAMAGED,
    check_shapes,
    ending_json,
    parse_ending,
    parse_play,
    parse_session,
    play_json,
    session_json,
)
from mirr.env.record import RecordError
from mirr.env.vocabulary import Fault, Feature, Journey, Reason, Service

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow ships no types

TABLE_NAME = "recordings.parquet"

_COUNTS = tuple(f"{journey}_{what}" for journey in Journey for what in ("requests", "failed"))
_PLAY_COLUMNS = {
    "key": "text",
    "kind": "text",
    "round": "int16",
    "seed": "int64",
    "number": "int32",
    "fault": "text",
    "probed": "text",  # the action of a probe; `action` is that of the step
    "tier": "text",
    "policy": "text",
    "culprit": "text",
    "session": "int16",
    "began": "text",
    "seconds": "double",
    "outcome": "text",
    "clean": "bool",
    "reward": "double",
}
_STEP_COLUMNS = {
    "step": "int16",
    "phase": "text",
    "action": "text",
    "reason": "text",
    "overrun_s": "double",
    **dict.fromkeys(_COUNTS, "int32"),
}
_SERVICE_COLUMNS = {"service": "text", "degraded": "bool", **dict.fromkeys(map(str, Feature), "double")}

Columns = dict[str, list[Any]]


def _schema(recordings: Recordings) -> pa.Schema:
    arrow = needed_pyarrow()
    named = {
        "text": arrow.dictionary(arrow.int32(), arrow.string()),
        "int16": arrow.int16(),
        "int32": arrow.int32(),
        "int64": arrow.int64(),
        "double": arrow.float64(),
        "bool": arrow.bool_(),
    }
    columns = _PLAY_COLUMNS | _STEP_COLUMNS | _SERVICE_COLUMNS
    metadata = {
        "mirr.schema": SCHEMA,
        "mirr.schema_version": str(SCHEMA_VERSION),
        "mirr.sessions": json.dumps([session_json(session) for session in recordings.sessions]),
        "mirr.void": str(recordings.void),
    }
    return arrow.schema([arrow.field(name, named[kind]) for name, kind in columns.items()], metadata=metadata)


def write_table(recordings: Recordings, folder: Path) -> Path:
    """Write the table of a folder and return its path. A table that exists is replaced. Raises RecordError."""
    arrow = needed_pyarrow()
    from pyarrow import parquet

    schema, path = _schema(recordings), folder / TABLE_NAME
    columns: Columns = {name: [] for name in schema.names}
    for recording in recordings.by_key.values():
        _append(columns, recording)
    begun = path.with_name(f"{TABLE_NAME}.part")
    try:
        parquet.write_table(arrow.table(columns, schema=schema), begun, compression="zstd", compression_level=9)
        begun.replace(path)
    except OSError as error:
        raise RecordError(f"cannot write the table {path}: {error.strerror}; next: another --out DIR") from error
    finally:
        begun.unlink(missing_ok=True)
    return path


def _append(columns: Columns, recording: Recording) -> None:
    """Add the rows of one recording: step by step, service by service."""
    play, ending = play_json(recording.play), ending_json(recording.ending) or {}
    once = {
        **play,
        "key": recording.play.key,
        "probed": play["action"],
        "culprit": None if recording.culprit is None else str(recording.culprit),
        "session": recording.session,
        "began": recording.began,
        "seconds": recording.seconds,
        **{name: ending.get(name) for name in ("outcome", "clean", "reward")},
    }
    steps, services = recording.steps, len(Service)
    for name in _PLAY_COLUMNS:
        columns[name] += [once[name]] * (steps * services)
    counts = recording.journeys.reshape(steps, len(_COUNTS))
    by_step: dict[str, list[Any]] = {
        "step": list(range(steps)),
        "phase": list(recording.phases),
        "action": list(recording.actions),
        "reason": list(recording.reasons),
        "overrun_s": recording.overrun_s.tolist(),
        **{name: counts[:, place].tolist() for place, name in enumerate(_COUNTS)},
    }
    for name, values in by_step.items():
        columns[name] += [value for value in values for _ in Service]
    columns["service"] += list(Service) * steps
    columns["degraded"] += recording.degraded.ravel().tolist()
    for place, feature in enumerate(Feature):
        columns[feature] += recording.features[:, :, place].ravel().tolist()


def read_table(path: Path) -> Recordings:
    """The recordings in a table. Raises RecordError."""
    arrow = needed_pyarrow()
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    except (OSError, UnicodeDecodeError, arrow.ArrowException) as error:
        raise RecordError(f"cannot read the table {path}: {error}") from error
    found = metadata.get("mirr.schema"), metadata.get("mirr.schema_version")
    if found != (SCHEMA, str(SCHEMA_VERSION)):
        raise RecordError(f"{path} has schema {found[0]} {found[1]}; this reads {SCHEMA} {SCHEMA_VERSION}")
    try:
        sessions = tuple(parse_session(raw) for raw in json.loads(metadata["mirr.sessions"]))
        recordings = {recording.play.key: recording for recording in _recordings(table)}
        void = int(metadata["mirr.void"])
    except DAMAGED as error:
        raise RecordError(f"{path} is not a table of recordings: {error}") from error
    return Recordings(sessions=sessions, by_key=recordings, void=void)


def _recordings(table: pa.Table) -> Iterator[Recording]:
    """Each recording of the table. The rows of a play follow each other."""
    texts = {name: table.column(name).to_pylist() for name in ("key", "phase", "action", "reason")}
    features = np.stack([table.column(str(feature)).to_numpy() for feature in Feature], axis=1)
    counts = np.stack([table.column(name).to_numpy() for name in _COUNTS], axis=1)
    degraded = np.array(table.column("degraded").to_pylist(), dtype=np.bool_)
    overrun_s = table.column("overrun_s").to_numpy()
    services, begin = len(Service), 0
    for _, group in groupby(texts["key"]):
        end = begin + len(list(group))
        first = table.slice(begin, 1).select(list(_PLAY_COLUMNS)).to_pylist()[0]
        steps = slice(begin, end, services)  # the first service of each step
        recording = Recording(
            play=parse_play(first | {"action": first["probed"]}),
            culprit=None if first["culprit"] is None else Fault.parse(first["culprit"]),
            phases=tuple(Phase(phase) for phase in texts["phase"][steps]),
            actions=tuple(texts["action"][steps]),
            reasons=tuple(None if reason is None else Reason(reason) for reason in texts["reason"][steps]),
            features=features[begin:end].reshape(-1, services, len(Feature)),
            journeys=counts[steps].reshape(-1, len(Journey), 2).astype(np.int64),
            degraded=degraded[begin:end].reshape(-1, services),
            overrun_s=overrun_s[steps],
            session=first["session"],
            began=first["began"],
            seconds=first["seconds"],
            ending=None if first["outcome"] is None else parse_ending(first),
        )
        check_shapes(recording)
        yield recording
        begin = end
