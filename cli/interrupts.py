"""What Ctrl-C leaves behind: only a command that works on a lab says that the next one reverts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

LEFT_HALF_DONE = "the next mirr command reverts what was left half done"


@contextmanager
def works_on_a_lab(really: bool = True) -> Iterator[None]:
    """Adds to a KeyboardInterrupt what becomes of the lab, unless there is none (`really` is False)."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if really and LEFT_HALF_DONE not in notes_of(interrupt):
            interrupt.add_note(LEFT_HALF_DONE)
        raise


def notes_of(error: BaseException | None) -> list[str]:
    """What was added to an error, here or elsewhere."""
    notes: list[str] = getattr(error, "__notes__", [])
    return notes
