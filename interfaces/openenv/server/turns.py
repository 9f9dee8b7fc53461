"""One message at a time on a WebSocket: the answer to one comes before the next is sent."""

from __future__ import annotations

import asyncio
import json

from starlette.types import Message, Receive


class Turns:
    """Reads one frame ahead. So it knows whether a frame came while the one before it had no answer yet.

    OpenEnv's answers do not say which message they answer. A client that sends two steps at once and misses an answer
    would take every later answer for that of another step.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._unanswered = False
        self._ahead: asyncio.Task[tuple[Message, bool]] | None = None

    async def next(self) -> tuple[Message, bool]:
        """The next message, and whether it came too early."""
        reading = self._ahead or asyncio.create_task(self._read())
        self._ahead = None
        message, early = await reading
        if message["type"] == "websocket.receive" and not early:
            self._ahead = asyncio.create_task(self._read())
        return message, early

    async def _read(self) -> tuple[Message, bool]:
        message = await self._receive()
        if message["type"] != "websocket.receive" or _is_goodbye(message.get("text")):
            return message, False
        early, self._unanswered = self._unanswered, True
        return message, early

    def answered(self) -> None:
        """The answer is about to be sent. Call this before it is: the next message may come at once."""
        self._unanswered = False

    async def end(self) -> None:
        """Stop reading ahead."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.wait([self._ahead])
            if not self._ahead.cancelled():
                self._ahead.exception()  # nobody reads it any more, and asyncio would complain


def _is_goodbye(text: object) -> bool:
    """Whether a client says that it leaves. It may do so at any time."""
    if not isinstance(text, str) or len(text) > 64:
        return False
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("type") == "close"
