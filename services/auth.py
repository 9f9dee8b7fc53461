"""auth: checks passwords, issues signed tokens, and checks tokens."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import sqlite3
import time
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Request
from pydantic import Field

from services.data import auth as data
from services.data import staff
from services.kit.app import Context, context, create_app
from services.kit.fields import Body, Note, Username
from services.kit.keys import make_key, read_key
from services.kit.replies import refusals
from services.kit.settings import Settings

TOKEN_LIFE_S = 12 * 3600
NOBODY = data.Credential(data.ITERATIONS, b"nobody", b"")
NO_STAFF = data.Credential(staff.STAFF_ITERATIONS, b"nobody", b"")
LONG_ITERATIONS = 100_000  # from here on, a hash is worked on in a thread, so that the loop can read the sockets

routes = APIRouter()


class SignIn(Body):
    username: Username
    password: Annotated[str, Field(min_length=1, max_length=256)]
    note: Note = ""


class Session(Body):
    token: str
    expires_in_s: int


class Token(Body):
    token: Annotated[str, Field(min_length=1, max_length=1024)]
    note: Note = ""


class Holder(Body):
    username: str
    expires_at: int


REFUSED = refusals({401: "Unknown user or wrong password."})


@routes.post("/sessions", status_code=201, responses=REFUSED)
async def sign_in(request: Request, body: SignIn) -> Session:
    """Return a token to a customer who sends the right password."""
    return await _begin_session(context(request), body, of_staff=False)


@routes.post("/staff/sessions", status_code=201, responses=REFUSED)
async def sign_in_staff(request: Request, body: SignIn) -> Session:
    """Return a token to one of the shop's staff. Their hashes have more rounds."""
    return await _begin_session(context(request), body, of_staff=True)


async def _begin_session(ctx: Context, body: SignIn, *, of_staff: bool) -> Session:
    async with ctx.turn:
        at_the_right_door = body.username.startswith(staff.STAFF_PREFIX) is of_staff
        found = data.read_credential(ctx.store, body.username) if at_the_right_door else None
        # An unknown name costs the same work. Otherwise the time would show which names exist.
        credential = found or (NO_STAFF if of_staff else NOBODY)
        hashed = await _digest(body.password, credential)
        if found is None or not hmac.compare_digest(hashed, credential.digest):
            raise HTTPException(401, "unknown user or wrong password")
        session_id, expires_at = os.urandom(12).hex(), int(time.time()) + TOKEN_LIFE_S
        ctx.store.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)", (body.username, session_id, expires_at))
        claims = {"sub": body.username, "sid": session_id, "exp": expires_at, "pwd": _version(found)}
        return Session(token=_signed(ctx.store, claims), expires_in_s=TOKEN_LIFE_S)


@routes.post("/tokens/check", responses=refusals({401: "The token is not valid, or has expired."}))
async def check(request: Request, body: Token) -> Holder:
    """Return the user who holds this token. A token ends when it expires or when the user's password changes."""
    ctx = context(request)
    async with ctx.turn:
        claims = _verified(ctx.store, body.token)
        if claims is None or claims["exp"] < time.time():
            raise HTTPException(401, "the token is not valid, or has expired")
        credential = data.read_credential(ctx.store, claims["sub"])
        if credential is None or _version(credential) != claims["pwd"]:
            raise HTTPException(401, "the token was issued for another password")
        return Holder(username=claims["sub"], expires_at=claims["exp"])


async def _digest(password: str, credential: data.Credential) -> bytes:
    if credential.iterations < LONG_ITERATIONS:
        return data.digest(password, credential.salt, credential.iterations)
    return await asyncio.to_thread(data.digest, password, credential.salt, credential.iterations)


def _version(credential: data.Credential) -> str:
    """A value that changes with the password and reveals nothing about it."""
    return hashlib.sha256(credential.digest).hexdigest()[:16]


def _signed(database: sqlite3.Connection, claims: dict[str, Any]) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
    return f"{payload}.{_signature(database, payload)}"


def _signature(database: sqlite3.Connection, payload: str) -> str:
    return hmac.new(read_key(database), payload.encode(), hashlib.sha256).hexdigest()


def _verified(database: sqlite3.Connection, token: str) -> dict[str, Any] | None:
    """The claims of a token that carries our signature; None for any other token."""
    payload, _, signature = token.rpartition(".")
    # Compared as bytes: compare_digest refuses text that is not ASCII.
    if not hmac.compare_digest(_signature(database, payload).encode(), signature.encode()):
        return None
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload))
    return claims


def create(settings: Settings) -> FastAPI:
    """The service."""
    return create_app(settings, routes, upgrade=_upgrade)


def _upgrade(database: sqlite3.Connection) -> None:
    make_key(database)
    data.upgrade(database)
