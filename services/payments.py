"""payments: charges an account once per idempotency key, and signs the receipt."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from typing import Annotated, Literal

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from pydantic import Field

from services.data import payments as data
from services.kit.app import context, create_app
from services.kit.fields import WHOLE, Body, IdempotencyKey, Note, Username
from services.kit.idempotency import KeptAnswers
from services.kit.keys import make_key, read_key
from services.kit.replies import refusals
from services.kit.settings import Settings
from services.kit.store import transaction

STRETCHING = 18_000  # iterations to derive the key of one receipt from the service's key
MAX_ON_STATEMENT = 25

routes = APIRouter()
kept = KeptAnswers("charges")


class Charge(Body):
    account: Username
    amount_cents: Annotated[int, Field(ge=1, le=1_000_000_000), WHOLE]
    currency: Literal["EUR"] = "EUR"
    note: Note = ""


class Receipt(Body):
    account: str
    amount_cents: int
    fee_cents: int
    currency: str
    signature: str


class StatementLine(Body):
    account: str
    amount_cents: int
    fee_cents: int
    currency: str
    verified: bool


class Statement(Body):
    charges: list[StatementLine]
    amount_cents: int
    fee_cents: int


@routes.post(
    "/charges",
    status_code=201,
    responses=refusals({404: "No such account."}),
)
async def charge(request: Request, body: Charge, idempotency_key: IdempotencyKey) -> Receipt:
    """Charge the account. The same key again gets the same receipt, and nothing is charged."""
    ctx = context(request)
    async with ctx.turn:
        asked = body.model_dump(exclude={"note"})
        earlier = kept.find(ctx.store, idempotency_key, asked)
        if earlier is not None:
            return Receipt(**earlier)
        account = data.read_account(ctx.store, body.account)
        if account is None:
            raise HTTPException(404, "no such account")
        fee_cents = -(-body.amount_cents * account.fee_basis_points // 10_000)
        facts = {**asked, "fee_cents": fee_cents}
        receipt = Receipt(**facts, signature=_signature(read_key(ctx.store), account, idempotency_key, facts))
        with transaction(ctx.store):
            kept.keep(ctx.store, idempotency_key, asked, receipt.model_dump())
        return receipt


@routes.get("/statement")
async def statement(request: Request, charges: Annotated[int, Query(ge=1, le=MAX_ON_STATEMENT)] = 12) -> Statement:
    """The shop's last charges, the newest first. The receipt of each is verified."""
    ctx = context(request)
    async with ctx.turn:
        lines = []
        for key, answer in kept.last(ctx.store, charges):
            lines.append(_verified(ctx.store, key, Receipt(**answer)))
            await ctx.turn.breathe()
        return Statement(
            charges=lines,
            amount_cents=sum(line.amount_cents for line in lines),
            fee_cents=sum(line.fee_cents for line in lines),
        )


def _verified(database: sqlite3.Connection, idempotency_key: str, receipt: Receipt) -> StatementLine:
    account = data.read_account(database, receipt.account)
    facts = receipt.model_dump(exclude={"signature"})
    expected = "" if account is None else _signature(read_key(database), account, idempotency_key, facts)
    return StatementLine(**facts, verified=hmac.compare_digest(expected, receipt.signature))


def _signature(own_key: bytes, account: data.Account, idempotency_key: str, facts: dict[str, object]) -> str:
    key = hashlib.pbkdf2_hmac("sha256", own_key + idempotency_key.encode(), account.salt, STRETCHING)
    return hmac.new(key, json.dumps(facts, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def create(settings: Settings) -> FastAPI:
    """The service."""
    return create_app(settings, routes, upgrade=_upgrade)


def _upgrade(database: sqlite3.Connection) -> None:
    make_key(database)
    data.upgrade(database)
