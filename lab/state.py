"""The folders for files that must outlive a process: journals, leases, locks, logs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs

from mirr.lab.names import parse_lab


def state_root() -> Path:
    """The folder that holds the folders of all labs. `MIRR_STATE_DIR` overrides it. It is created if missing."""
    chosen = os.environ.get("MIRR_STATE_DIR")
    root = Path(chosen) if chosen else Path(platformdirs.user_state_dir("mirr-lab"))
    root.mkdir(parents=True, exist_ok=True)
    return root


def state_dir(lab: str) -> Path:
    """The lab's own folder. It is created if missing, and `down` removes it."""
    path = state_root() / "labs" / parse_lab(lab)
    path.mkdir(parents=True, exist_ok=True)
    return path


def remove_state(lab: str) -> None:
    """Remove everything that this lab kept."""
    shutil.rmtree(state_root() / "labs" / parse_lab(lab), ignore_errors=True)
