"""Jobs on a Ray cluster. A node that is killed in the middle loses no job, and no job counts twice.

The driver holds the queue. Ray's own retries are switched off: the driver sees that a worker was lost, and gives its
job to another one. So whatever happens to the nodes, each job has exactly one result.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mirr.env.world import World, WorldError
from mirr.interfaces.ray_evaluation.work import Work
from mirr.lab.installation import HERE

LAB = "lab"
"""The resource that a node with a real lab has, one for each lab: `ray start --resources='{"lab": 1}'`."""

JOBS_A_CORE = 2  # so that no core waits for the driver
POLL_S = 1.0
PATIENCE_S = 300.0  # without any worker
MOST_CLOSED_LABS = 3  # that did not open, before the evaluation gives up

J = TypeVar("J")
R = TypeVar("R")


def needed_ray() -> Any:
    """The module. Raises WorldError if it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise WorldError(f"a cluster needs Ray; next: {HERE.add_extra('ray')}") from error
    return ray


@contextmanager
def connected(address: str | None, *, labs: int = 0) -> Iterator[None]:
    """Ray, on the cluster at `address`. Without an address it is started on this machine, which then has `labs`."""
    ray = needed_ray()
    local = {"include_dashboard": False, "resources": {LAB: labs} if labs else None} if address is None else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise WorldError(f"no Ray cluster at {address or 'this machine'}: {error}") from error
    try:
        with redirect_stdout(sys.stderr):  # Ray prints what happens to its nodes, and stdout is for the answer
            yield
    finally:
        ray.shutdown()


@dataclass(frozen=True, kw_only=True)
class Labs(Generic[J, R]):
    """How an actor plays in its lab. Ray sends both functions to the actor's node."""

    open: Callable[[], AbstractContextManager[World]]
    play: Callable[[World, J], R]


def _call(play: Callable[[J], R], job: J) -> R:
    return play(job)


class _LabOwner(Generic[J, R]):
    """The actor that owns one real lab: it opens the lab once, and plays one job after the other."""

    def __init__(self, labs: Labs[J, R]) -> None:
        self._labs = labs
        self._stack = ExitStack()
        self._world = self._stack.enter_context(labs.open())

    def ready(self) -> None:
        """Return once the lab is open."""

    def play(self, job: J) -> R:
        """Play in the lab."""
        return self._labs.play(self._world, job)

    def close(self) -> None:
        """Release the lab."""
        self._stack.close()


@dataclass(eq=False)
class _Owner:
    """A lab's actor, as the driver sees it."""

    actor: Any
    ready: bool = False
    number: int | None = None  # of the job that it plays


