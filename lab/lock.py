"""One command at a time on a lab. The lock is freed when its holder dies, even by SIGKILL.

There are two locks. A file in the state folder names its holder. A socket of this machine also keeps out users who have
another state folder: the lab belongs to the engine, and not to a user's home. At that socket, whoever reverts a lab in
use tells its holder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mirr.lab.errors import LabInUse
from mirr.lab.names import parse_lab
from mirr.lab.state import made, state_root, unwritable
from mirr.lab.which_engine import engine_name

REVERTED = b"reverted"

Reverted = Callable[[], str | None]
"""Who has reverted the lab since it was asked last, in words. None if nobody has."""


def _paths(lab: str) -> tuple[Path, Path]:
    # Outside the lab's own folder, so that `down` can remove that folder while it holds the lock.
    base = made(state_root() / "locks")
    return _lock_path(base, lab), base / f"{lab}.holder.json"


def _lock_path(locks: Path, lab: str) -> Path:
    return locks / f"{parse_lab(lab)}.lock"


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text())
        return f"`{held['what']}` (process {held['process']})"
    except (OSError, ValueError, KeyError, TypeError):
        # The holder has not yet written its name, or is about to release the lock.
        return "another command"


@contextmanager
def hold(lab: str, what: str) -> Iterator[Reverted]:
    """Hold the lab for the command `what`, as in `mirr episode`. The value tells who has reverted the lab meanwhile.

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
        with _alone_on_this_machine(lab) as reverted:
            # Without room on the disk, the lock still holds. Only its holder has no name.
            with suppress(OSError):
                holder_path.write_text(json.dumps({"what": what, "process": os.getpid()}))
            yield reverted
    finally:
        with suppress(OSError):
            holder_path.unlink()
        lock.release()


def machine_wide_name(lab: str) -> bytes:
    """The abstract address of the lab's socket: one for each engine and lab on this machine."""
    key = f"{engine_name()} {parse_lab(lab)}"
    return b"\0mirr-lab-" + hashlib.sha256(key.encode()).hexdigest()[:32].encode()


@contextmanager
def _alone_on_this_machine(lab: str) -> Iterator[Reverted]:
    """Hold the lab's socket. Raises LabInUse. Only Linux has such sockets; they end with their process."""
    if sys.platform != "linux":
        yield lambda: None
        return
    name = machine_wide_name(lab)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mine:
        try:
            mine.bind(name)
        except OSError as error:
            raise LabInUse(
                f"lab {lab} is in use by {_owner(name) or 'another process'}, with another state folder "
                "(MIRR_STATE_DIR); wait for it or end it"
            ) from error
        mine.listen()
        mine.setblocking(False)
        yield lambda: _who_reverted(mine)


def tell_holder(lab: str) -> None:
    """Tell the command that holds the lab, if there is one, that the lab was reverted. What it measures is void."""
    if sys.platform != "linux":
        return
    with suppress(OSError), _connected(machine_wide_name(lab)) as holder:
        holder.send(REVERTED)


def holder_elsewhere(lab: str, root: Path) -> str | None:
    """The process that holds the lab with another state folder than `root`, in words. None if there is none."""
    if sys.platform != "linux":
        return None
    owner = _owner(machine_wide_name(lab))
    return None if owner is None or _is_held(_lock_path(root / "locks", lab)) else owner


def _is_held(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _who_reverted(mine: socket.socket) -> str | None:
    who = None
    while True:
        try:
            asking, _ = mine.accept()
        except OSError:  # nobody else has come
            return who
        with asking, suppress(OSError):
            asking.setblocking(False)
            if asking.recv(len(REVERTED)) == REVERTED:
                who = _process_of(asking)


@contextmanager
def _connected(name: bytes) -> Iterator[socket.socket]:
    """A connection to whoever holds the socket. Raises OSError if nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        asking.connect(name)
        yield asking


def _owner(name: bytes) -> str | None:
    """The process that holds the socket, in words. None if there is none, or if it cannot be asked."""
    try:
        with _connected(name) as asking:
            return _process_of(asking)
    except OSError:
        return None


def _process_of(connection: socket.socket) -> str:
    import pwd  # not on every system

    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    process, user, _ = struct.unpack("3i", credentials)
    try:
        return f"process {process} of user {pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"process {process} of user {user}"
