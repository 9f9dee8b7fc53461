"""Leases: how long a fault lasts after its process died. Each is a small file that only that process renews.

Unix time is what people set, and what a laptop corrects when it wakes up. A lease must not outlive its maximum by that.
So each line also has the ticks of the machine: the seconds since it booted, asleep or not.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mirr.lab.processes import boot_id

LEASE_S = 12.0
"""How long a fault outlives the process that injected it. The lease is renewed three times in that time.

A busy virtual machine can stand still for some seconds. A fault of a process that lives must outlast that."""

MAX_LEASE_S = 600.0
"""The longest lease that a person may give a fault. The load generator accepts no longer one either."""

FUTURE_S = 1.0
"""A line that is further in the future than this was written before the clock was set back."""

_TICKING = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


def ticks() -> float:
    """The seconds since this machine booted. No clock that is set changes them."""
    return time.clock_gettime(_TICKING)


class Clocks:
    """The clocks by which a line is written and read. A `now` other than the machine's stands for the ticks too."""

    def __init__(self, now: Callable[[], float] = time.time, ticking: Callable[[], float] | None = None) -> None:
        self.now = now
        self._ticks = ticking or (ticks if now is time.time else now)

    def stamp(self, lease_s: float | None = None) -> dict[str, Any]:
        """What a line says of its time, and of its end if it has one."""
        at = self.now()
        stamp = {"at": at, "ticks": self._ticks(), "boot": boot_id()}
        return stamp | ({} if lease_s is None else {"until": at + lease_s})

    def written_at(self, line: Mapping[str, Any]) -> float:
        """When a line was written, in the Unix time of now. Raises KeyError, TypeError or ValueError."""
        age_s = self._age_s(line)
        return min(_number(line["at"]), self.now()) if age_s is None else self.now() - age_s

    def ends_at(self, line: Mapping[str, Any]) -> float:
        """When the lease of a line ends, in the Unix time of now. Raises KeyError, TypeError or ValueError.

        If nobody can say when the line was written, its lease is over: nothing may last for ever."""
        at, now, age_s = _number(line["at"]), self.now(), self._age_s(line)
        # If no lease was written, it gets the longest one.
        lease_s = min(_number(line.get("until", at + MAX_LEASE_S)) - at, MAX_LEASE_S)
        if age_s is not None:
            return now - age_s + lease_s
        return now if at > now + FUTURE_S else at + lease_s

    def _age_s(self, line: Mapping[str, Any]) -> float | None:
        """How long ago a line was written, by the ticks. None if another boot or an older version wrote it."""
        if not boot_id() or line.get("boot") != boot_id() or "ticks" not in line:
            return None
        age_s = self._ticks() - _number(line["ticks"])
        return age_s if age_s >= 0 else None


def _number(value: Any) -> float:
    try:
        number = float(value)
    except OverflowError as error:  # a whole number with hundreds of digits
        raise ValueError("too large a number") from error
    if math.isnan(number):
        raise ValueError("not a number")
    return number


class LeaseFile:
    """The lease of one holder, beside the journal."""

    def __init__(self, folder: Path, holder: str, *, now: Callable[[], float] = time.time) -> None:
        self.holder = holder
        self._path = lease_path(folder, holder)
        self._clocks = Clocks(now)

    def renew(self, lease_s: float) -> None:
        """Let everything of this holder last `lease_s` from now on. Raises OSError."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self._clocks.stamp(lease_s)))
        os.replace(fresh, self._path)

    def drop(self) -> None:
        """Forget the lease."""
        self._path.unlink(missing_ok=True)


def lease_path(folder: Path, holder: str) -> Path:
    """Where the holder's lease is."""
    return folder / f"lease-{holder}.json"


def leased_until(folder: Path, holder: str, clocks: Clocks) -> float:
    """The Unix time at which the holder's lease ends. 0 if it has none."""
    try:
        return clocks.ends_at(json.loads(lease_path(folder, holder).read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0.0
