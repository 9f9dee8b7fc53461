"""Keeps how long the last `mirr up` of a lab took, for the benchmark to print."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from mirr.lab.state import state_dir

_FILE = "up.json"


def keep_up(lab: str, seconds: float) -> None:
    """Note how long this lab took from the command to steady state.

    Nothing is noted if the lab was up already, or if the disk is full. `down` removes the note.
    """
    path = state_dir(lab) / _FILE
    with suppress(OSError):
        if not path.exists():
            path.write_text(json.dumps({"up_s": round(seconds, 1)}))


def last_up(lab: str) -> dict[str, Any]:
    """`{"up_s": seconds}` for the lab's last `up`. The seconds are None if nothing was noted."""
    try:
        noted = json.loads((state_dir(lab) / _FILE).read_text())
        return {"up_s": float(noted["up_s"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"up_s": None}
