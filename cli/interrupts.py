"""What Ctrl-C leaves behind: only a command that works on a lab says how to go on, and names the command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

LEFT_HALF_DONE = "revert what was left half done with: mirr revert"
LEFT_HALF_GONE = "remove the rest with: mirr down"


@contextmanager
def works_on_a_lab(really: bool = True, *, left: str = LEFT_HALF_DONE) -> Iterator[None]:
    """Adds `left` to a KeyboardInterrupt, unless there is no lab (`really` is False)."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if really and left not in notes_of(interrupt):
            interrupt.add_note(left)
        raise


def notes_of(error: BaseException | None) -> list[str]:
    """What was added to an error, here or elsewhere."""
    notes: list[str] = getattr(error, "__notes__", [])
    return notes
