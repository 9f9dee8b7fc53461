"""Reports slow work on stderr: as plain lines to a pipe, as a live status on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

WAITING_EVERY_S = 5.0


class Progress(Protocol):
    """Receives reports on what the lab is doing."""

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def update(self, text: str) -> None:
        """Show the step that has begun."""

    def waiting(self, text: str) -> None:
        """Show what the step still waits for. An implementation may leave it out."""


class SilentProgress:
    """Shows nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""

    def update(self, text: str) -> None:
        """Show nothing."""

    def waiting(self, text: str) -> None:
        """Show nothing."""


class PlainProgress:
    """Prints lines to stderr."""

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
        """Print the line, but only every few seconds."""
        if time.monotonic() - self._waiting_since_s >= WAITING_EVERY_S:
            self.update(text)


class TerminalProgress:
    """Shows a spinner on a terminal, and a line for each step that is done."""

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
        """Show the text after the current step."""
        from rich.markup import escape

        self._status.update(escape(f"{self._doing} {text}"))

    def stop(self) -> None:
        """Remove the spinner."""
        self._status.stop()


@contextmanager
def progress() -> Iterator[Progress]:
    """The progress that fits stderr: a spinner for a terminal, else lines."""
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
    """Show `doing` now, and afterwards how long it took if that was a second or more."""
    report.update(f"{doing} ...")
    started_s = time.monotonic()
    yield
    took_s = time.monotonic() - started_s
    if took_s >= 1.0:
        report.say(f"{doing}: {took_s:.1f} s")
