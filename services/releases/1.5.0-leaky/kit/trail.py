"""The trail of a service: what each request did and when, for whoever collects it.

A recorder has room for every step of a request before the request begins, so that recording never has to wait for
memory. It is kept until it is collected.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import suppress

from services.data.plan import REQUESTS_PER_S
from services.data.room import CARRIED_S, ROOM_BYTES_PER_S

STEP = array("d", [0.0])  # when a step began


class Recorder:
    """The steps of one request."""

    def __init__(self, request: str, room_bytes: int) -> None:
        self.request = request
        self.steps = STEP * (room_bytes // STEP.itemsize)


class Trail:
    """The recorders that nobody has collected yet. The first ones of each process are also on its volume, so that
    the collector still finds them after a restart."""

    def __init__(self, database: sqlite3.Connection, service: str) -> None:
        self._database = database
        self._room_bytes = round(ROOM_BYTES_PER_S / REQUESTS_PER_S[service])
        self._to_carry = round(CARRIED_S * REQUESTS_PER_S[service])
        database.execute("CREATE TABLE IF NOT EXISTS recorded (number INTEGER PRIMARY KEY, request TEXT NOT NULL)")
        carried = database.execute("SELECT request FROM recorded ORDER BY number").fetchall()
        self._recorders = [Recorder(row["request"], self._room_bytes) for row in carried]

    async def enter(self, method: str, path: str) -> None:
        """Begin to record a request."""
        recorder = Recorder(f"{method} {path}", self._room_bytes)
        self._recorders.append(recorder)
        if self._to_carry > 0:
            self._to_carry -= 1
            self._database.execute("INSERT INTO recorded (request) VALUES (?)", (recorder.request,))

    def collect(self) -> Iterator[str]:
        """Hand over what was recorded, oldest first, and free its room."""
        with suppress(IndexError):
            while True:
                yield self._recorders.pop(0).request
