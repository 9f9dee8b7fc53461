"""pyarrow, which only tables need, or an error that says how to install it."""

from __future__ import annotations

from typing import Any

from mirr.env.quoting import quoted
from mirr.env.record import RecordError
from mirr.lab.installation import HERE


def needed_pyarrow() -> Any:
    """The module. Raises RecordError if it is not installed."""
    try:
        import pyarrow  # type: ignore[import-untyped]  # pyarrow ships no types
    except ImportError as error:
        raise RecordError(f"Parquet needs pyarrow; next: {HERE.add_extra('records')}") from error
    return pyarrow


MOST_SEED = 2**64 - 1
"""The largest seed that a table can hold: its column has 64 bits. Elsewhere a seed may be larger."""


def refuse_large_seed(seed: int, whose: str, remedy: str) -> None:
    """Raises RecordError if a table cannot hold the seed. `whose` and `remedy` are for the message."""
    if seed > MOST_SEED:
        raise RecordError(f"a table has seeds up to {MOST_SEED}; {whose} has {quoted(seed)}; next: {remedy}")
