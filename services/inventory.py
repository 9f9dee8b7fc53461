"""inventory: a ranked search over the catalogue, and reservations that never oversell."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from pydantic import Field
from starlette.responses import Response

from services.data import inventory as data
from services.kit.app import Context, context, create_app
from services.kit.fields import Body, Cents, IdempotencyKey, Line, Note
from services.kit.idempotency import fingerprint
from services.kit.replies import documented, refusals
from services.kit.settings import Settings
from services.kit.store import transaction

HITS = 5
MAX_TERMS = 6
K1, B = 1.2, 0.75  # the usual constants of BM25
EXPORTED_AT_ONCE = 200  # products
CATALOGUE = {
    "type": "object",
    "properties": {"offers": {"type": "array", "items": {"type": "object"}}},
    "required": ["offers"],
}
HELD_S = 60.0  # after this, the warehouse has shipped the goods and refilled the shelf

routes = APIRouter()
T = TypeVar("T")


class Reservation(Body):
    lines: Annotated[list[Line], Field(min_length=1, max_length=20)]
    note: Note = ""


class Hit(Body):
    product_id: int
    name: str
    price_cents: int
    score: float


class Found(Body):
    hits: list[Hit]


class ReservedLine(Body):
    product_id: int
    name: str
    quantity: int
    unit_price_cents: int


class Reserved(Body):
    lines: list[ReservedLine]
    held_s: float


@routes.get("/search")
async def search(request: Request, q: Annotated[str, Query(min_length=1, max_length=200)]) -> Found:
    """The products that match the search words best."""
    ctx = context(request)
    async with ctx.turn:
        scores = _scores(ctx.store, q.lower().split()[:MAX_TERMS])
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:HITS]
        hits = []
        for product_id, score in best:
            product = data.read_product(ctx.store, product_id)
            assert product is not None
            hits.append(
                Hit(product_id=product.id, name=product.name, price_cents=product.price_cents, score=round(score, 4))
            )
        return Found(hits=hits)


@routes.get("/catalogue", responses=documented(200, CATALOGUE))
async def catalogue(request: Request, from_cents: Annotated[Cents, Query()] = 0) -> Response:
    """Every product from that price on, with its search words and the cheapest first. Partners import it."""
    ctx = context(request)
    async with ctx.turn:
        words = await _words_by_product(ctx)
        offers = []
        for ids in _in_parts(sorted(words)):
            offers += [_offer(ctx.store, product_id, words[product_id]) for product_id in ids]
            await ctx.turn.breathe()
        lines = []
        for part in _in_parts(sorted(offers, key=lambda offer: (offer["price_cents"], offer["product_id"]))):
            lines += [json.dumps(offer) for offer in part if offer["price_cents"] >= from_cents]
            await ctx.turn.breathe()
        return Response(f'{{"offers": [{", ".join(lines)}]}}', media_type="application/json")


async def _words_by_product(ctx: Context) -> dict[int, list[str]]:
    words: dict[int, list[str]] = defaultdict(list)
    rows = ctx.store.execute("SELECT product_id, term FROM postings")
    while part := rows.fetchmany(10 * EXPORTED_AT_ONCE):
        for product_id, term in part:
            words[product_id].append(term)
        await ctx.turn.breathe()
    return words


def _offer(database: sqlite3.Connection, product_id: int, words: list[str]) -> dict[str, Any]:
    product = data.read_product(database, product_id)
    assert product is not None
    return {"product_id": product.id, "name": product.name, "price_cents": product.price_cents, "words": words}


def _in_parts(whole: list[T]) -> Iterator[list[T]]:
    """Parts that are small enough to work on between two breaths of the event loop."""
    return (whole[first : first + EXPORTED_AT_ONCE] for first in range(0, len(whole), EXPORTED_AT_ONCE))


@routes.post(
    "/reservations",
    status_code=201,
    responses=refusals({404: "No such product.", 409: "Not enough in stock."}),
)
async def reserve(request: Request, body: Reservation, idempotency_key: IdempotencyKey) -> Reserved:
    """Reserve the goods: all lines or none. The same key again gets the same answer and reserves nothing more."""
    ctx = context(request)
    async with ctx.turn:
        asked = fingerprint(body.model_dump(exclude={"note"}))
        with transaction(ctx.store):
            _settle(ctx.store, time.time())
            query = "SELECT request, answer FROM reservations WHERE idempotency_key = ?"
            earlier = ctx.store.execute(query, (idempotency_key,)).fetchone()
            if earlier is not None and earlier["request"] != asked:
                raise HTTPException(422, "this Idempotency-Key came with another request before")
            if earlier is not None:
                return Reserved.model_validate_json(earlier["answer"])
            reserved = Reserved(lines=[_take(ctx.store, line) for line in body.lines], held_s=HELD_S)
            lines = json.dumps([(line.product_id, line.quantity) for line in body.lines])
            row = (idempotency_key, asked, reserved.model_dump_json(), lines, time.time() + HELD_S)
            ctx.store.execute("INSERT INTO reservations VALUES (?, ?, ?, ?, ?)", row)
        return reserved


def _take(database: sqlite3.Connection, line: Line) -> ReservedLine:
    product = data.read_product(database, line.product_id)
    if product is None:
        raise HTTPException(404, f"no product {line.product_id}")
    # Check and decrement in one statement, so two requests can never both take the last item.
    taken = database.execute(
        "UPDATE products SET stock = stock - ? WHERE id = ? AND stock >= ?",
        (line.quantity, line.product_id, line.quantity),
    )
    if taken.rowcount != 1:
        raise HTTPException(409, f"not enough of product {line.product_id} in stock")
    return ReservedLine(
        product_id=product.id, name=product.name, quantity=line.quantity, unit_price_cents=product.price_cents
    )


def _settle(database: sqlite3.Connection, now_s: float) -> None:
    """Refill the shelf after reservations that have expired. Each request does only a few, so no request takes long."""
    query = "SELECT idempotency_key, lines FROM reservations WHERE expires_at <= ? LIMIT 8"
    for row in database.execute(query, (now_s,)).fetchall():
        for product_id, quantity in json.loads(row["lines"]):
            database.execute("UPDATE products SET stock = stock + ? WHERE id = ?", (quantity, product_id))
        database.execute("DELETE FROM reservations WHERE idempotency_key = ?", (row["idempotency_key"],))


def _scores(database: sqlite3.Connection, words: list[str]) -> dict[int, float]:
    """The BM25 score of every product that has one of the words, or a word that is one typing error away."""
    count, average_length = database.execute("SELECT count(*), avg(length) FROM products").fetchone()
    scores: dict[int, float] = defaultdict(float)
    terms = database.execute("SELECT term, products FROM terms").fetchall()
    for word in words:
        for term, spread in terms:
            distance = _distance(word, term)
            if distance > 1:
                continue
            weight = math.log(1 + (count - spread + 0.5) / (spread + 0.5)) * (0.4 if distance else 1.0)
            query = "SELECT product_id, occurrences, length FROM postings WHERE term = ?"
            for product_id, occurrences, length in database.execute(query, (term,)):
                damped = occurrences + K1 * (1 - B + B * length / average_length)
                scores[product_id] += weight * occurrences * (K1 + 1) / damped
    return scores


def _distance(word: str, term: str) -> int:
    """How many letters must be changed, added or dropped to turn `word` into `term`. 2 means two or more."""
    if word == term:
        return 0
    if abs(len(word) - len(term)) > 1:
        return 2
    before = list(range(len(term) + 1))
    for row, letter in enumerate(word, start=1):
        now = [row]
        for column, other in enumerate(term, start=1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (letter != other)))
        if min(now) > 1:
            return 2
        before = now
    return min(before[-1], 2)


def create(settings: Settings) -> FastAPI:
    """The service."""
    return create_app(settings, routes, upgrade=data.upgrade)
