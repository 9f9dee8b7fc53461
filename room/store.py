"""Rooms on disk: one SQLite file. Each entry is there before its answer is sent, so a restart loses nothing."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mirr.room.entries import Entry, Kind

_SCHEMA = """
CREATE TABLE IF NOT EXISTS room (
    code TEXT PRIMARY KEY,
    trainer_key TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS entry (
    number INTEGER PRIMARY KEY,
    code TEXT NOT NULL REFERENCES room (code) ON DELETE CASCADE,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS entry_of_room ON entry (code, number);
"""

VERSION = 1


class StoreError(Exception):
    """The file cannot be used. The message says which file, and why."""


@dataclass(frozen=True, kw_only=True)
class StoredRoom:
    """A room as it was stored."""

    code: str
    trainer_key: str
    entries: tuple[Entry, ...]


class Store:
    """The file of a server's rooms. Any thread may use it."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the file. None keeps everything in memory. Raises StoreError."""
        self._lock = threading.Lock()
        self._path = path
        try:
            self._db = sqlite3.connect(":memory:" if path is None else path, check_same_thread=False)
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")  # a killed server loses nothing; a power cut, the last act
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise StoreError(
                    f"{path} was written by another version ({version}, not {VERSION}); next: another --data"
                )
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {VERSION}")
            self._db.commit()
        except sqlite3.Error as error:
            raise StoreError(f"cannot use {path} for the rooms: {error}; next: another --data") from error

    def add_room(self, code: str, trainer_key: str) -> None:
        """A new room."""
        with self._lock, self._db:
            self._db.execute("INSERT INTO room (code, trainer_key) VALUES (?, ?)", (code, trainer_key))

    def drop_room(self, code: str) -> None:
        """Forget a room."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM room WHERE code = ?", (code,))

    def add(self, code: str, entry: Entry) -> None:
        """One more entry of a room."""
        with self._lock, self._db:
            self._insert(code, [entry])

    def begin_round(self, code: str, entries: Iterable[Entry]) -> None:
        """Put `entries` in the place of all that the room had, so that a file does not grow with its rounds."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM entry WHERE code = ?", (code,))
            self._insert(code, entries)

    def rooms(self) -> list[StoredRoom]:
        """Every room with its entries, in order."""
        with self._lock:
            found = self._db.execute("SELECT code, trainer_key FROM room ORDER BY code").fetchall()
            return [StoredRoom(code=code, trainer_key=key, entries=tuple(self._entries(code))) for code, key in found]

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._lock:
            self._db.close()

    def _insert(self, code: str, entries: Iterable[Entry]) -> None:
        self._db.executemany(
            "INSERT INTO entry (code, at, kind, body) VALUES (?, ?, ?, ?)",
            [(code, entry.at, str(entry.kind), json.dumps(entry.body)) for entry in entries],
        )

    def _entries(self, code: str) -> list[Entry]:
        rows = self._db.execute("SELECT at, kind, body FROM entry WHERE code = ? ORDER BY number", (code,))
        return [Entry(at=at, kind=Kind(kind), body=json.loads(body)) for at, kind, body in rows]
