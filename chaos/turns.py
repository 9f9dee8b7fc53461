"""Turns between processes: a file lock of the kernel, which ends when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.02


@contextmanager
def turn(path: Path, *, timeout_s: float) -> Iterator[bool]:
    """Hold the turn on `path` for the block. The value is False if it could not be taken within `timeout_s`.

    The block runs in any case, and decides what to do. No folder is made: if `down` removed it, it stays removed, and
    the value is False then too."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        yield False
        return
    try:
        yield _locked(lock, timeout_s)
    finally:
        os.close(lock)  # this also releases the lock


def _locked(lock: int, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)  # the kernel does not report when a lock is released
        else:
            return True
