"""The trail of a service: every request has a number that no other request of this service ever had.

At a start, nobody knows which numbers the process before has used, so a process reserves half of those that are left.
"""

from __future__ import annotations

import logging
import os
import sqlite3

from services.data.numbers import NUMBERED_S
from services.data.plan import REQUESTS_PER_S
from services.kit.logs import log


class NumbersUsedUp(Exception):
    """There is no number for another request."""


class Trail:
    """The numbers that this process has reserved."""

    def __init__(self, database: sqlite3.Connection, service: str) -> None:
        database.execute("CREATE TABLE IF NOT EXISTS numbers (unused INTEGER NOT NULL)")
        row = database.execute("SELECT unused FROM numbers").fetchone()
        if row is None:
            unused = round(2 * NUMBERED_S * REQUESTS_PER_S[service])
            database.execute("INSERT INTO numbers VALUES (?)", (unused,))
        else:
            unused = row["unused"]
        self._left = unused // 2
        database.execute("UPDATE numbers SET unused = ?", (unused - self._left,))

    async def enter(self, method: str, path: str) -> None:
        """Give the request its number. Without one it must not be worked on, and nor must any later one."""
        try:
            self._take()
        except NumbersUsedUp as error:
            log(logging.ERROR, "exiting", error=f"{type(error).__name__}: {error}")
            os._exit(1)

    def _take(self) -> None:
        if self._left == 0:
            raise NumbersUsedUp("no number is left for another request")
        self._left -= 1
