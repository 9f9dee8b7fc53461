"""The key that a service signs with: made where its data is, at the first boot, and never part of an image.

It lies on the service's own volume, so it outlives restarts, deployments and rollbacks, and goes with the data.
"""

from __future__ import annotations

import os
import sqlite3

KEY_BYTES = 32


def make_key(database: sqlite3.Connection) -> None:
    """Make the key, if this data has none yet."""
    database.execute("CREATE TABLE IF NOT EXISTS signing_keys (name TEXT PRIMARY KEY, value BLOB NOT NULL)")
    database.execute("INSERT OR IGNORE INTO signing_keys VALUES ('own', ?)", (os.urandom(KEY_BYTES),))


def read_key(database: sqlite3.Connection) -> bytes:
    """The key."""
    key: bytes = database.execute("SELECT value FROM signing_keys WHERE name = 'own'").fetchone()["value"]
    return key
