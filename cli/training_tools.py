"""What the commands that train have in common."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def commit() -> str:
    """The commit of a checkout; `unknown` for what was installed."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def say(text: str) -> None:
    """Progress, for people."""
    print(f"mirr: {text}", file=sys.stderr, flush=True)
