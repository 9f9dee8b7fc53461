"""How the services use SQLite: one file, one connection, short statements, a write-ahead log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoData(Exception):
    """The service's database is missing."""


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the database. A service never creates one: with an empty database it would only look healthy."""
    if not create and not path.is_file():
        raise NoData(f"no database at {path}; next: python3 -m services.seed {path.stem} {path}")
    # Handlers run on one event loop and never hold a transaction across an await, so one connection is enough.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    # With a write-ahead log, no commit is lost when the process dies. Only a power cut can lose the last commits.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Carry out all of the statements inside, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
