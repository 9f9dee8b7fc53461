"""gateway: the front of the shop. It routes the journeys, checks tokens and composes the pages."""

from __future__ import annotations

import hashlib
import html
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, HTTPException, Query, Request
from pydantic import Field
from starlette.responses import Response

from services.data import gateway as data
from services.kit.app import Context, context, create_app
from services.kit.fields import WHOLE, Body, IdempotencyKey, Line, Note, StoreId, Username
from services.kit.replies import documented, refusals
from services.kit.settings import Settings
from services.kit.store import transaction
from services.kit.upstreams import UpstreamAnswer, Upstreams

UPSTREAM_TIMEOUT_S = 1.0
KEPT_CARTS = 1_000
SHELVES = 80  # for each block of a shop's front page
BEHIND = {
    404: "No such storefront, product, account or zone.",
    502: "A service behind this one failed.",
    504: "A service behind this one did not answer in time.",
}
MAX_PAGES = 24  # in one answer
_PAGES_BEGIN, _PAGES_END = '{"pages": [', "]}"
PAGES = {
    "type": "object",
    "properties": {"pages": {"type": "array", "items": {"type": "string"}}},
    "required": ["pages"],
}
PAGE = {"type": "object", "properties": {"page": {"type": "string"}}, "required": ["page"]}


def _page_with(fact: str, kind: str) -> dict[str, Any]:
    """The schema of a page together with one fact."""
    return {
        "type": "object",
        "properties": {"page": {"type": "string"}, fact: {"type": kind}},
        "required": ["page", fact],
    }


routes = APIRouter()


class SignIn(Body):
    username: Username
    password: Annotated[str, Field(min_length=1, max_length=256)]
    note: Note = ""


class CheckOut(Body):
    lines: Annotated[list[Line], Field(min_length=1, max_length=20)]
    zone: Annotated[int, Field(ge=1, le=1_000_000), WHOLE]
    note: Note = ""


class Cart(Body):
    lines: Annotated[list[Line], Field(min_length=1, max_length=20)]
    note: Note = ""


class SavedCart(Body):
    cart_id: str
    units: int


@routes.get("/storefronts/{store}", responses=documented(200, PAGE) | refusals({404: BEHIND[404]}))
async def storefront(request: Request, store: int) -> Response:
    """A shop's front page, with everything on its shelves."""
    ctx = context(request)
    async with ctx.turn:
        shop = _shop(ctx, store)
        return _compose(request, shop, "Welcome", _shelves(shop))


@routes.get("/storefronts", responses=documented(200, PAGES) | refusals({404: BEHIND[404]}))
async def storefronts(
    request: Request,
    first: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    count: Annotated[int, Query(ge=1, le=MAX_PAGES)] = 8,
) -> Response:
    """The front pages of several shops at once, so that a delivery network can fill its cache."""
    ctx = context(request)
    async with ctx.turn:
        packed = _Packed(request)
        for store in range(first, first + count):
            shop = _shop(ctx, store)
            page = json.dumps(_render(shop, "Welcome", _shelves(shop)))
            packed.add(f"{', ' if store > first else _PAGES_BEGIN}{page}".encode())
            await ctx.turn.breathe()
        packed.add(_PAGES_END.encode())
        return packed.response(200)


@routes.get("/browse", responses=documented(200, _page_with("hits", "array")) | refusals(BEHIND))
async def browse(
    request: Request, q: Annotated[str, Query(min_length=1, max_length=200)], store: StoreId = 1
) -> Response:
    """A page with the products that match the search best."""
    ctx = context(request)
    shop = _shop(ctx, store)
    found = await ctx.upstreams.call("inventory", "GET", "/search", query={"q": q})
    hits = _content(found)["hits"]
    async with ctx.turn:
        rows = ((hit["name"], f"{hit['price_cents'] / 100:.2f} EUR") for hit in hits)
        return _compose(request, shop, f"Results for {q}", rows, hits=hits)


@routes.post(
    "/sign-in",
    status_code=201,
    responses=documented(201, _page_with("token", "string"))
    | refusals(BEHIND | {401: "Unknown user or wrong password."}),
)
async def sign_in(request: Request, body: SignIn, store: StoreId = 1) -> Response:
    """A token for a user who sends the right password, and a page that greets the user."""
    ctx = context(request)
    shop = _shop(ctx, store)
    asked = {"username": body.username, "password": body.password}
    session = _content(await ctx.upstreams.call("auth", "POST", "/sessions", body=asked))
    async with ctx.turn:
        return _compose(request, shop, f"Hello {body.username}", (), status=201, token=session["token"])


