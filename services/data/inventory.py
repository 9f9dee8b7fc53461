"""The data of inventory: products, the index to search them by, and reservations."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass

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
    """This release reads the tables as they are."""


def read_product(database: sqlite3.Connection, product_id: int) -> Product | None:
    """A product; None if there is no such product."""
    row = database.execute("SELECT id, name, price_cents FROM products WHERE id = ?", (product_id,)).fetchone()
    return None if row is None else Product(row["id"], row["name"], row["price_cents"])
