"""The facts that a visitor knows about the shop: customers' names, search words, products, storefronts, zones."""

from __future__ import annotations

import json
import os
import random
from typing import Any


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CUSTOMERS = 300
STAFF = 8
STOREFRONTS = 64
ZONES = 64
PRODUCTS = 2_000
SOUGHT = _words(
    "lamp kettle carpet mirror blanket bicycle guitar drawer pillow teapot candle curtain bucket ladder cushion "
    "hammock notebook umbrella backpack wardrobe armchair bookcase saucepan toaster doormat lantern basket compass "
    "telescope trumpet microscope keyboard headset speaker printer thermos sandal jacket sweater helmet"
)
LIKED = ("amber", "bright", "classic", "compact", "elegant", "folding", "golden", "modern", "robust", "sturdy")
MADE_OF = ("bamboo", "brass", "ceramic", "copper", "cotton", "glass", "leather", "oak", "steel", "wool")


def credentials(customer: int) -> dict[str, str]:
    """The name and password of a customer."""
    name = f"user-{customer:03d}"
    return {"username": name, "password": f"{name}-secret"}


def staff_credentials(number: int) -> dict[str, str]:
    """The name and password of one of the staff."""
    name = f"staff-{number}"
    return {"username": name, "password": f"{name}-secret"}


def words(rng: random.Random) -> str:
    """What a visitor types into the search box."""
    return f"{rng.choice(LIKED)} {rng.choice(MADE_OF)} {rng.choice(SOUGHT)}"


def lines(rng: random.Random, count: int) -> list[dict[str, int]]:
    """A basket."""
    products = rng.sample(range(1, PRODUCTS + 1), count)
    return [{"product_id": product, "quantity": rng.randint(1, 3)} for product in products]


def priced_lines(rng: random.Random, count: int) -> list[dict[str, int]]:
    """A basket with prices."""
    return [{**line, "unit_price_cents": rng.randint(500, 20_000)} for line in lines(rng, count)]


def key() -> str:
    """An idempotency key. Not seeded: for a key from an earlier run, the service would only repeat its old answer."""
    return os.urandom(12).hex()


def json_body(content: dict[str, Any], note: bytes = b"") -> bytes:
    """`content` as JSON. `note` is inserted without encoding, so a large one costs no CPU time."""
    text = json.dumps(content).encode()
    return text[:-1] + b', "note": "' + note + b'"}' if note else text
