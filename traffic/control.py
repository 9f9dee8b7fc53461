"""The load generator's HTTP interface: metrics, health, campaigns, and how often users come."""

from __future__ import annotations

import json
import re
from typing import Any, TypeGuard

from aiohttp import web

from traffic.campaigns import Campaigns, Kind, Order, Target
from traffic.level import Change, Level
from traffic.metrics import Metrics

MAX_RATE_PER_S = 2_000.0
MAX_LEASE_S = 600.0
LEVELS = (0.25, 2.0)
"""The least and the most that users can come, times the usual rate. With fewer, nothing could be measured any more."""
MAX_OVER_S = 600.0
_PORT = re.compile(r":\d*$")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_CAMPAIGNS = 32  # enough for every kind on every service, and a few more
# Honest clients use one of these names. A web page can make its own name point to this address (DNS rebinding), but the
# browser then sends that name, and it is refused.
HOSTS = frozenset(("localhost", "127.0.0.1", "[::1]", "traffic"))
FIELDS = ("kind", "service", "rate_per_s", "lease_s")
CHANGE_FIELDS = ("first", "last", "over_s", "lease_s")


class BadOrder(ValueError):
    """The requested campaign or change is not possible. The message says why."""


def parse_order(content: dict[str, Any]) -> Order:
    """The requested campaign. Raises BadOrder if it is not possible."""
    _look_for_unknown(content, FIELDS)
    return Order(
        kind=Kind(_member(content, "kind", tuple(Kind))),
        service=Target(_member(content, "service", tuple(Target))),
        rate_per_s=_number(content, "rate_per_s", MAX_RATE_PER_S),
        lease_s=_number(content, "lease_s", MAX_LEASE_S),
    )


def parse_change(content: dict[str, Any]) -> Change:
    """The requested change of the users' traffic. Raises BadOrder if it is not possible."""
    _look_for_unknown(content, CHANGE_FIELDS)
    least, most = LEVELS
    return Change(
        first=_number_from(content, "first", least, most),
        last=_number_from(content, "last", least, most),
        over_s=_number_from(content, "over_s", 0.0, MAX_OVER_S),
        lease_s=_number(content, "lease_s", MAX_LEASE_S),
    )


def _look_for_unknown(content: dict[str, Any], fields: tuple[str, ...]) -> None:
    unknown = sorted(set(content) - set(fields))
    if unknown:
        raise BadOrder(f"unknown field {_short(unknown[0])}; the fields are: {', '.join(fields)}")


def _short(value: object) -> str:
    """A short form of what the client sent, so that it can be recognised."""
    try:
        return repr(value)[:80]
    except (RecursionError, ValueError):  # nested too deeply, or a number of more digits than Python writes
        return "too long to show"


def _member(content: dict[str, Any], field: str, allowed: tuple[str, ...]) -> str:
    value = content.get(field)
    if value not in allowed:
        raise BadOrder(f"{field} is {_short(value)}; one of: {', '.join(allowed)}")
    return str(value)


def _number(content: dict[str, Any], field: str, most: float) -> float:
    value = content.get(field)
    if not _is_number(value) or not 0 < value <= most:
        raise BadOrder(f"{field} is {_short(value)}; a number above 0, at most {most:g}")
    return float(value)


def _number_from(content: dict[str, Any], field: str, least: float, most: float) -> float:
    value = content.get(field)
    if not _is_number(value) or not least <= value <= most:
        raise BadOrder(f"{field} is {_short(value)}; a number from {least:g} to {most:g}")
    return float(value)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


async def _content(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="send the body as Content-Type: application/json")
    try:
        content = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        # Shortened: the parser may quote its input.
        raise BadOrder(f"the body is not JSON: {str(error)[:200]}") from error
    if not isinstance(content, dict):
        raise BadOrder("the body is not a JSON object")
    return content


