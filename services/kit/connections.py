"""The connections of every service: uvicorn's, with limits on how long they wait and how much they hold."""

from __future__ import annotations

import asyncio
import json
from asyncio.events import TimerHandle

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 16 << 10  # request line and headers
MAX_CONNECTIONS = 512  # more than ordinary users and a flash crowd keep open
MAX_PIPELINED = 16
MAX_STALLED = 64  # clients that do not read their answers
HEAD_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 5.0  # for a client to read an answer that does not fit into the socket's buffers


class Refused(Exception):
    """The request cannot be accepted. Carries the status to answer with."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Connection(HttpToolsProtocol):
    """One client's connection.

    In steady state the limits cost a request three comparisons. A timer runs only while the client has not asked for
    anything, while a head is incomplete, or while an answer waits to be read.
    """

    _in_head = False
    _held_bytes = 0  # bytes received since the parser last passed anything on
    _refused: Refused | None = None
    _head_timer: TimerHandle | None = None
    _read_timer: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._arm()
        if len(self.connections) > MAX_CONNECTIONS:
            # Close a connection that has asked for nothing yet. Users who are being served keep their connections.
            idle = (one for one in self.connections if isinstance(one, Connection) and one._head_timer and one != self)
            next(idle, self).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._held_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._held_bytes > MAX_HEAD_BYTES:
            detail = f"the head of the request is larger than {MAX_HEAD_BYTES} bytes"
            self._refuse(Refused(431, detail))
        elif self._in_head or self._nothing_asked():
            if self._head_timer is None and self.timeout_keep_alive_task is None:
                self._arm()
        elif self._head_timer is not None:
            self._disarm()

    def _nothing_asked(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    # Parser callbacks

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            self._stop(Refused(400, "trailers are not taken"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._held_bytes > MAX_HEAD_BYTES:  # a part of these may belong to the body
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                self._stop(Refused(431, f"the head of the request is larger than {MAX_HEAD_BYTES} bytes"))
        self._held_bytes = 0
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop(Refused(400, f"more than {MAX_PIPELINED} requests at once on one connection"))
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._held_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._held_bytes = 0
        super().on_message_complete()

    def _stop(self, refused: Refused) -> None:
        # The parser replaces every exception of a callback by its own error, so the reason is kept here.
        self._refused = refused
        raise refused

    # Refusals

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP. Overrides uvicorn's method, so that the answer has the shape of our other errors."""
        self._refuse(self._refused or Refused(400, "this is not HTTP that is understood here"))

    def _refuse(self, refused: Refused) -> None:
        if self.transport.is_closing():
            return
        self._disarm()
        if self._nothing_asked():
            content = json.dumps({"detail": str(refused)}).encode()
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(content)
            self.transport.write(STATUS_LINE[refused.status] + head + content)
        # Otherwise an answer is already on its way, and the client would read a second answer as a part of it.
        self.transport.close()

    # Timers

    def _arm(self) -> None:
        self._disarm()
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._too_slow)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if self._in_head:
            self._refuse(Refused(408, f"the head of the request did not come within {HEAD_TIMEOUT_S:g} s"))
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        stalled = sum(1 for one in self.connections if isinstance(one, Connection) and one._read_timer)
        if stalled >= MAX_STALLED:
            self.transport.abort()
        else:
            self._read_timer = self.loop.call_later(READ_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
        super().resume_writing()
