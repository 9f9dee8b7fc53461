"""The folders for files that must outlive a process: journals, leases, locks, logs."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

import platformdirs

from mirr.lab.errors import StateError
from mirr.lab.names import parse_lab

REMEDY = "give rights there, or set MIRR_STATE_DIR to another folder"
_PROBE_BYTES = 64 * 1024  # all that a lab keeps
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def remedy_for(error: OSError) -> str:
    """What helps where a file of the state cannot be written."""
    return REMEDY.replace("give rights", "make room") if error.errno in _FULL else REMEDY


def _root() -> Path:
    """An absolute path: the reaper looks there from another working directory. Raises StateError.

    There is no other place to fall back to: a command that keeps its journal elsewhere would not see what an earlier
    one left broken."""
    chosen = os.environ.get("MIRR_STATE_DIR")
    try:
        root = Path(chosen).expanduser() if chosen else Path(platformdirs.user_state_dir("mirr-lab"))
    except RuntimeError as error:
        raise _no_folder(chosen) from error
    if not chosen and not root.is_absolute():  # older versions of platformdirs return `~/...` if there is no home
        raise _no_folder(chosen)
    try:
        return root.absolute()
    except OSError as error:
        raise StateError(
            f"MIRR_STATE_DIR={chosen} is a relative path, and the working directory is gone; "
            "next: go to another directory, or name the folder from / on"
        ) from error


def state_root() -> Path:
    """The folder that holds the folders of all labs. `MIRR_STATE_DIR` overrides it. It is created if missing.

    Raises StateError."""
    return made(_root())


def state_path(lab: str) -> Path:
    """Where the lab's own folder is, or would be. Nothing is created. Raises StateError."""
    return _root() / "labs" / parse_lab(lab)


def _no_folder(chosen: str | None) -> StateError:
    why = (
        f"MIRR_STATE_DIR={chosen} names the home of a user whom this system does not know"
        if chosen
        else "this user has no home, so there is no folder for journals and locks"
    )
    return StateError(f"{why}; next: set MIRR_STATE_DIR to a folder, the same one for every command")


def state_dir(lab: str) -> Path:
    """The lab's own folder. It is created if missing, and `down` removes it. Raises StateError."""
    return made(state_path(lab))


def made(folder: Path) -> Path:
    """The folder, which is created if missing. Raises StateError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        there = isinstance(error, FileExistsError)
        why = "there is something else in its place" if there else error.strerror
        raise StateError(
            f"the folder {folder}, which keeps journals and locks, cannot be made: {why}; "
            f"next: {REMEDY.replace('give rights there', 'remove that') if there else remedy_for(error)}"
        ) from error
    return folder


def probed() -> Path:
    """The folder that holds the folders of all labs, in which a file could be written just now. Raises StateError."""
    folder = state_root()
    probe = folder / f"probe-{os.getpid()}"
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        with suppress(OSError):
            probe.unlink()
    return folder


def unwritable(path: Path, error: OSError) -> StateError:
    """The error for a file of the state that cannot be written."""
    return StateError(f"{path} cannot be written: {error.strerror}; next: {remedy_for(error)}")


def remove_state(lab: str) -> None:
    """Remove everything that this lab kept."""
    shutil.rmtree(state_root() / "labs" / parse_lab(lab), ignore_errors=True)
