"""orders: prices a basket, and places an order once per idempotency key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Request
from pydantic import Field

from services.data import orders as data
from services.kit.app import Context, context, create_app
from services.kit.fields import WHOLE, Body, Cents, IdempotencyKey, Line, Note, ProductId, Quantity, Username
from services.kit.idempotency import KeptAnswers
from services.kit.replies import refusals
from services.kit.settings import Settings
from services.kit.store import transaction
from services.kit.upstreams import Upstreams

UPSTREAM_TIMEOUT_S = 0.6
MAX_COMBINED = 10  # how many promotions are compared: every combination of them is tried
MAX_DISCOUNT_PERCENT = 40
GRAMS_APIECE = 300
PARCEL_LINES = 10
MAX_BULK_LINES = 100

routes = APIRouter()
kept = KeptAnswers("orders")
ZoneId = Annotated[int, Field(ge=1, le=1_000_000), WHOLE]


class PricedLine(Body):
    product_id: ProductId
    quantity: Quantity
    unit_price_cents: Cents


class Basket(Body):
    lines: Annotated[list[PricedLine], Field(min_length=1, max_length=20)]
    zone: ZoneId
    note: Note = ""


class BulkBasket(Body):
    lines: Annotated[list[PricedLine], Field(min_length=1, max_length=MAX_BULK_LINES)]
    zone: ZoneId
    note: Note = ""


class Quote(Body):
    goods_cents: int
    discount_cents: int
    shipping_cents: int
    total_cents: int
    promotions: list[str]


class BulkQuote(Body):
    parcels: list[Quote]
    total_cents: int


class Order(Body):
    username: Username
    lines: Annotated[list[Line], Field(min_length=1, max_length=20)]
    zone: ZoneId
    note: Note = ""


class Placed(Body):
    quote: Quote
    receipt: str


@routes.post("/quotes", responses=refusals({404: "The shop does not ship to this zone."}))
async def quote(request: Request, body: Basket) -> Quote:
    """What the basket costs with the best promotions."""
    ctx = context(request)
    async with ctx.turn:
        return _price(ctx, body.lines, body.zone)


@routes.post("/bulk-quotes", responses=refusals({404: "The shop does not ship to this zone."}))
async def bulk_quote(request: Request, body: BulkBasket) -> BulkQuote:
    """What a large basket of a business customer costs. It ships in parcels, each with the best promotions for it."""
    ctx = context(request)
    async with ctx.turn:
        parcels = []
        for first in range(0, len(body.lines), PARCEL_LINES):
            parcels.append(_price(ctx, body.lines[first : first + PARCEL_LINES], body.zone))
            await ctx.turn.breathe()
        return BulkQuote(parcels=parcels, total_cents=sum(parcel.total_cents for parcel in parcels))


@routes.post(
    "/orders",
    status_code=201,
    responses=refusals(
        {
            404: "No such product, account or zone.",
            409: "Not enough in stock, or the same order is being placed right now.",
            502: "A service behind this one failed.",
            504: "A service behind this one did not answer in time.",
        }
    ),
)
async def place(request: Request, body: Order, idempotency_key: IdempotencyKey) -> Placed:
    """Reserve, price, charge. The same key again gets the same order back, and no new order is placed."""
    ctx = context(request)
    asked = body.model_dump(exclude={"note"})
    earlier = kept.find(ctx.store, idempotency_key, asked)
    if earlier is not None:
        return Placed(**earlier)
    if idempotency_key in ctx.busy_keys:
        raise HTTPException(409, "the same order is being placed right now")
    ctx.busy_keys.add(idempotency_key)
    try:
        lines = await _reserve(ctx.upstreams, body.lines, idempotency_key)
        async with ctx.turn:
            priced = _price(ctx, lines, body.zone)
        # If the charge fails, there is nothing to clean up: the reservation expires by itself.
        receipt = await _charge(ctx.upstreams, body.username, priced.total_cents, idempotency_key)
        placed = Placed(quote=priced, receipt=receipt)
        with transaction(ctx.store):
            kept.keep(ctx.store, idempotency_key, asked, placed.model_dump())
        return placed
    finally:
        ctx.busy_keys.discard(idempotency_key)


async def _reserve(upstreams: Upstreams, lines: Sequence[Line], key: str) -> list[PricedLine]:
    body = {"lines": [line.model_dump() for line in lines]}
    answer = await upstreams.call("inventory", "POST", "/reservations", body=body, idempotency_key=key)
    if answer.status != 201:
        raise HTTPException(answer.status, str(answer.content.get("detail")))
    return [
        PricedLine(product_id=line["product_id"], quantity=line["quantity"], unit_price_cents=line["unit_price_cents"])
        for line in answer.content["lines"]
    ]


async def _charge(upstreams: Upstreams, username: str, amount_cents: int, key: str) -> str:
    body = {"account": username, "amount_cents": amount_cents}
    answer = await upstreams.call("payments", "POST", "/charges", body=body, idempotency_key=key)
    if answer.status != 201:
        raise HTTPException(answer.status, str(answer.content.get("detail")))
    signature: str = answer.content["signature"]
    return signature


def _price(ctx: Context, lines: Sequence[PricedLine], zone_id: int) -> Quote:
    zone = data.read_zone(ctx.store, zone_id)
    if zone is None:
        raise HTTPException(404, f"the shop does not ship to zone {zone_id}")
    goods_cents = sum(line.quantity * line.unit_price_cents for line in lines)
    discount_cents, chosen = _best_discount(lines, data.read_promotions(ctx.store))
    shipping_cents = round(sum(line.quantity for line in lines) * GRAMS_APIECE / 1000 * zone.cents_per_kg)
    return Quote(
        goods_cents=goods_cents,
        discount_cents=discount_cents,
        shipping_cents=shipping_cents,
        # At least one cent: payments refuses to charge nothing.
        total_cents=max(1, goods_cents - discount_cents + shipping_cents),
        promotions=chosen,
    )


def _best_discount(lines: Sequence[PricedLine], promotions: Sequence[data.Promotion]) -> tuple[int, list[str]]:
    """The largest discount in cents, and the promotions that give it.

    On one line, promotions add up to at most MAX_DISCOUNT_PERCENT. Each further promotion in a combination takes one
    percent off the discount on every line. So every combination must be tried.
    """
    rows = []  # for each promotion that applies: its name, and its percent on each line
    for promotion in promotions:
        percents = [
            promotion.percent
            if line.product_id % promotion.modulus == promotion.residue and line.quantity >= promotion.least_quantity
            else 0
            for line in lines
        ]
        if any(percents):
            rows.append((promotion.name, percents))
    rows = rows[:MAX_COMBINED]
    worth = [line.quantity * line.unit_price_cents for line in lines]
    best_cents, best_choice = 0, 0
    for choice in range(1 << len(rows)):
        picked = [percents for bit, (_, percents) in enumerate(rows) if choice >> bit & 1]
        cents = 0
        for place, cents_of_line in enumerate(worth):
            percent = sum(percents[place] for percents in picked) - max(0, len(picked) - 1)
            cents += cents_of_line * max(0, min(percent, MAX_DISCOUNT_PERCENT)) // 100
        if cents > best_cents:
            best_cents, best_choice = cents, choice
    return best_cents, [name for bit, (name, _) in enumerate(rows) if best_choice >> bit & 1]


def create(settings: Settings, upstreams: Upstreams | None = None) -> FastAPI:
    """The service."""
    return create_app(
        settings, routes, upgrade=data.upgrade, upstreams=upstreams, upstream_timeout_s=UPSTREAM_TIMEOUT_S
    )
