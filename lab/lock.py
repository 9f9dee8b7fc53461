"""One command at a time on a lab. The lock is freed when its holder dies, even by SIGKILL."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mirr.lab.errors import LabError, LabInUse
from mirr.lab.names import parse_lab
from mirr.lab.state import made, state_root


def _paths(lab: str) -> tuple[Path, Path]:
    # Outside the lab's own folder, so that `down` can remove that folder while it holds the lock.
    base = made(state_root() / "locks")
    return base / f"{parse_lab(lab)}.lock", base / f"{lab}.holder.json"


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text())
        return f"`{held['what']}` (process {held['process']})"
    except (OSError, ValueError, KeyError, TypeError):
        # The holder has not yet written its name, or is about to release the lock.
        return "another command"


@contextmanager
def hold(lab: str, what: str) -> Iterator[None]:
    """Hold the lab for the command `what`, as in `mirr episode`. Raises LabInUse, which names the holder."""
    lock_path, holder_path = _paths(lab)
    # The process holds the lock, not the thread: a server may open a world in one thread and close it in another.
    lock = FileLock(lock_path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LabInUse(f"lab {lab} is in use by {_holder(holder_path)}; wait for it or end it") from error
    except OSError as error:
        raise LabError(
            f"the lock of lab {lab} at {lock_path} cannot be taken: {error.strerror}; work as the user that owns it, "
            "or set MIRR_STATE_DIR to a folder that can be written"
        ) from error
    try:
        with suppress(OSError):  # it only tells others who works on the lab
            holder_path.write_text(json.dumps({"what": what, "process": os.getpid()}))
        yield
    finally:
        with suppress(OSError):
            holder_path.unlink()
        lock.release()
