"""The scheduler of `make test`, with fake workers: which worker runs which tests, and in which order."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest
from xdist.remote import Producer
from xdist.workermanage import WorkerController

from tests.lab_last import LabLast, list_of_lab_tests


class Config:
    """The settings that the scheduler of xdist reads, for two workers."""

    def getvalue(self, name: str) -> list[str]:
        return {"tx": ["2*popen"]}[name]

    def getoption(self, name: str) -> None:
        return {"maxschedchunk": None}[name]


@dataclass(frozen=True)
class Gateway:
    """The connection to a worker, of which xdist reads the name."""

    id: str


@dataclass(eq=False)
class Worker:
    """A worker that notes which tests it gets."""

    gateway: Gateway
    workerinput: dict[str, str]
    given: list[int] = field(default_factory=list)
    shutting_down: bool = False

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def in_file(file: str, count: int) -> list[str]:
    return [f"tests/{file}.py::test_{number}" for number in range(count)]


def played(collection: list[str], *, lab: Sequence[str] = (), pace: int = 1) -> tuple[list[str], list[str]]:
    """The tests that each of two workers runs. The first one runs a test in the time of `pace` tests of the other."""
    run = uuid.uuid4().hex
    workers = [Worker(Gateway(name), {"testrunuid": run, "workerid": name}) for name in ("gw0", "gw1")]
    scheduler = LabLast(cast(pytest.Config, Config()), Producer("test"))
    for worker in workers:
        list_of_lab_tests(worker.workerinput).write_text(json.dumps(list(lab)))
        scheduler.add_node(cast(WorkerController, worker))
        scheduler.add_node_collection(cast(WorkerController, worker), collection)
    scheduler.schedule()
    ended = {id(worker): 0 for worker in workers}
    turn = 0
    while scheduler.has_pending:
        for worker in workers:
            node = cast(WorkerController, worker)
            if node not in scheduler.nodes or (worker is workers[0] and turn % pace):
                continue
            # A worker starts a test only if it knows the next one or that there is none.
            known = len(worker.given) - ended[id(worker)]
            if known > 1 or (known == 1 and worker.shutting_down):
                index = worker.given[ended[id(worker)]]
                ended[id(worker)] += 1
                scheduler.mark_test_complete(node, index)
            elif worker.shutting_down:
                scheduler.remove_node(node)
        turn += 1
        assert turn < 10_000, "the scheduler hands out no more tests"
    first, second = ([collection[index] for index in worker.given] for worker in workers)
    return first, second


@pytest.mark.parametrize("pace", [1, 2, 7])
def test_the_tests_of_a_file_run_on_one_worker_and_in_their_order(pace: int) -> None:
    files = [in_file(f"test_{name}", count) for name, count in zip("abcdef", (9, 3, 14, 5, 1, 6), strict=True)]
    collection = [name for file in files for name in file]
    first, second = played(collection, pace=pace)
    assert sorted(first + second) == sorted(collection)
    divided = [file for file in files if {*file} & {*first} and {*file} & {*second}]
    assert len(divided) <= 1  # the last file may be divided, so that both workers end at about the same time
    for file in files:
        for run in (first, second):
            assert [name for name in run if name in file] == [name for name in file if name in run]


def test_a_slow_worker_runs_fewer_tests() -> None:
    first, second = played([name for file in "abcdefgh" for name in in_file(file, 10)], pace=3)
    assert len(first) < 30
    assert len(second) > 50


def test_the_last_file_is_divided() -> None:
    collection = in_file("long", 40)
    first, second = played(collection)
    assert len(first) == len(second) == 20


def test_one_worker_runs_the_tests_of_the_lab_after_all_others() -> None:
    files = [in_file("a", 4), in_file("lab", 3), in_file("b", 8)]
    collection = [name for file in files for name in file]
    lab = [*files[1], "tests/a.py::test_2"]
    runs = played(collection, lab=lab)
    assert sorted(runs[0] + runs[1]) == sorted(collection)
    without, keeper = sorted(runs, key=lambda run: len({*run} & {*lab}))
    assert not {*without} & {*lab}
    assert sorted(keeper[-4:]) == sorted(lab)
