"""The folders for files that must outlive a process: journals, leases, locks, logs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs

from mirr.lab.errors import LabError
from mirr.lab.names import parse_lab


def _root() -> Path:
    """An absolute path: the reaper looks there from another working directory."""
    chosen = os.environ.get("MIRR_STATE_DIR")
    # A `~` is left to us where no shell reads the variable, as in a unit of systemd or in a file of settings.
    return Path(os.path.abspath(os.path.expanduser(chosen or platformdirs.user_state_dir("mirr-lab"))))


def made(folder: Path) -> Path:
    """The folder. It is created if missing. Raises LabError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"the folder {folder} cannot be made: {error.strerror}; labs keep their locks and journals there; "
            "give rights there, or set MIRR_STATE_DIR to a folder that can be written"
        ) from error
    return folder


def state_root() -> Path:
    """The folder that holds the folders of all labs. `MIRR_STATE_DIR` overrides it. It is created if missing.

    Raises LabError."""
    return made(_root())


def state_path(lab: str) -> Path:
    """Where the lab's own folder is, or would be. Nothing is created."""
    return _root() / "labs" / parse_lab(lab)


def state_dir(lab: str) -> Path:
    """The lab's own folder. It is created if missing, and `down` removes it. Raises LabError."""
    return made(state_path(lab))


def remove_state(lab: str) -> None:
    """Remove everything that this lab kept."""
    shutil.rmtree(state_path(lab), ignore_errors=True)
