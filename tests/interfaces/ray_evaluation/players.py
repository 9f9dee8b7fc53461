"""What the workers of the tests play. Ray imports this module in their processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mirr.env.environment import Environment
from mirr.env.scenario import draw
from mirr.env.world import World
from tests.env.fakes import FakeWorld

DEADLINE_S = 120.0


@dataclass(frozen=True)
class Number:
    """A job. What it plays is the number's own seed."""

    value: int
    folder: Path  # in which the test and the workers see each other
    held: bool  # whether it ends only after the test has said so

    def __str__(self) -> str:
        return f"number {self.value}"


def wait_until_file(path: Path) -> None:
    """Return once the file exists."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not path.exists():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{path} has not come in {DEADLINE_S:.0f} s")
        time.sleep(0.02)


def go(folder: Path) -> Path:
    """The file with which a test lets the held jobs end."""
    return folder / "go"


def begun(folder: Path) -> set[int]:
    """The processes that play held jobs, or did so when they ended."""
    return {int(path.name.rpartition("-")[2]) for path in folder.glob("held-by-*")}


def ended(process: int) -> bool:
    """Whether a process has ended, also if nobody has asked how."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def play(job: Number) -> int:
    """Play a job of the pool."""
    if job.held:
        (job.folder / f"held-by-{os.getpid()}").touch()
        wait_until_file(go(job.folder))
    return job.value


def fail(job: Number) -> int:
    """A job with a mistake in it."""
    raise ZeroDivisionError(f"{job} cannot be played")


@contextmanager
def open_fake(folder: Path) -> Iterator[World]:
    """A lab that notes when it is opened and closed."""
    (folder / f"opened-by-{os.getpid()}").touch()
    yield FakeWorld()
    (folder / f"closed-by-{os.getpid()}").touch()


@contextmanager
def open_nothing(folder: Path) -> Iterator[World]:
    """A lab that is not up."""
    raise OSError("the lab is not up")
    yield FakeWorld()


def play_in_lab(world: World, job: Number) -> int:
    """Play a job in an open lab."""
    environment = Environment(world)
    environment.reset(scenario=draw(job.value))
    return play(job)
