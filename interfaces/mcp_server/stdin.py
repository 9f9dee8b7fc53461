"""A standard input that can be ended from this side."""

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
    """Within, `sys.stdin` ends when the client ends it, or when a signal tells this process to end.

    Whoever waits for a line waits in a thread that nothing can interrupt, and a server that was told to end would wait
    with it. So a thread that need not be waited for reads, and passes on through a socket that can be shut. Raises
    KeyboardInterrupt afterwards where it was a signal.
    """
    ours, theirs = socket.socketpair()
    source = sys.stdin.fileno()
    signals: list[int] = []

    def end() -> None:
        with suppress(OSError):  # the other side has closed already
            ours.shutdown(socket.SHUT_WR)

    def pass_on() -> None:
        with suppress(OSError):  # was told to end
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
