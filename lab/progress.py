"""Says what takes long: plain lines on a pipe, a live status on a terminal; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

WAITING_EVERY_S = 5.0


class Progress(Protocol):
    """Where the lab reports what it is doing."""

    def say(self, text: str) -> None:
        """One line that stays."""

    def update(self, text: str) -> None:
        """The step under way."""

    def waiting(self, text: str) -> None:
        """What is still being waited for; may be shown or not."""


class SilentProgress:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def update(self, text: str) -> None:
        """Nothing."""

    def waiting(self, text: str) -> None:
        """Nothing."""


class PlainProgress:
    """Lines on stderr."""

    def __init__(self) -> None:
        self._waiting_since_s = time.monotonic()

    def say(self, text: str) -> None:
        """Print the line."""
        print(text, file=sys.stderr, flush=True)

    def update(self, text: str) -> None:
        """Print the line, indented."""
        self._waiting_since_s = time.monotonic()
        print(f"  {text}", file=sys.stderr, flush=True)

    def waiting(self, text: str) -> None:
        """Print the line, every few seconds."""
        if time.monotonic() - self._waiting_since_s >= WAITING_EVERY_S:
            self.update(text)


class TerminalProgress:
    """A spinner on a terminal, and a line for what is done."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._status = self._console.status("")
        self._status.start()
        self._doing = ""

    def say(self, text: str) -> None:
        """Print the line above the spinner."""
        self._console.print(text, markup=False, highlight=False)

    def update(self, text: str) -> None:
        """Show the text beside the spinner."""
        from rich.markup import escape

        self._doing = text
        self._status.update(escape(text))

    def waiting(self, text: str) -> None:
        """Show the text after what is being done."""
        from rich.markup import escape

        self._status.update(escape(f"{self._doing} {text}"))

    def stop(self) -> None:
        """Take the spinner away."""
        self._status.stop()


@contextmanager
def progress() -> Iterator[Progress]:
    """The progress that suits stderr."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    terminal = TerminalProgress()
    try:
        yield terminal
    finally:
        terminal.stop()


@contextmanager
def timed(report: Progress, doing: str) -> Iterator[None]:
    """Say `doing` now, and how long it took if that was more than a second."""
    report.update(f"{doing} ...")
    started_s = time.monotonic()
    yield
    took_s = time.monotonic() - started_s
    if took_s >= 1.0:
        report.say(f"{doing}: {took_s:.1f} s")
