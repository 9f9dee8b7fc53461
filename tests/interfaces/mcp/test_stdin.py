"""Tests of the standard input of a server: what ends it, and what this process does then."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from mirr.interfaces.mcp_server.stdin import stdin_until_signal


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The end of a pipe to which a client writes. The other end is the standard input of this process."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield writing
        os.close(writing)
        # Its thread reads to the end before the number of the pipe is free for another file.
        for thread in threading.enumerate():
            if thread.name == "stdin":
                thread.join(10.0)
                assert not thread.is_alive()


def test_the_server_reads_what_its_client_writes(client: int) -> None:
    before = sys.stdin
    with stdin_until_signal():
        os.write(client, "first\nzweite Zeile: ä\n".encode())
        assert [sys.stdin.readline(), sys.stdin.readline()] == ["first\n", "zweite Zeile: ä\n"]
    assert sys.stdin is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_input_while_the_client_still_listens(client: int, number: signal.Signals) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    read: list[str] = []

    def serve() -> None:
        with stdin_until_signal():
            os.write(client, b"first\n")
            read.append(sys.stdin.readline())
            signal.raise_signal(number)
            read.append(sys.stdin.read())

    with pytest.raises(KeyboardInterrupt):
        serve()
    assert read == ["first\n", ""]
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
