"""One command at a time on a lab. The lock is freed when its holder dies, even by SIGKILL.

There are two locks. A file in the state folder names its holder. A socket of this machine also keeps out users who have
another state folder: the lab belongs to the engine, and not to a user's home.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mirr.lab.errors import LabInUse
from mirr.lab.names import parse_lab
from mirr.lab.state import made, state_root, unwritable
from mirr.lab.which_engine import configured_host


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
    """Hold the lab for the command `what`, as in `mirr episode`.

    Raises LabInUse, which names the holder, or StateError if the lock cannot be written.
    """
    lock_path, holder_path = _paths(lab)
    # The process holds the lock, not the thread: a server may open a world in one thread and close it in another.
    lock = FileLock(lock_path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LabInUse(f"lab {lab} is in use by {_holder(holder_path)}; wait for it or end it") from error
    except OSError as error:
        raise unwritable(lock_path, error) from error
    try:
        with _alone_on_this_machine(lab):
            # Without room on the disk, the lock still holds. Only its holder has no name.
            with suppress(OSError):
                holder_path.write_text(json.dumps({"what": what, "process": os.getpid()}))
            yield
    finally:
        with suppress(OSError):
            holder_path.unlink()
        lock.release()


def machine_wide_name(lab: str) -> bytes:
    """The abstract address of the lab's socket: one for each engine and lab on this machine."""
    key = f"{configured_host() or 'default'} {parse_lab(lab)}"
    return b"\0mirr-lab-" + hashlib.sha256(key.encode()).hexdigest()[:32].encode()


@contextmanager
def _alone_on_this_machine(lab: str) -> Iterator[None]:
    """Hold the lab's socket. Raises LabInUse. Only Linux has such sockets; they end with their process."""
    if sys.platform != "linux":
        yield
        return
    name = machine_wide_name(lab)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mine:
        try:
            mine.bind(name)
        except OSError as error:
            raise LabInUse(
                f"lab {lab} is in use by {_owner(name)}, with another state folder (MIRR_STATE_DIR); "
                "wait for it or end it"
            ) from error
        mine.listen()
        yield


def _owner(name: bytes) -> str:
    """The process that holds the socket, in words."""
    import pwd  # not on every system

    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.setblocking(False)
            asking.connect(name)
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        process, user, _ = struct.unpack("3i", credentials)
        return f"process {process} of user {pwd.getpwuid(user).pw_name}"
    except (OSError, KeyError):
        return "another process"
