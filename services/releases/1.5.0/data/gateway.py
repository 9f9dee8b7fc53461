"""The data of gateway: storefronts with their layouts, and the carts that customers saved."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from services.data.batches import next_batch

STOREFRONTS = 64

SCHEMA = """
CREATE TABLE storefronts (id INTEGER PRIMARY KEY, layout TEXT NOT NULL);
CREATE TABLE carts (number INTEGER PRIMARY KEY AUTOINCREMENT, cart_id TEXT NOT NULL UNIQUE, lines TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Storefront:
    """What the pages of one shop look like."""

    id: int
    title: str
    tagline: str
    blocks: tuple[tuple[str, str], ...]  # heading, text


def seed(database: sqlite3.Connection) -> None:
    """The storefronts that share this shop's warehouse."""
    for number in range(1, STOREFRONTS + 1):
        blocks = [
            {
                "heading": f"Corner {place} of shop {number}",
                "text": f"New & used, <{number * place % 97}> in stock. " * 4,
            }
            for place in range(1, 13)
        ]
        layout = {"title": f"Shop {number}", "tagline": f"Goods & gifts since {1900 + number}", "blocks": blocks}
        database.execute("INSERT INTO storefronts VALUES (?, ?)", (number, json.dumps(layout)))


def upgrade(database: sqlite3.Connection) -> None:
    """Wrap layouts in a document with a version number, into the column `document`. A later format gets a new number.

    Each boot moves a batch of them. The old column stays unchanged.
    """
    columns = {row["name"] for row in database.execute("PRAGMA table_info(storefronts)")}
    if "document" not in columns:
        database.execute("ALTER TABLE storefronts ADD COLUMN document TEXT")
    pending = database.execute("SELECT id, layout FROM storefronts WHERE document IS NULL ORDER BY id").fetchall()
    batch = [(json.dumps({"version": 2, "layout": row["layout"]}), row["id"]) for row in next_batch(pending)]
    database.executemany("UPDATE storefronts SET document = ? WHERE id = ?", batch)


def read_storefront(database: sqlite3.Connection, storefront_id: int) -> Storefront | None:
    """A storefront; None if there is no such storefront."""
    row = database.execute("SELECT id, layout, document FROM storefronts WHERE id = ?", (storefront_id,)).fetchone()
    if row is None:
        return None
    layout = json.loads(row["layout"]) if row["document"] is None else json.loads(row["document"])["layout"]
    blocks = tuple((block["heading"], block["text"]) for block in layout["blocks"])
    return Storefront(row["id"], layout["title"], layout["tagline"], blocks)
