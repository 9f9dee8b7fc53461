"""The key that a service signs with. It is made at the first boot, next to the data, and is never part of an image.

It is kept on the service's own volume. So it survives restarts, deployments and rollbacks. It is removed with the data.
"""

from __future__ import annotations

import os
import sqlite3

KEY_BYTES = 32


def make_key(database: sqlite3.Connection) -> None:
    """Make the key if this database has none yet."""
    database.execute("CREATE TABLE IF NOT EXISTS signing_keys (name TEXT PRIMARY KEY, value BLOB NOT NULL)")
    database.execute("INSERT OR IGNORE INTO signing_keys VALUES ('own', ?)", (os.urandom(KEY_BYTES),))


def read_key(database: sqlite3.Connection) -> bytes:
    """The key of this database."""
    key: bytes = database.execute("SELECT value FROM signing_keys WHERE name = 'own'").fetchone()["value"]
    return key
