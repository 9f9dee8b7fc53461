"""The trail of a service: an entry for each of its starts, sealed, so that nobody can change one unseen.

A seal covers the entry and the seal before it. It is stretched, so that a forger has much work to do.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sqlite3
from datetime import UTC, datetime

from services.data.release import VERSION
from services.data.strength import STRENGTH

ITERATIONS = {"gateway": 7_200, "auth": 17_000, "inventory": 8_000, "orders": 19_500, "payments": 25_000}
"""Iterations that take as long as an ordinary request of the service: what can be forged there is worth as much."""

PIECES = 8  # a seal is made in so many pieces, and between two of them the event loop reads the sockets


class Trail:
    """The trail on the volume of a service. A start adds an entry to it."""

    def __init__(self, database: sqlite3.Connection, service: str) -> None:
        self._database = database
        database.execute(
            "CREATE TABLE IF NOT EXISTS starts "
            "(number INTEGER PRIMARY KEY, entry TEXT NOT NULL, iterations INTEGER NOT NULL, seal BLOB NOT NULL)"
        )
        row = database.execute("SELECT seal FROM starts ORDER BY number DESC LIMIT 1").fetchone()
        seal: bytes = b"" if row is None else row["seal"]
        entry, iterations = f"{VERSION} {datetime.now(UTC).isoformat()}", round(STRENGTH * ITERATIONS[service] / PIECES)
        for _ in range(PIECES):
            seal = _stretched(seal, entry, iterations)
        values = (entry, iterations, seal)
        database.execute("INSERT INTO starts (entry, iterations, seal) VALUES (?, ?, ?)", values)

    async def enter(self, method: str, path: str) -> None:
        """Verify the whole trail: no request is worked on under a trail that somebody has changed."""
        seal = b""
        for row in self._database.execute("SELECT entry, iterations, seal FROM starts ORDER BY number").fetchall():
            for _ in range(PIECES):
                seal = _stretched(seal, row["entry"], row["iterations"])
                await asyncio.sleep(0)
            if not hmac.compare_digest(seal, row["seal"]):
                raise RuntimeError(f"the entry {row['entry']!r} of the trail was changed")


def _stretched(seal: bytes, entry: str, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", entry.encode(), seal, iterations)
