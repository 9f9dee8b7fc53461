"""pyarrow, which only tables need, or an error that says how to install it."""

from __future__ import annotations

from typing import Any

from mirr.env.record import RecordError
from mirr.lab.installation import HERE


def needed_pyarrow() -> Any:
    """The module. Raises RecordError if it is not installed."""
    try:
        import pyarrow  # type: ignore[import-untyped]  # pyarrow ships no types
    except ImportError as error:
        raise RecordError(f"Parquet needs pyarrow; next: {HERE.add_extra('records')}") from error
    return pyarrow
