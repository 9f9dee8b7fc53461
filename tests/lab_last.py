"""The scheduler of `make test`. All workers run the tests that need no lab. Then one worker runs those of the real lab.

The lab needs most of the machine. So no other test runs during the tests of the real lab.
"""

from __future__ import annotations

import json
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScheduling
from xdist.workermanage import WorkerController

TESTS_PER_WORKER = 2
"""The number of tests that a worker has at a time. It starts a test only when it knows the next one."""


def list_of_lab_tests(workerinput: Mapping[str, str]) -> Path:
    """The file in which a worker lists the tests with the mark `docker`."""
    return Path(tempfile.gettempdir()) / f"mirr-tests-{workerinput['testrunuid']}-{workerinput['workerid']}.json"


class LabLast(LoadScheduling):
    """Gives each worker a run of files. An idle worker takes half of the files of another run."""

    collection: list[str] | None  # the names of all tests, when every worker has found the same tests
    node2pending: dict[WorkerController, list[int]]  # for each worker: the tests that it got and that have not ended

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._runs: dict[WorkerController, deque[int]] = {}  # for each worker: tests that it will get, none of the lab
        self._lab_names: frozenset[str] = frozenset()
        self._lab: list[int] = []  # tests of the real lab that no worker has yet

    @property
    def tests_finished(self) -> bool:
        """Whether every test has been given to a worker and each worker has at most one test left."""
        started: bool = self.collection_is_completed and not self._lab and not any(self._runs.values())
        return started and all(len(given) < TESTS_PER_WORKER for given in self.node2pending.values())

    @property
    def has_pending(self) -> bool:
        """Whether any test has not ended."""
        return bool(self._lab) or any(self._runs.values()) or any(self.node2pending.values())

    def schedule(self) -> None:
        """Divide the tests among the workers when every worker has found the same tests."""
        if self.collection is None and self._check_nodes_have_same_collection():
            self.collection = next(iter(self.node2collection.values()))
            self._lab_names = frozenset(_read_and_remove([worker.workerinput for worker in self.node2collection]))
            everything = range(len(self.collection))
            self._lab = [index for index in everything if self._is_of_the_lab(index)]
            left = [index for index in everything if not self._is_of_the_lab(index)]
            for place, worker in enumerate(self.nodes):
                end = self._border(left, len(left) // (len(self.nodes) - place))
                self._runs[worker], left = deque(left[:end]), left[end:]
        for worker in self.nodes:
            self.check_schedule(worker)

    def check_schedule(self, node: WorkerController, duration: float = 0) -> None:
        """Give the worker its next tests. If only tests of the lab are left, choose the worker that runs them."""
        if node.shutting_down:
            return
        given = self.node2pending[node]
        self._give(node, list(islice(self._next_tests(node), TESTS_PER_WORKER - len(given))))
        if len(given) < TESTS_PER_WORKER:
            self._go_on_to_the_lab()

    def remove_node(self, node: WorkerController) -> str | None:
        """Remove a worker that has ended. If it crashed, other workers run its tests. Returns the test that crashed."""
        given = self.node2pending.pop(node)
        left = self._runs.pop(node, deque())
        crashed = given.pop(0) if given else None
        self._lab = [index for index in given if self._is_of_the_lab(index)] + self._lab
        left.extendleft(index for index in reversed(given) if not self._is_of_the_lab(index))
        if left:
            self._runs[node] = left  # any worker takes these tests, also a new one
        for worker in self.nodes:
            self.check_schedule(worker)
        return None if crashed is None or self.collection is None else self.collection[crashed]

    def _is_of_the_lab(self, index: int) -> bool:
        assert self.collection is not None
        return self.collection[index] in self._lab_names

    def _next_tests(self, node: WorkerController) -> Iterator[int]:
        """The tests for the worker: its own run, then half of the longest remaining run, and so on."""
        while any(self._runs.values()):
            own = self._runs.setdefault(node, deque())
            if not own:
                longest = max(self._runs.values(), key=len)
                left = list(longest)
                kept = self._border(left, len(left) // 2)
                own.extend(left[kept:])
                longest.clear()
                longest.extend(left[:kept])
            yield own.popleft()

    def _border(self, run: Sequence[int], about: int) -> int:
        """A place about there where a run can be divided. The tests of a file stay together if there are other files:
        they share what takes long to set up."""
        assert self.collection is not None
        files = [self.collection[index].partition("::")[0] for index in run]
        borders = [place for place in range(1, len(run)) if files[place] != files[place - 1]]
        if about == len(run) or not borders:
            return about
        return min(borders, key=lambda place: abs(place - about))

    def _go_on_to_the_lab(self) -> None:
        """End all workers but one. When they have ended, the last worker gets the tests of the lab."""
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


def _read_and_remove(workerinputs: Sequence[Mapping[str, str]]) -> list[str]:
    names: list[str] = []
    for workerinput in workerinputs:
        path = list_of_lab_tests(workerinput)
        names += json.loads(path.read_text())
        path.unlink()
    return names
