"""The scheduler of `make test`. One worker runs the tests of the real lab. The others run all other tests beside it.

The lab needs most of the machine for a part of the time. So the tests beside it give way: they run while the lab and
its worker leave a core idle. One worker alone runs first the tests without a lab, and then those of the lab.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
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

AUTOGROUP = Path("/proc/self/autogroup")
LEAST_NICE = 19


def list_of_lab_tests(workerinput: Mapping[str, str]) -> Path:
    """The file in which a worker lists the tests with the mark `docker`."""
    return Path(tempfile.gettempdir()) / f"mirr-tests-{workerinput['testrunuid']}-{workerinput['workerid']}.json"


def give_way() -> None:
    """Let this process and those that it starts run only when others leave a core idle. It cannot be undone: Linux lets
    only a privileged user leave its idle class."""
    if not hasattr(os, "SCHED_IDLE"):
        os.nice(LEAST_NICE)
        return
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # The class counts only within a group of processes, and the containers are another group. A kernel with this file
    # may make a group of each session. Anybody may let the own group come last.
    if AUTOGROUP.exists():
        with contextlib.suppress(OSError):
            os.setsid()
            AUTOGROUP.write_text(str(LEAST_NICE))


def giving_way(program: str, folder: Path) -> str:
    """The program, or a script in the folder that starts it and gives way if this process does. For a program that gets
    a session of its own: it would also have a group of its own."""
    if not hasattr(os, "SCHED_IDLE") or os.sched_getscheduler(0) != os.SCHED_IDLE:
        return program
    script = folder / "giving-way"
    script.write_text(
        f'#!/bin/sh\n{{ echo {LEAST_NICE} >{AUTOGROUP}; }} 2>/dev/null\nexec {shlex.quote(program)} "$@"\n'
    )
    script.chmod(0o755)
    return str(script)


class BesideTheLab(LoadScheduling):
    """Gives the first worker the tests of the lab, and each other one a run of files. A worker that has no tests left
    takes half of the files of another run.

    A worker that has begun with a test without a lab gives way to the lab, so it never plays on the lab."""

    collection: list[str] | None  # the names of all tests, when every worker has found the same tests
    node2pending: dict[WorkerController, list[int]]  # for each worker: the tests that it got and that have not ended

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._runs: dict[WorkerController, deque[int]] = {}  # for each worker: tests that it will get, none of the lab
        self._lab_names: frozenset[str] = frozenset()
        self._lab: deque[int] = deque()  # tests of the real lab that no worker has yet
        self._player: WorkerController | None = None  # the worker that runs the tests of the lab
        self._beside: set[WorkerController] = set()  # the workers that give way to the lab
        self._alone = False  # there is one worker for all tests

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
            self._divide(range(len(self.collection)))
        for worker in self.nodes:
            list_of_lab_tests(worker.workerinput).unlink(missing_ok=True)  # of one that takes the place of another
            self.check_schedule(worker)

    def check_schedule(self, node: WorkerController, duration: float = 0) -> None:
        """Give the worker its next tests. If there are none for it, let it end after those that it has."""
        if node.shutting_down:
            return
        given = self.node2pending[node]
        self._give(node, list(islice(self._next_tests(node), TESTS_PER_WORKER - len(given))))
        if len(given) < TESTS_PER_WORKER:
            node.shutdown()

    def remove_node(self, node: WorkerController) -> str | None:
        """Remove a worker that has ended. If it crashed, other workers run its tests, and a new one those of the lab.
        Returns the test that crashed."""
        given = self.node2pending.pop(node)
        left = self._runs.pop(node, deque())
        self._beside.discard(node)
        if node is self._player:
            self._player = None
        crashed = given.pop(0) if given else None
        self._lab.extendleft(index for index in reversed(given) if self._is_of_the_lab(index))
        left.extendleft(index for index in reversed(given) if not self._is_of_the_lab(index))
        if left:
            self._runs[node] = left  # any worker takes these tests, also a new one
        for worker in self.nodes:
            self.check_schedule(worker)
        return None if crashed is None or self.collection is None else self.collection[crashed]

    def mark_test_pending(self, item: str) -> None:
        """Run a test of the lab once more, because its worker crashed. pytest has noted it as RERUN already."""
        if item not in self._lab_names:
            raise NotImplementedError  # then it has failed
        assert self.collection is not None
        self._lab.appendleft(self.collection.index(item))
        for worker in self.nodes:
            self.check_schedule(worker)

    def _divide(self, everything: Sequence[int]) -> None:
        self._alone = len(self.nodes) == 1
        self._lab = deque(index for index in everything if self._is_of_the_lab(index))
        left = [index for index in everything if not self._is_of_the_lab(index)]
        sharing = self.nodes[1:] if self._lab and not self._alone else self.nodes
        for place, worker in enumerate(sharing):
            end = self._border(left, len(left) // (len(sharing) - place))
            self._runs[worker], left = deque(left[:end]), left[end:]

    def _is_of_the_lab(self, index: int) -> bool:
        assert self.collection is not None
        return self.collection[index] in self._lab_names

    def _next_tests(self, node: WorkerController) -> Iterator[int]:
        """The tests for the worker. Those of the lab come first, because they take longest. One worker alone begins
        with the quick ones."""
        if self._player is None and self._lab and node not in self._beside:
            self._player = node
        if node is not self._player:
            for index in self._without_a_lab(node):
                self._beside.add(node)
                yield index
            return
        if self._alone:
            yield from self._without_a_lab(node)
        while self._lab:
            yield self._lab.popleft()
        yield from self._without_a_lab(node)

    def _without_a_lab(self, node: WorkerController) -> Iterator[int]:
        """Tests without a lab: the worker's own run, then half of the longest remaining run, and so on."""
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