@routes.post(
    "/check-out",
    status_code=201,
    responses=documented(201, _page_with("order", "object"))
    | refusals(BEHIND | {401: "No valid token.", 409: "Not enough in stock."}),
)
async def check_out(
    request: Request,
    body: CheckOut,
    idempotency_key: IdempotencyKey,
    authorization: Annotated[str, Header(max_length=2048)] = "",
    store: StoreId = 1,
) -> Response:
    """Place an order for the user who holds the token."""
    ctx = context(request)
    shop = _shop(ctx, store)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > 1024:
        raise HTTPException(401, "send the token of a sign-in as: Authorization: Bearer TOKEN")
    holder = _content(await ctx.upstreams.call("auth", "POST", "/tokens/check", body={"token": token}))
    order = {
        "username": holder["username"],
        "lines": [line.model_dump() for line in body.lines],
        "zone": body.zone,
    }
    answer = await ctx.upstreams.call("orders", "POST", "/orders", body=order, idempotency_key=idempotency_key)
    placed = _content(answer)
    async with ctx.turn:
        rows = ((name, f"{cents / 100:.2f} EUR") for name, cents in placed["quote"].items() if name.endswith("_cents"))
        return _compose(request, shop, "Thank you", rows, status=201, order=placed)


@routes.post("/carts", status_code=201)
async def save_cart(request: Request, body: Cart, client_key: Annotated[str, Header(max_length=128)] = "") -> SavedCart:
    """Save a basket for later."""
    ctx = context(request)
    async with ctx.turn:
        lines = json.dumps([line.model_dump() for line in body.lines])
        cart_id = hashlib.sha256(f"{client_key} {lines}".encode()).hexdigest()[:24]
        with transaction(ctx.store):
            ctx.store.execute("INSERT OR REPLACE INTO carts (cart_id, lines) VALUES (?, ?)", (cart_id, lines))
            ctx.store.execute("DELETE FROM carts WHERE number <= (SELECT max(number) FROM carts) - ?", (KEPT_CARTS,))
        return SavedCart(cart_id=cart_id, units=sum(line.quantity for line in body.lines))


def _shop(ctx: Context, store: int) -> data.Storefront:
    # SQLite cannot hold a larger id, so no storefront has one.
    shop = data.read_storefront(ctx.store, store) if abs(store) < 1 << 63 else None
    if shop is None:
        raise HTTPException(404, "no such storefront")
    return shop


def _content(answer: UpstreamAnswer) -> dict[str, Any]:
    """The content of an upstream's answer. A refusal by the upstream is passed on to our client."""
    if answer.status >= 400:
        raise HTTPException(answer.status, str(answer.content.get("detail")))
    return answer.content


def _compose(
    request: Request,
    shop: data.Storefront,
    heading: str,
    rows: Iterable[tuple[str, str]],
    *,
    status: int = 200,
    **facts: Any,
) -> Response:
    """The facts, and the page that shows them. Compressed if the client accepts gzip."""
    packed = _Packed(request)
    packed.add(json.dumps({"page": _render(shop, heading, rows), **facts}).encode())
    return packed.response(status)


class _Packed:
    """JSON that is made piece by piece. Compressed if the client accepts gzip."""

    def __init__(self, request: Request) -> None:
        accepted = "gzip" in request.headers.get("accept-encoding", "")
        self._packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS) if accepted else None
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Add the next piece."""
        self._pieces.append(piece if self._packer is None else self._packer.compress(piece))

    def response(self, status: int) -> Response:
        """The answer with all pieces. Nothing can be added after it."""
        headers = {"Vary": "Accept-Encoding"}
        if self._packer is not None:
            self._pieces.append(self._packer.flush())
            headers["Content-Encoding"] = "gzip"
        return Response(b"".join(self._pieces), status_code=status, headers=headers, media_type="application/json")


def _shelves(shop: data.Storefront) -> Iterator[tuple[str, str]]:
    return ((f"{title}, shelf {shelf}", text) for shelf in range(1, SHELVES + 1) for title, text in shop.blocks)


def _render(shop: data.Storefront, heading: str, rows: Iterable[tuple[str, str]]) -> str:
    escape = html.escape
    blocks = "".join(
        f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p></section>\n" for title, text in shop.blocks
    )
    table = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>\n" for name, value in rows)
    return (
        f"<!doctype html>\n<title>{escape(shop.title)}</title>\n<header>{escape(shop.tagline)}</header>\n"
        f"<h1>{escape(heading)}</h1>\n<table>{table}</table>\n<main>{blocks}</main>\n"
    )


def create(settings: Settings, upstreams: Upstreams | None = None) -> FastAPI:
    """The service."""
    return create_app(
        settings, routes, upgrade=data.upgrade, upstreams=upstreams, upstream_timeout_s=UPSTREAM_TIMEOUT_S
    )
