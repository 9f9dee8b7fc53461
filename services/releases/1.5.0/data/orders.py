"""The data of orders: shipping zones, promotions, and the orders placed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from services.data.batches import next_batch

ZONES = 64

SCHEMA = """
CREATE TABLE zones (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, parcel_limit_g INTEGER NOT NULL, parcel_price_cents INTEGER NOT NULL
);
CREATE TABLE promotions (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, modulus INTEGER NOT NULL, residue INTEGER NOT NULL,
    least_quantity INTEGER NOT NULL, percent INTEGER NOT NULL
);
CREATE TABLE orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT, idempotency_key TEXT NOT NULL UNIQUE, request TEXT NOT NULL,
    answer TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Zone:
    """A place that the shop ships to, and the price of shipping there."""

    id: int
    name: str
    cents_per_kg: float


@dataclass(frozen=True)
class Promotion:
    """A discount on the products whose id leaves `residue` when divided by `modulus`."""

    id: int
    name: str
    modulus: int
    residue: int
    least_quantity: int
    percent: int


def seed(database: sqlite3.Connection) -> None:
    """The zones that the shop ships to, by bicycle courier, and its promotions."""
    zones = [(n, f"zone-{n:02d}", 250 + (n * 37) % 14 * 50, 290 + (n * 53) % 400) for n in range(1, ZONES + 1)]
    database.executemany("INSERT INTO zones VALUES (?, ?, ?, ?)", zones)
    promotions = [
        (n, f"promotion-{n:02d}", modulus, n % modulus, 1 + n % 3, 5 + (n * 7) % 20)
        for n, modulus in enumerate((2, 3, 4, 5, 2, 3, 4, 5, 6, 7, 3, 5, 2, 4, 6, 7) * 2, start=1)
    ]
    database.executemany("INSERT INTO promotions VALUES (?, ?, ?, ?, ?, ?)", promotions)


def upgrade(database: sqlite3.Connection) -> None:
    """Keep parcel limits in kilograms, as in the carrier's price list, in the column `parcel_limit_kg`.

    Each boot moves a batch of them. The old column stays unchanged.
    """
    columns = {row["name"] for row in database.execute("PRAGMA table_info(zones)")}
    if "parcel_limit_kg" not in columns:
        database.execute("ALTER TABLE zones ADD COLUMN parcel_limit_kg REAL")
    pending = database.execute("SELECT id FROM zones WHERE parcel_limit_kg IS NULL ORDER BY id").fetchall()
    batch = [(row["id"],) for row in next_batch(pending)]
    database.executemany("UPDATE zones SET parcel_limit_kg = parcel_limit_g / 1000 WHERE id = ?", batch)


def read_zone(database: sqlite3.Connection, zone_id: int) -> Zone | None:
    """A zone; None if the shop does not ship there."""
    row = database.execute("SELECT * FROM zones WHERE id = ?", (zone_id,)).fetchone()
    if row is None:
        return None
    limit_kg = row["parcel_limit_g"] / 1000 if row["parcel_limit_kg"] is None else row["parcel_limit_kg"]
    return Zone(row["id"], row["name"], row["parcel_price_cents"] / limit_kg)


def read_promotions(database: sqlite3.Connection) -> list[Promotion]:
    """Every active promotion."""
    return [Promotion(**dict(row)) for row in database.execute("SELECT * FROM promotions ORDER BY id")]
