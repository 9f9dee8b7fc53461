"""The data of inventory: products, the index to search them by, and reservations."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass

from services.data.batches import next_batch
from services.data.catalogue import catalogue

STOCK = 400

SCHEMA = """
CREATE TABLE products (
    id INTEGER PRIMARY KEY, category INTEGER NOT NULL, name TEXT NOT NULL, length INTEGER NOT NULL,
    price_cents INTEGER NOT NULL, stock INTEGER NOT NULL CHECK (stock >= 0)
);
CREATE TABLE postings (
    term TEXT NOT NULL, product_id INTEGER NOT NULL, occurrences INTEGER NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY (term, product_id)
) WITHOUT ROWID;
CREATE TABLE terms (term TEXT PRIMARY KEY, products INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE reservations (
    idempotency_key TEXT PRIMARY KEY, request TEXT NOT NULL, answer TEXT NOT NULL, lines TEXT NOT NULL,
    expires_at REAL NOT NULL
);
CREATE INDEX reservations_by_expiry ON reservations (expires_at);
"""


@dataclass(frozen=True)
class Product:
    """A product, without its stock."""

    id: int
    name: str
    price_cents: int


def seed(database: sqlite3.Connection) -> None:
    """The shop's catalogue, and the index over it."""
    spread: Counter[str] = Counter()
    for product_id, category, name, words in catalogue():
        price_cents = 499 + (product_id * 7919) % 20_000
        row = (product_id, category, name, len(words), price_cents, STOCK)
        database.execute("INSERT INTO products VALUES (?, ?, ?, ?, ?, ?)", row)
        counts = Counter(words)
        spread.update(counts.keys())
        postings = [(term, product_id, count, len(words)) for term, count in counts.items()]
        database.executemany("INSERT INTO postings VALUES (?, ?, ?, ?)", postings)
    database.executemany("INSERT INTO terms VALUES (?, ?)", spread.items())


def upgrade(database: sqlite3.Connection) -> None:
    """Write prices as decimal text into the column `price`, for currencies without cents. One category at a time.

    Each boot moves a batch of them. The old column stays unchanged.
    """
    columns = {row["name"] for row in database.execute("PRAGMA table_info(products)")}
    if "price" not in columns:
        database.execute("ALTER TABLE products ADD COLUMN price TEXT")
    pending = database.execute(
        "SELECT DISTINCT category FROM products WHERE price IS NULL ORDER BY category"
    ).fetchall()
    for (category,) in next_batch(pending):
        # As on the price tags: 12,99.
        database.execute(
            "UPDATE products SET price = printf('%d,%02d', price_cents / 100, price_cents % 100) WHERE category = ?",
            (category,),
        )


def read_product(database: sqlite3.Connection, product_id: int) -> Product | None:
    """A product; None if there is no such product."""
    row = database.execute("SELECT id, name, price_cents, price FROM products WHERE id = ?", (product_id,)).fetchone()
    if row is None:
        return None
    price_cents = row["price_cents"] if row["price"] is None else round(float(row["price"]) * 100)
    return Product(row["id"], row["name"], price_cents)
