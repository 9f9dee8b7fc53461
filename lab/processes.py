"""Which process this is, so that another one on the same machine can tell whether it has ended."""

from __future__ import annotations

import os
import platform
import pwd
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")
_ENDED = "ZX"  # its parent has not asked for its exit code yet


@cache
def boot_id() -> str:
    """The name of this boot of this machine. Empty if the system gives it none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def user_name(number: int) -> str:
    """The name of the user, or the number if this system does not know it."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process, perhaps of another machine."""

    number: int
    user: str
    host: str
    pids: str  # within what the number means this process: a boot and a namespace. Empty if the system has no name
    began: str  # by the kernel's ticks: when a number is used again, this differs. Empty if it is not known

    @classmethod
    def this(cls) -> Process:
        """The process in which this runs."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, number: int) -> Process:
        """A process of this user on this machine, by its number."""
        _, began = _state_and_began(number)
        return cls(number=number, user=user_name(os.getuid()), host=platform.node(), pids=_pids(), began=began)

    def is_of_this_machine(self) -> bool:
        """Whether its number means the same process here."""
        return bool(self.pids) and self.pids == _pids()

    def has_ended(self) -> bool:
        """Whether it has ended for certain. False also if this process cannot know."""
        if not self.is_of_this_machine():
            return False
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False  # it is there, and another user's
        state, began = _state_and_began(self.number)
        return state in _ENDED if began == self.began else bool(began)

    def __str__(self) -> str:
        return f"process {self.number} of user {self.user} on {self.host}"


def _pids() -> str:
    try:
        return f"{boot_id()} {os.readlink(_PIDS)}" if boot_id() else ""
    except OSError:
        return ""


def _state_and_began(number: int) -> tuple[str, str]:
    """The letter of the process' state, and when it began. `?` and empty if the system does not say."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(errors="replace")
    except OSError:
        return "?", ""
    fields = text.rpartition(")")[2].split()  # the name before it may have anything in it
    return (fields[0], fields[19]) if len(fields) > 19 else ("?", "")
