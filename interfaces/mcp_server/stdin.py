"""A standard input that this process can end by itself."""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_CHUNK_BYTES = 1 << 16


@contextmanager
def stdin_until_signal() -> Iterator[None]:
    """Inside this context, `sys.stdin` ends when the client ends it or when a signal asks this process to end.

    The library reads lines in a thread that cannot be interrupted, so a server would wait for it when it should end.
    Therefore a daemon thread reads the real input and passes it on through a socket that this side can close. Raises
    KeyboardInterrupt afterwards if a signal came.
    """
    ours, theirs = socket.socketpair()
    source = sys.stdin.fileno()
    signals: list[int] = []

    def end() -> None:
        with suppress(OSError):  # the other side has closed already
            ours.shutdown(socket.SHUT_WR)

    def pass_on() -> None:
        with suppress(OSError):  # the socket is closed
            while chunk := os.read(source, _CHUNK_BYTES):
                ours.sendall(chunk)
        end()

    def on_signal(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        end()

    before = sys.stdin
    handlers = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.stdin = io.TextIOWrapper(theirs.makefile("rb"), encoding="utf-8")
    threading.Thread(target=pass_on, name="stdin", daemon=True).start()
    try:
        yield
    finally:
        sys.stdin = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
        theirs.close()
    if signals:
        raise KeyboardInterrupt