def _campaign_id(request: web.Request) -> str:
    campaign_id = request.match_info["id"]
    if not _ID.fullmatch(campaign_id):
        raise BadOrder("a campaign's id is 1 to 64 letters, digits, dots, dashes and underscores")
    return campaign_id


@web.middleware
async def _keep_web_pages_out(request: web.Request, handler: Any) -> web.StreamResponse:
    """Refuse every request that a web page in a browser on this machine could send."""
    name = _PORT.sub("", request.headers.get("Host", "")).lower()
    if name not in HOSTS:
        raise web.HTTPForbidden(reason=f"the Host header must be one of: {', '.join(sorted(HOSTS))}")
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise web.HTTPForbidden(reason="requests from web pages are refused")
    answer: web.StreamResponse = await handler(request)
    return answer


@web.middleware
async def _say_what_is_wrong(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except BadOrder as error:
        return web.json_response({"error": str(error)}, status=422)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return web.json_response({"error": f"{request.method} {request.path}: {error.reason}"}, status=error.status)
    return answer


class Control:
    """The handlers for campaigns, the users' traffic and metrics."""

    def __init__(self, campaigns: Campaigns, level: Level, metrics: Metrics) -> None:
        self._campaigns = campaigns
        self._level = level
        self._metrics = metrics

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[_say_what_is_wrong, _keep_web_pages_out], client_max_size=64 * 1024)
        app.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/metrics", self.scrape),
                web.get("/campaigns", self.list),
                web.put("/campaigns/{id}", self.put),
                web.post("/campaigns/{id}/renew", self.renew),
                web.delete("/campaigns/{id}", self.end),
                web.get("/traffic", self.show_traffic),
                web.put("/traffic", self.change_traffic),
                web.post("/traffic/renew", self.renew_traffic),
                web.delete("/traffic", self.reset_traffic),
            ]
        )
        return app

    async def healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def scrape(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def list(self, _: web.Request) -> web.Response:
        return web.json_response({"campaigns": self._campaigns.describe()})

    async def put(self, request: web.Request) -> web.Response:
        campaign_id, order = _campaign_id(request), parse_order(await _content(request))
        running = {str(campaign["id"]) for campaign in self._campaigns.describe()}
        if campaign_id not in running and len(running) >= MAX_CAMPAIGNS:
            raise BadOrder(f"{MAX_CAMPAIGNS} campaigns are running already; end one of them first")
        created = self._campaigns.put(campaign_id, order)
        return web.json_response({"id": campaign_id, "lease_s": order.lease_s}, status=201 if created else 200)

    async def renew(self, request: web.Request) -> web.Response:
        campaign_id = _campaign_id(request)
        lease_s = _number(await _content(request), "lease_s", MAX_LEASE_S)
        if not self._campaigns.renew(campaign_id, lease_s):
            return _gone(campaign_id)
        return web.json_response({"id": campaign_id, "lease_s": lease_s})

    async def end(self, request: web.Request) -> web.Response:
        campaign_id = _campaign_id(request)
        return web.json_response({"id": campaign_id}) if self._campaigns.end(campaign_id) else _gone(campaign_id)

    async def show_traffic(self, _: web.Request) -> web.Response:
        return web.json_response(self._level.describe())

    async def change_traffic(self, request: web.Request) -> web.Response:
        change = parse_change(await _content(request))
        was_usual = self._level.change(change)
        return web.json_response(self._level.describe(), status=201 if was_usual else 200)

    async def renew_traffic(self, request: web.Request) -> web.Response:
        lease_s = _number(await _content(request), "lease_s", MAX_LEASE_S)
        return web.json_response(self._level.describe()) if self._level.renew(lease_s) else _usual()

    async def reset_traffic(self, _: web.Request) -> web.Response:
        return web.json_response(self._level.describe()) if self._level.end() else _usual()


def _usual() -> web.Response:
    return web.json_response({"error": "users come at their usual rate"}, status=404)


def _gone(campaign_id: str) -> web.Response:
    return web.json_response({"error": f"no campaign {campaign_id!r} is running"}, status=404)
