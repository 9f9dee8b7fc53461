"""All kinds of log lines. Services write no other lines, and the simulator writes no other lines for them."""

from __future__ import annotations

import importlib
import re
from functools import cache

from fastapi import APIRouter
from fastapi.routing import APIRoute

from mirr.env.vocabulary import Service
from mirr.env.world import Level, LogLine

Kind = tuple[str, Level]

UNMATCHED = "unmatched"  # the label for a path without a route


@cache
def service_routes(service: Service) -> frozenset[str]:
    """The path templates of the routes of the service."""
    router: APIRouter = importlib.import_module(f"services.{service}").routes
    return frozenset(route.path for route in router.routes if isinstance(route, APIRoute))


_ROUTE = r"(?P<route>\S+)"
_REQUEST = rf"method=[A-Za-z]+ route={_ROUTE} code=(?P<code>\d{{3}})( duration_s=[\d.e-]+)?"
TEXTS: dict[Kind, re.Pattern[str]] = {
    ("started", Level.INFO): re.compile(r"release=\d+\.\d+\.\d+( boot_s=[\d.]+)?"),
    ("stopped", Level.INFO): re.compile(r"release=\d+\.\d+\.\d+"),
    ("request", Level.INFO): re.compile(_REQUEST),
    ("request", Level.WARNING): re.compile(_REQUEST),
    ("request_failed", Level.ERROR): re.compile(rf"{_REQUEST} error=\w+: .+"),
    ("exiting", Level.ERROR): re.compile(r"error=\w+: .+"),
    ("upstream_failed", Level.WARNING): re.compile(
        rf"upstream=(gateway|auth|inventory|orders|payments)( reason=.+ route={_ROUTE})?"
    ),
    ("shed", Level.WARNING): re.compile(rf"too many requests in flight|requests=\d+ route={_ROUTE} in_flight=\d+"),
}
"""Every kind of log line, with a pattern for its text."""


def kind_of(line: LogLine) -> Kind:
    """The kind of the line: its event and level."""
    return line.event, line.level


def kind_problem(line: LogLine, service: Service | None) -> str | None:
    """The reason why `service` cannot have written `line`, or None if it can."""
    form = TEXTS.get(kind_of(line))
    if form is None:
        return f"is of the kind {line.event!r} at {line.level}, which no service writes: {line.text[:160]!r}"
    read = form.fullmatch(line.text)
    if read is None:
        return f"of the kind {line.event!r} reads {line.text[:160]!r}, unlike any that a service writes"
    route = read.groupdict().get("route")
    if service is not None and route is not None and route not in service_routes(service) | {UNMATCHED}:
        return f"names the route {route}, which {service} does not have"
    return None
