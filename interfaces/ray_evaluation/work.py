"""Jobs that wait for a worker. A job whose worker was lost waits again, and its result counts once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from mirr.env.world import WorldError

MOST_ATTEMPTS = 5  # of one job: a job that kills its workers must not do so for ever

J = TypeVar("J")


class Work(Generic[J]):
    """A queue of jobs. Each is waiting, given to a worker, or done."""

    def __init__(self, jobs: Iterable[J]) -> None:
        self._waiting = deque(enumerate(jobs))
        self._given: dict[int, J] = {}
        self._attempts: dict[int, int] = {}

    def __len__(self) -> int:
        """How many are not done."""
        return len(self._waiting) + len(self._given)

    @property
    def waiting(self) -> int:
        """How many no worker has."""
        return len(self._waiting)

    def give(self) -> tuple[int, J]:
        """The next job and its number, for a worker. Raises IndexError if none is waiting."""
        number, job = self._waiting.popleft()
        self._given[number] = job
        self._attempts[number] = self._attempts.get(number, 0) + 1
        return number, job

    def done(self, number: int) -> J:
        """The job of that number is done. Raises KeyError if no worker has it: it was done already, or was lost."""
        return self._given.pop(number)

    def lost(self, number: int, why: str) -> J:
        """The worker of a job was lost, so the job waits again, as the next one. Raises WorldError after too many
        attempts."""
        job = self._given.pop(number)
        if self._attempts[number] >= MOST_ATTEMPTS:
            raise WorldError(f"{job} lost its worker {MOST_ATTEMPTS} times, at last because: {why}")
        self._waiting.appendleft((number, job))
        return job
