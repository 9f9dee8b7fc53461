"""The episodes of all cells as one Parquet table, one row an episode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirr.bridge.arrow import needed_pyarrow
from mirr.bridge.results.cells import SCHEMA, SCHEMA_VERSION, Cell, Episodes
from mirr.bridge.results.episodes import FIELDS
from mirr.env.record import RecordError

TABLE_NAME = "episodes.parquet"

_OF_THE_CELL = ("world", "tier", "policy")


def write_table(cells: Mapping[Cell, Episodes], results: Path) -> Path:
    """Write the table into the folder of the results, and return its path. Void episodes are left out.

    Raises RecordError, also if pyarrow is not installed."""
    arrow = needed_pyarrow()
    from pyarrow import parquet

    named = {
        "text": arrow.dictionary(arrow.int32(), arrow.string()),
        "bool": arrow.bool_(),
        "int32": arrow.int32(),
        "int64": arrow.int64(),
        "uint64": arrow.uint64(),
        "double": arrow.float64(),
    }
    types = dict.fromkeys(_OF_THE_CELL, "text") | {name: field.column for name, field in FIELDS.items()}
    metadata = {"mirr.schema": SCHEMA, "mirr.schema_version": str(SCHEMA_VERSION)}
    schema = arrow.schema([arrow.field(name, named[kind]) for name, kind in types.items()], metadata=metadata)
    rows: list[dict[str, Any]] = [
        {name: str(vars(cell)[name]) for name in _OF_THE_CELL} | played.to_json()
        for cell, episodes in cells.items()
        for played in episodes.in_order
    ]
    path = results / TABLE_NAME
    begun = path.with_name(f"{TABLE_NAME}.part")
    try:
        table = arrow.table({name: [row[name] for row in rows] for name in types}, schema=schema)
        parquet.write_table(table, begun, compression="zstd", compression_level=9)
        begun.replace(path)
    except OSError as error:
        raise RecordError(f"cannot write the table {path}: {error.strerror}") from error
    finally:
        begun.unlink(missing_ok=True)
    return path
