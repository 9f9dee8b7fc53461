"""The episodes of all cells as one Parquet table, one row an episode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirr.bridge.arrow import needed_pyarrow
from mirr.bridge.results.cells import SCHEMA, SCHEMA_VERSION, Cell, Episodes
from mirr.bridge.results.episodes import FIELDS
from mirr.env.record import RecordError
from mirr.env.vocabulary import Tier

TABLE_NAME = "episodes.parquet"

_OF_THE_CELL = ("world", "tier", "policy")


def write_table(cells: Mapping[Cell, Episodes], results: Path) -> Path:
    """Write the table into the folder of the results, and return its path. Void episodes are left out. Rows of an
    earlier table stay, unless there are episodes of their cell.

    Raises RecordError, also if pyarrow is not installed."""
    arrow = needed_pyarrow()
    from pyarrow import parquet  # type: ignore[import-untyped]  # pyarrow ships no types

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
        kept = [row for row in _earlier(path) if Cell(row["world"], Tier(row["tier"]), row["policy"]) not in cells]
        rows = [*kept, *rows]
        table = arrow.table({name: [row[name] for row in rows] for name in types}, schema=schema)
        parquet.write_table(table, begun, compression="zstd", compression_level=9)
        begun.replace(path)
    except (OSError, arrow.ArrowInvalid) as error:
        raise RecordError(f"cannot write the table {path}: {error}") from error
    finally:
        begun.unlink(missing_ok=True)
    return path


def _earlier(path: Path) -> list[dict[str, Any]]:
    """The rows of the table that is there; none if there is none, or one with another schema."""
    from pyarrow import parquet

    if not path.exists():
        return []
    table = parquet.read_table(path)
    metadata = table.schema.metadata or {}
    same = (metadata.get(b"mirr.schema"), metadata.get(b"mirr.schema_version")) == (
        SCHEMA.encode(),
        str(SCHEMA_VERSION).encode(),
    )
    return list(table.to_pylist()) if same else []
