"""One command at a time on a lab. The lock is freed when its holder dies, even by SIGKILL.

There are three locks. A file in the state folder names its holder. A socket of this machine also keeps out users who
have another state folder. These two answer at once, and end with their process. The third is in the engine, to which
the lab belongs (lab/engine_lock.py): it keeps out everybody who can reach that. At the socket or in the engine, whoever
reverts a lab in use tells its holder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from mirr.lab.errors import LabError, LabInUse
from mirr.lab.names import parse_lab
from mirr.lab.processes import Process, user_name
from mirr.lab.state import made, state_root, unwritable
from mirr.lab.which_engine import engine_name

if TYPE_CHECKING:
    from docker import DockerClient

    from mirr.lab.engine_lock import EngineLock, Holder

REVERTED = b"reverted"
ANSWER_S = 15
"""How long a command waits for one answer about its lock. Whoever lets go of a lab should not wait for an engine that
hangs."""

Reverted = Callable[[], str | None]
"""What somebody else did to the lab since it was asked last, as in `... has reverted the lab`. None if nobody did."""


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
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # The holder has not yet written its name, or is about to release the lock.
        return "another command"


class Held:
    """A lab that this process holds. Call it to know what others have done to the lab meanwhile."""

    def __init__(self, lab: str, what: str, heard_here: Reverted) -> None:
        self._lab = lab
        self._what = what
        self._heard_here = heard_here
        self._lock: EngineLock | None = None

    def __call__(self) -> str | None:
        """What somebody else did to the lab since this was asked last, as in `... has reverted the lab`. Else None."""
        heard = [self._heard_here(), self._lock.reverted() if self._lock is not None else None]
        return next((one for one in heard if one is not None), None)

    def in_engine(self, client: DockerClient) -> None:
        """Hold the lab in its engine too, unless it is held there already. Raises LabInUse or EngineError."""
        from mirr.lab.engine_lock import EngineLock

        if self._lock is None:
            self._lock = EngineLock(client.api, self._lab, holder(self._what))
        self._lock.take()

    def let_go(self) -> None:
        """Let the lab go in its engine. It never raises."""
        if self._lock is not None:
            self._lock.release()


def holder(what: str) -> Holder:
    """This process, as the holder of a lab for the command `what`. Raises StateError."""
    from mirr.lab.engine_lock import Holder

    return Holder(what=what, process=Process.this(), state=str(state_root()))


def the_engine(answer_s: int | None = None) -> DockerClient:
    """A connection to the engine that keeps the locks. Raises EngineError."""
    from mirr.lab.engine import connect

    return connect(answer_s=answer_s)


@contextmanager
def hold(lab: str, what: str) -> Iterator[Held]:
    """Hold the lab for the command `what`, as in `mirr episode`. The value tells what others do to it meanwhile.

    Raises LabInUse, which names the holder, StateError if the lock cannot be written, or EngineError."""
    with hold_here(lab, what) as held:
        client = the_engine()
        client.api.timeout = ANSWER_S
        held.in_engine(client)
        yield held


@contextmanager
def hold_here(lab: str, what: str) -> Iterator[Held]:
    """Hold the lab on this machine, where its engine may not run yet. Then hold it in the engine as well.

    Raises LabInUse, which names the holder, or StateError if the lock cannot be written."""
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
        with _alone_on_this_machine(lab) as heard_here:
            # Without room on the disk, the lock still holds. Only its holder has no name.
            with suppress(OSError):
                holder_path.write_text(json.dumps({"what": what, "process": os.getpid()}))
            held = Held(lab, what, heard_here)
            try:
                yield held
            finally:
                held.let_go()
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


def tell_holder(lab: str, *, reverted: bool = True, answer_s: int | None = None) -> None:
    """Tell the command that holds the lab, if there is one, that the lab was reverted. What it measures is void.

    A lock that was left behind in the engine is removed. `answer_s` limits how long one answer of the engine may take.
    It never raises: the lab was reverted, whoever knows of it."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from mirr.lab.engine_lock import tell

    told_here = reverted and _tell_here(lab)
    with suppress(LabError, DockerException, RequestException):
        tell(the_engine(answer_s).api, lab, reverted=reverted and not told_here)


def _tell_here(lab: str) -> bool:
    """Whether the command that holds the lab could be told at its socket."""
    if sys.platform != "linux":
        return False
    try:
        with _connected(machine_wide_name(lab)) as holder:
            holder.send(REVERTED)
    except OSError:
        return False
    return True


def holder_elsewhere(lab: str, root: Path) -> str | None:
    """The process of this machine that holds the lab with another state folder than `root`, in words. None if there is
    none."""
    if sys.platform != "linux":
        return None
    owner = _owner(machine_wide_name(lab))
    return None if owner is None or _is_held(_lock_path(root / "locks", lab)) else owner


def holder_in_engine(
    client: DockerClient, lab: str, root: Path, *, sleep: Callable[[float], None] = time.sleep
) -> str | None:
    """The living process that holds the lab in the engine with another state folder than `root`, in words. None if
    there is none. It may take as long as a lease. Raises EngineError, and what docker-py raises."""
    from mirr.lab.engine_lock import living, look

    found = look(client.api, lab)
    if found is None or (found.holder is not None and found.holder.shares(str(root))):
        return None
    alive = living(client.api, lab, found, sleep=sleep)
    return None if alive is None else alive.by


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
                who = f"{_process_of(asking)} has reverted the lab"


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
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    process, user, _ = struct.unpack("3i", credentials)
    return f"process {process} of user {user_name(user)}"
