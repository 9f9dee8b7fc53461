"""The application factory of all five services."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from services.data.release import VERSION
from services.kit import store
from services.kit.edge import MAX_IN_FLIGHT, Edge
from services.kit.ledger import Ledger
from services.kit.logs import log
from services.kit.metrics import Metrics
from services.kit.register import Register
from services.kit.replies import problem, refusals, reply
from services.kit.settings import Settings
from services.kit.trace import CURRENT
from services.kit.trail import Trail
from services.kit.turn import Turn
from services.kit.upstreams import HttpUpstreams, UpstreamFailed, Upstreams

MAX_PROBLEMS = 5  # mistakes that are listed for one request
COMMON_ANSWERS = refusals(
    {
        400: "The body is not JSON.",
        408: "The body did not come in time.",
        413: "The body is too large.",
        422: "The request is not as described here.",
        431: "The head of the request is too large.",
        500: "The service failed.",
        503: "Too many requests in flight.",
    }
)


@dataclass(kw_only=True)
class Context:
    """What handlers work with."""

    settings: Settings
    store: sqlite3.Connection
    upstreams: Upstreams
    # CPU work is done one piece at a time, in order of arrival. Requests wait in this queue, where waiting is measured.
    turn: Turn = field(default_factory=Turn)
    busy_keys: set[str] = field(default_factory=set)  # idempotency keys of requests that are being worked on now


def context(request: Request) -> Context:
    """The context of the application that serves `request`."""
    found: Context = request.app.state.context
    return found


def create_app(
    settings: Settings,
    routes: APIRouter,
    *,
    upgrade: Callable[[sqlite3.Connection], None],
    upstream_timeout_s: float = 1.0,
    upstreams: Upstreams | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> FastAPI:
    """A service: its own `routes`, inside everything that all services share."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = store.connect(settings.database)
        upgrade(database)
        app.state.trail = Trail(database, settings.service)
        carried = upstreams or _upstreams(settings, upstream_timeout_s)
        app.state.context = Context(settings=settings, store=database, upstreams=carried)
        log(logging.INFO, "started", release=VERSION, boot_s=round(_process_age_s(), 3))
        yield
        await carried.close()
        database.close()
        log(logging.INFO, "stopped", release=VERSION)

    # The pages under /docs load scripts from a CDN, so they are switched off. /openapi.json stays.
    app = FastAPI(title=settings.service, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    metrics = Metrics(VERSION)
    app.state.ledger = Ledger()
    templates = [(route.path_regex, route.path) for route in routes.routes if isinstance(route, APIRoute)]
    app.add_middleware(Register)
    app.add_middleware(Edge, metrics=metrics, ledger=app.state.ledger, templates=templates, max_in_flight=max_in_flight)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_exception_handler(UpstreamFailed, _blame_upstream)
    app.include_router(routes, responses=COMMON_ANSWERS)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return reply(200, {"status": "ok", "release": VERSION})

    @app.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


class NoUpstreams:
    """For a service that calls no other service."""

    async def call(self, upstream: str, method: str, path: str, **_: Any) -> Any:
        raise UpstreamFailed(upstream, "no upstream is configured")

    async def close(self) -> None:
        pass


def _upstreams(settings: Settings, timeout_s: float) -> Upstreams:
    return HttpUpstreams(settings.upstreams, timeout_s=timeout_s) if settings.upstreams else NoUpstreams()


async def _refuse(_: Request, error: Exception) -> Response:
    """Say what is wrong with a request. Never repeat the input itself: it may not be safe to send back."""
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    said = [f"{'.'.join(str(part)[:40] for part in p['loc'])}: {p['msg'][:200]}" for p in problems[:MAX_PROBLEMS]]
    status = 400 if any(p["type"] == "json_invalid" for p in problems) else 422
    return problem(status, "; ".join(said))


async def _blame_upstream(request: Request, error: Exception) -> Response:
    assert isinstance(error, UpstreamFailed)
    fields = {"upstream": error.upstream, "reason": error.reason, "route": request.scope["route"].path}
    log(logging.WARNING, "upstream_failed", trace_id=CURRENT.get().trace_id, **fields)
    return problem(504 if error.timed_out else 502, f"{error.upstream} failed: {error.reason}")


def _process_age_s() -> float:
    """Seconds since this process was started, imports included."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return time.process_time()  # without /proc, the CPU time so far is the best estimate
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
