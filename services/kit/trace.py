"""The trace that a request belongs to. The W3C header `traceparent` carries it from service to service."""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from dataclasses import dataclass

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class Trace:
    """A trace, and the client that began it."""

    trace_id: str
    client_key: str | None = None

    def traceparent(self) -> str:
        """The header for a call made on behalf of this trace."""
        return f"00-{self.trace_id}-{os.urandom(8).hex()}-01"


def trace_id_of(header: bytes | None) -> str:
    """The trace id in a `traceparent` header; a new one if the header is missing or malformed."""
    match = _TRACEPARENT.fullmatch(header) if header else None
    if match is None or match[1] == b"0" * 32:
        return os.urandom(16).hex()
    return match[1].decode()


NO_TRACE = Trace("0" * 32)
CURRENT: ContextVar[Trace] = ContextVar("CURRENT", default=NO_TRACE)
