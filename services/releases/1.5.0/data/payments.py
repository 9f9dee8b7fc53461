"""The data of payments: accounts, the plans they are on, and the charges made."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass

from services.data.batches import next_batch

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
    """Copy fees from the plans into the column `plan_fee`, so that a plan's price changes in one place.

    Each boot moves a batch of them. The old column stays unchanged.
    """
    columns = {row["name"] for row in database.execute("PRAGMA table_info(accounts)")}
    if "plan_fee" not in columns:
        database.execute("ALTER TABLE accounts ADD COLUMN plan_fee INTEGER")
        database.execute("ALTER TABLE accounts ADD COLUMN fee_from_plan INTEGER NOT NULL DEFAULT 0")
    pending = database.execute("SELECT id FROM accounts WHERE fee_from_plan = 0 ORDER BY id").fetchall()
    database.executemany(
        """UPDATE accounts SET fee_from_plan = 1,
        plan_fee = (SELECT plans.fee_basis_points FROM plans WHERE plans.code = accounts.plan) WHERE id = ?""",
        [(row["id"],) for row in next_batch(pending)],
    )


def read_account(database: sqlite3.Connection, username: str) -> Account | None:
    """An account; None if there is no such account."""
    row = database.execute("SELECT * FROM accounts WHERE username = ?", (username,)).fetchone()
    if row is None:
        return None
    fee = row["plan_fee"] if row["fee_from_plan"] else row["fee_basis_points"]
    return Account(row["username"], row["salt"], int(fee))
