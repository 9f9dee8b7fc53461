"""The data of auth: users with their password hashes, and their last sessions."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from services.data import staff
from services.data.batches import next_batch

USERS = 300
ITERATIONS = 28_000  # iterations of PBKDF2: they decide how much CPU a sign-in costs
CREDENTIAL_CHARACTERS = 64  # the column width in the directory that will share this data

SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL);
CREATE TABLE sessions (username TEXT PRIMARY KEY, session_id TEXT NOT NULL, expires_at INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class Credential:
    """What a password is compared with."""

    iterations: int
    salt: bytes
    digest: bytes


def digest(password: str, salt: bytes, iterations: int) -> bytes:
    """PBKDF2 of the password."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


def seed(database: sqlite3.Connection) -> None:
    """The shop's customers: user-000 with password user-000-secret, and so on. After them, its staff."""
    customers = [(f"user-{number:03d}", ITERATIONS) for number in range(USERS)]
    accounts = customers + [(name, staff.STAFF_ITERATIONS) for name in staff.staff_names()]

    def account(row: tuple[int, tuple[str, int]]) -> tuple[int, str, str]:
        number, (name, iterations) = row
        salt = hashlib.sha256(name.encode()).digest()[:16]
        hashed = digest(f"{name}-secret", salt, iterations)
        return number, name, f"{iterations}${salt.hex()}${hashed.hex()}"

    with ThreadPoolExecutor() as pool:
        database.executemany("INSERT INTO users VALUES (?, ?, ?)", pool.map(account, enumerate(accounts, start=1)))


def upgrade(database: sqlite3.Connection) -> None:
    """Move hashes from hexadecimal to base64, into the column `credential`.

    Each boot moves a batch of them. The old column stays unchanged.
    """
    columns = {row["name"] for row in database.execute("PRAGMA table_info(users)")}
    if "credential" not in columns:
        database.execute("ALTER TABLE users ADD COLUMN credential TEXT")
    pending = database.execute("SELECT id, password_hash FROM users WHERE credential IS NULL ORDER BY id").fetchall()
    batch = [(_to_credential(row["password_hash"]), row["id"]) for row in next_batch(pending)]
    database.executemany("UPDATE users SET credential = ? WHERE id = ?", batch)


def _to_credential(password_hash: str) -> str:
    iterations, salt, hashed = password_hash.split("$")
    parts = (base64.b64encode(bytes.fromhex(part)).decode() for part in (salt, hashed))
    return "$".join((iterations, *parts))[:CREDENTIAL_CHARACTERS]


def read_credential(database: sqlite3.Connection, username: str) -> Credential | None:
    """The credential of a user; None if there is no such user."""
    row = database.execute("SELECT password_hash, credential FROM users WHERE username = ?", (username,)).fetchone()
    if row is None:
        return None
    if row["credential"] is None:
        iterations, salt, hashed = row["password_hash"].split("$")
        return Credential(int(iterations), bytes.fromhex(salt), bytes.fromhex(hashed))
    iterations, salt, hashed = row["credential"].split("$")
    return Credential(int(iterations), base64.b64decode(salt), base64.b64decode(hashed))
