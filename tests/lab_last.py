"""How `make test` deals tests to its workers: unmarked tests to all of them at once, then the lab's tests to one alone.

The lab is sized for a machine that does little else. So no other test runs while tests of the real lab do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScheduling
from xdist.workermanage import WorkerController

GROUP = "lab"
"""The xdist group of every test that is marked `docker` or `browser`."""

AT_HAND = 2
"""Tests that a worker is given at a time: it starts one only when it knows the next one."""


class LabLast(LoadScheduling):
    """Gives each worker a run of neighbours, which share fixtures. A worker without work takes half of another's."""

    collection: list[str] | None  # the names of all tests, once every worker has found the same ones
    node2pending: dict[WorkerController, list[int]]  # of each worker: tests that it was given and has not ended

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._runs: dict[WorkerController, deque[int]] = {}  # of each worker: unmarked tests that it has not been given
        self._lab: list[int] = []  # tests of the real lab that nobody has been given

    @property
    def tests_finished(self) -> bool:
        """Whether every test has been given to a worker and at most one of each worker's is left."""
        started: bool = self.collection_is_completed and not self._lab and not any(self._runs.values())
        return started and all(len(given) < AT_HAND for given in self.node2pending.values())

    @property
    def has_pending(self) -> bool:
        """Whether any test has not ended."""
        return bool(self._lab) or any(self._runs.values()) or any(self.node2pending.values())

    def schedule(self) -> None:
        """Share the tests out, once every worker has found the same ones."""
        if self.collection is None and self._check_nodes_have_same_collection():
            self.collection = next(iter(self.node2collection.values()))
            everything = range(len(self.collection))
            self._lab = [index for index in everything if self._is_of_the_lab(index)]
            unmarked = [index for index in everything if not self._is_of_the_lab(index)]
            workers = self.nodes
            for place, worker in enumerate(workers):
                first, end = (len(unmarked) * edge // len(workers) for edge in (place, place + 1))
                self._runs[worker] = deque(unmarked[first:end])
        for worker in self.nodes:
            self.check_schedule(worker)

    def check_schedule(self, node: WorkerController, duration: float = 0) -> None:
        """Give the worker its next tests; where only those of the lab are left, see who runs them."""
        if node.shutting_down:
            return
        given = self.node2pending[node]
        self._give(node, list(islice(self._dealt_to(node), AT_HAND - len(given))))
        if len(given) < AT_HAND:
            self._go_on_to_the_lab()

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a worker that has ended. If it crashed, others run its tests. Returns the test that it crashed in."""
        given = self.node2pending.pop(node)
        left = self._runs.pop(node, deque())
        crashed = given.pop(0) if given else None
        self._lab = [index for index in given if self._is_of_the_lab(index)] + self._lab
        left.extendleft(index for index in reversed(given) if not self._is_of_the_lab(index))
        if left:
            self._runs[node] = left  # any worker takes it from there, a new one too
        for worker in self.nodes:
            self.check_schedule(worker)
        return None if crashed is None or self.collection is None else self.collection[crashed]

    def _is_of_the_lab(self, index: int) -> bool:
        assert self.collection is not None
        return self.collection[index].endswith(f"@{GROUP}")

    def _dealt_to(self, node: WorkerController) -> Iterator[int]:
        """The worker's own run, then half of the longest one that is left, and so on."""
        while any(self._runs.values()):
            own = self._runs.setdefault(node, deque())
            if not own:
                longest = max(self._runs.values(), key=len)
                taken = [longest.pop() for _ in range((len(longest) + 1) // 2)]
                own.extend(reversed(taken))
            yield own.popleft()

    def _go_on_to_the_lab(self) -> None:
        """Let all workers but one end. Once they are gone, that one is given the tests of the lab."""
        keeper, *others = self.nodes
        for worker in others:
            if not worker.shutting_down:
                worker.shutdown()
        if not others and not keeper.shutting_down:
            self._give(keeper, self._lab)
            self._lab = []
            keeper.shutdown()

    def _give(self, node: WorkerController, indices: list[int]) -> None:
        if indices:
            self.node2pending[node].extend(indices)
            node.send_runtest_some(indices)
