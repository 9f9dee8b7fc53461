"""What the commands that train have in common."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Progress, for people."""
    print(f"mirr: {text}", file=sys.stderr, flush=True)
