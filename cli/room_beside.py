"""The incident room beside a lab: a process that `mirr room --detach` starts, and that `mirr down` ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mirr.lab.errors import StateError
from mirr.lab.installation import HERE
from mirr.lab.names import parse_lab
from mirr.lab.processes import Process
from mirr.lab.state import made, state_path, unwritable

STARTS_WITHIN_S = 120.0  # the simulator may have to be compiled for the agents of the scoreboard
ENDS_WITHIN_S = 60.0  # it gives the lab back, and a step that goes on ends first
_POLL_S = 0.1
_ANNOUNCES = "incident room on "


class NotStarted(Exception):
    """The room beside the lab did not start. The message says why."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A room that runs beside a lab."""

    process: Process
    address: str


def running(lab: str) -> Beside | None:
    """The room that runs beside this lab. None if there is none. Raises StateError."""
    try:
        content = json.loads(_note(lab).read_text())
        fields = content["process"]
        number = int(fields.pop("number"))
        process = Process(number=number, **{name: str(value) for name, value in fields.items()})
        found = Beside(process=process, address=str(content["address"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None if process.has_ended() or not process.is_of_this_machine() else found


def start(
    lab: str,
    options: Sequence[str],
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Beside:
    """Start `mirr room` with these options beside the lab, and return once it listens. A room that runs there already
    stays. Raises NotStarted or StateError."""
    if (found := running(lab)) is not None:
        return found
    folder = made(_folder(lab))
    log = folder / "room.log"
    arguments = HERE.python("mirr", "room", "--world", "docker", "--lab", lab, "--data", str(folder / "data"), *options)
    try:
        with log.open("wb") as written:
            child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                cwd="/",  # so that it does not keep a folder in use
                env=HERE.python_environment(),
                start_new_session=True,  # so that Ctrl-C, or another end of its parent, does not end it
            )
    except OSError as error:
        raise unwritable(log, error) from error
    deadline = now() + STARTS_WITHIN_S
    while (address := _announced(log)) is None:
        if child.poll() is not None:
            raise NotStarted(_last_line(log) or f"it ended with {child.returncode}")
        if now() > deadline:
            child.kill()
            raise NotStarted(f"it did not answer within {STARTS_WITHIN_S:g} s; see {log}")
        sleep(_POLL_S)
    beside = Beside(process=Process.of(child.pid), address=address)
    _note(lab).write_text(json.dumps({"process": asdict(beside.process), "address": address}))
    return beside


def end(lab: str, *, sleep: Callable[[float], None] = time.sleep, now: Callable[[], float] = time.monotonic) -> bool:
    """End the room beside this lab, and remove what it kept. Returns whether there was one. It never raises."""
    try:
        found = running(lab)
    except StateError:
        return False  # then nothing was kept
    if found is not None:
        deadline = now() + ENDS_WITHIN_S
        _signal(found.process, signal.SIGTERM)
        while not found.process.has_ended() and now() < deadline:
            sleep(_POLL_S)
        if not found.process.has_ended():
            _signal(found.process, signal.SIGKILL)
    shutil.rmtree(_folder(lab), ignore_errors=True)
    return found is not None


def free_port(wanted: int) -> int:
    """The port, or 0 if somebody has it: then the room takes a free one."""
    try:
        with socket.create_server(("127.0.0.1", wanted)):
            return wanted
    except OSError:
        return 0


def _folder(lab: str) -> Path:
    # Outside the lab's own folder, which `up` removes when it makes a lab anew.
    return state_path(lab).parents[1] / "rooms" / parse_lab(lab)


def _note(lab: str) -> Path:
    return _folder(lab) / "room.json"


def _announced(log: Path) -> str | None:
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith(_ANNOUNCES):
            return line.removeprefix(_ANNOUNCES).split()[0]
    return None


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if not lines:
        return ""
    return lines[-1].removeprefix("mirr: ").removeprefix("Invalid value: ").removesuffix(" See: mirr --help")


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has ended, or it is another user's
        os.kill(process.number, number)