class Evaluation(Generic[J, R]):
    """Plays jobs of the pool and jobs of the labs at once. Ray has to be connected."""

    def __init__(
        self,
        *,
        pool: Iterable[J] = (),
        play: Callable[[J], R],
        in_labs: Iterable[J] = (),
        labs: Labs[J, R] | None = None,
        say: Callable[[str], None],
        patience_s: float = PATIENCE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ray = needed_ray()
        self._pool, self._in_labs = Work(pool), Work(in_labs)
        if self._in_labs and labs is None:
            raise ValueError("jobs for labs need Labs, which say how an actor opens and plays its lab")
        self._play, self._labs = play, labs
        self._say, self._now, self._patience_s = say, now, patience_s
        self._task = self._ray.remote(num_cpus=1, max_retries=0)(_call)
        self._owner = self._ray.remote(num_cpus=0, resources={LAB: 1}, max_restarts=0, max_task_retries=0)(_LabOwner)
        self._tasks: dict[Any, int] = {}  # the number of the pool's job, by Ray's reference to its result
        self._owners: dict[Any, _Owner] = {}  # by Ray's reference to what the owner does now
        self._closed_labs = 0

    def results(self) -> Generator[tuple[J, R], None, None]:
        """Each job with its result, as they come. Raises WorldError if there are no workers for long, and what a job
        itself raises."""
        heard_s = self._now()
        try:
            while self._pool or self._in_labs:
                self._give()
                waited_for = [*self._tasks, *self._owners]
                ended = self._ray.wait(waited_for, num_returns=1, timeout=POLL_S)[0] if waited_for else []
                for reference in ended:
                    heard_s = self._now()
                    yield from self._ended(reference)
                if not ended and self._now() - heard_s > self._patience_s and not self._workers():
                    raise WorldError(self._nobody())
        finally:
            self._close_labs()

    def _give(self) -> None:
        """Give out as many jobs as there are workers for."""
        resources = self._ray.cluster_resources()
        while self._pool.waiting and len(self._tasks) < JOBS_A_CORE * max(1, int(resources.get("CPU", 0))):
            number, job = self._pool.give()
            self._tasks[self._task.remote(self._play, job)] = number
        while len(self._owners) < min(int(resources.get(LAB, 0)), len(self._in_labs)):
            owner = _Owner(self._owner.remote(self._labs))
            self._owners[owner.actor.ready.remote()] = owner

    def _ended(self, reference: Any) -> Iterator[tuple[J, R]]:
        errors = self._ray.exceptions
        owner, number = self._owners.pop(reference, None), self._tasks.pop(reference, None)
        try:
            value = self._ray.get(reference)
        except errors.RayTaskError as error:  # the job itself failed: on another node it would fail again
            raise error.cause if isinstance(error.cause, Exception) else error from error
        except errors.RayError as error:
            self._lost(owner, number, " ".join(str(error).split()))
            return
        if number is not None:
            yield self._pool.done(number), value
        elif owner is not None:
            done = [] if owner.number is None else [(self._in_labs.done(owner.number), value)]
            self._next_in_lab(owner)  # no lab waits for what the caller does with the result
            yield from done

    def _next_in_lab(self, owner: _Owner) -> None:
        """Give the owner of a lab another job, or send it home if there is none."""
        owner.ready, owner.number = True, None
        if self._in_labs.waiting:
            owner.number, job = self._in_labs.give()
            self._owners[owner.actor.play.remote(job)] = owner
        else:
            self._close([owner])

    def _lost(self, owner: _Owner | None, number: int | None, why: str) -> None:
        """A worker is gone. Its job waits again."""
        if number is not None:
            self._say(f"a node or a process is gone; again: {self._pool.lost(number, why)}")
        elif owner is not None and owner.number is not None:
            self._say(f"a lab is gone; again: {self._in_labs.lost(owner.number, why)}")
        elif owner is not None and not owner.ready:
            self._closed_labs += 1
            if self._closed_labs == MOST_CLOSED_LABS:
                raise WorldError(f"{MOST_CLOSED_LABS} labs did not open, the last one because: {why}")
            self._say(f"a lab did not open: {why}")

    def _workers(self) -> bool:
        """Whether the cluster has a worker for each kind of job that is left."""
        resources = self._ray.cluster_resources()
        return (not self._pool or resources.get("CPU", 0) >= 1) and (not self._in_labs or resources.get(LAB, 0) >= 1)

    def _nobody(self) -> str:
        left = len(self._pool) + len(self._in_labs)
        return (
            f"no node has had a core or a lab for {self._patience_s:.0f} s, and {left} jobs are left; "
            "next: ray start --address=HEAD, with --resources='{\"lab\": 1}' where a lab is up"
        )

    def _close_labs(self) -> None:
        self._close([owner for owner in self._owners.values() if owner.ready and owner.number is None])
        self._owners.clear()

    def _close(self, owners: Iterable[_Owner]) -> None:
        """Release labs. An owner that does not answer is gone, and its node's reaper reverts what it left."""
        for reference in [owner.actor.close.remote() for owner in owners]:
            try:
                self._ray.get(reference, timeout=PATIENCE_S)
            except self._ray.exceptions.RayError as error:
                self._say(f"a lab was not released: {' '.join(str(error).split())}")
