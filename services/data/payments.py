"""The data of payments: accounts, the plans they are on, and the charges made."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass

ACCOUNTS = 300
PLANS = (("Standard", "standard", 290), ("Plus", "plus", 190), ("Business", "business", 140))

SCHEMA = """
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, salt BLOB NOT NULL, plan TEXT NOT NULL,
    fee_basis_points INTEGER NOT NULL
);
CREATE TABLE plans (code TEXT PRIMARY KEY, fee_basis_points INTEGER NOT NULL);
CREATE TABLE charges (
    number INTEGER PRIMARY KEY AUTOINCREMENT, idempotency_key TEXT NOT NULL UNIQUE, request TEXT NOT NULL,
    answer TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Account:
    """The account that is charged, and its fee."""

    username: str
    salt: bytes
    fee_basis_points: int


def seed(database: sqlite3.Connection) -> None:
    """The accounts of the shop's customers, each on a plan."""
    database.executemany("INSERT INTO plans VALUES (?, ?)", [(code, fee) for _, code, fee in PLANS])
    for number in range(ACCOUNTS):
        name = f"user-{number:03d}"
        plan, _, fee = PLANS[number * 7 % len(PLANS)]
        salt = hashlib.sha256(f"account {name}".encode()).digest()[:16]
        database.execute("INSERT INTO accounts VALUES (?, ?, ?, ?, ?)", (number + 1, name, salt, plan, fee))


def upgrade(database: sqlite3.Connection) -> None:
    """This release reads the tables as they are."""


def read_account(database: sqlite3.Connection, username: str) -> Account | None:
    """An account; None if there is no such account."""
    row = database.execute("SELECT * FROM accounts WHERE username = ?", (username,)).fetchone()
    return None if row is None else Account(row["username"], row["salt"], row["fee_basis_points"])
