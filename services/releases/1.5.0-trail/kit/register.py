"""Enters every request into the trail of the service before it is worked on."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from services.kit.edge import UNCOUNTED
from services.kit.turn import Turn


class Register:
    """ASGI middleware between the edge and the handlers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turn = Turn()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in UNCOUNTED:
            async with self._turn:
                await scope["app"].state.trail.enter(scope["method"], scope["path"])
        await self._app(scope, receive, send)
