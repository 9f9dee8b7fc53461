"""Leases: how long a fault lasts after its process died. Each is a small file that only that process renews."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

LEASE_S = 6.0
"""How long a fault outlives the process that injected it. The lease is renewed three times in that time."""

MAX_LEASE_S = 600.0
"""The longest lease that a person may give a fault. The load generator accepts no longer one either."""


class LeaseFile:
    """The lease of one holder, beside the journal."""

    def __init__(self, folder: Path, holder: str, *, now: Callable[[], float] = time.time) -> None:
        self.holder = holder
        self._path = lease_path(folder, holder)
        self._now = now

    def renew(self, lease_s: float) -> None:
        """Let everything of this holder last `lease_s` from now on. Raises OSError."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"until": self._now() + lease_s}))
        os.replace(fresh, self._path)

    def drop(self) -> None:
        """Forget the lease."""
        self._path.unlink(missing_ok=True)


def lease_path(folder: Path, holder: str) -> Path:
    """Where the holder's lease is."""
    return folder / f"lease-{holder}.json"


def leased_until(folder: Path, holder: str) -> float:
    """The Unix time at which the holder's lease ends. 0 if it has none."""
    try:
        return float(json.loads(lease_path(folder, holder).read_text())["until"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
