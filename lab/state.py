"""The folders for files that must outlive a process: journals, leases, locks, logs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs

from mirr.lab.errors import LabError
from mirr.lab.names import parse_lab


def state_root() -> Path:
    """The folder that holds the folders of all labs. `MIRR_STATE_DIR` overrides it. It is created if missing.

    The path is absolute: the reaper looks there from another working directory. Raises LabError."""
    chosen = os.environ.get("MIRR_STATE_DIR")
    # A `~` is left to us where no shell reads the variable, as in a unit of systemd or in a file of settings.
    root = Path(os.path.abspath(os.path.expanduser(chosen or platformdirs.user_state_dir("mirr-lab"))))
    _make(root)
    return root


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"the folder {folder}, where labs keep their journals, cannot be made: {error.strerror}; give rights there, "
            "or set MIRR_STATE_DIR to a folder that can be written"
        ) from error


def state_dir(lab: str) -> Path:
    """The lab's own folder. It is created if missing, and `down` removes it."""
    path = state_root() / "labs" / parse_lab(lab)
    _make(path)
    return path


def remove_state(lab: str) -> None:
    """Remove everything that this lab kept."""
    shutil.rmtree(state_root() / "labs" / parse_lab(lab), ignore_errors=True)
