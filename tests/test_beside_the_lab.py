"""The scheduler of `make test`, with fake workers: which worker runs which tests, and in which order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from xdist.remote import Producer
from xdist.workermanage import WorkerController

from tests.beside_the_lab import AUTOGROUP, BesideTheLab, list_of_lab_tests
from tests.paths import ROOT


class Config:
    """The settings that the scheduler of xdist reads."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def getvalue(self, name: str) -> list[str]:
        return {"tx": [f"{self._workers}*popen"]}[name]

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
    ended: int = 0  # how many of them
    shutting_down: bool = False

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    def running(self) -> int | None:
        """The test that it runs. It starts a test only if it knows the next one or that there is none."""
        known = self.given[self.ended :]
        return known[0] if len(known) > 1 or (known and self.shutting_down) else None


def in_file(file: str, count: int) -> list[str]:
    return [f"tests/{file}.py::test_{number}" for number in range(count)]


class Run:
    """A run of some workers. In each turn, a worker ends the test that it runs."""

    def __init__(self, collection: list[str], *, lab: Sequence[str] = (), workers: int = 2) -> None:
        self.collection, self.lab = collection, lab
        self.scheduler = BesideTheLab(cast(pytest.Config, Config(workers)), Producer("test"))
        self._uid = uuid.uuid4().hex
        self.workers: list[Worker] = []
        for _ in range(workers):
            self.join()
        self.scheduler.schedule()

    def join(self) -> None:
        """A worker starts and finds the tests."""
        name = f"gw{len(self.workers)}"
        worker = Worker(Gateway(name), {"testrunuid": self._uid, "workerid": name})
        list_of_lab_tests(worker.workerinput).write_text(json.dumps(list(self.lab)))
        self.workers.append(worker)
        self.scheduler.add_node(cast(WorkerController, worker))
        self.scheduler.add_node_collection(cast(WorkerController, worker), self.collection)

    def turn(self, *workers: Worker) -> None:
        """Each worker ends its test, or ends itself if it has to."""
        for worker in workers:
            node, index = cast(WorkerController, worker), worker.running()
            if node not in self.scheduler.nodes:
                continue
            if index is not None:
                worker.ended += 1
                self.scheduler.mark_test_complete(node, index)
            elif worker.shutting_down:
                assert self.scheduler.remove_node(node) is None

    def crash(self, worker: Worker) -> str | None:
        """The worker crashes in its test, and a new one takes its place. Returns the name of the test."""
        crashed = self.scheduler.remove_node(cast(WorkerController, worker))
        if crashed is not None and crashed in self.lab:
            self.scheduler.mark_test_pending(crashed)
        del worker.given[worker.ended :]
        self.join()
        self.scheduler.schedule()
        return crashed

    def play(self, *, slow: int = 0, pace: int = 1) -> list[list[str]]:
        """Play to the end. The slow worker runs a test in the time of `pace` tests of the others. Returns the tests
        that each worker ran."""
        turns = 0
        while self.scheduler.has_pending or self.scheduler.nodes:
            self.turn(*(one for place, one in enumerate(self.workers) if place != slow or turns % pace == 0))
            if self.scheduler.tests_finished:
                for node in self.scheduler.nodes:
                    node.shutdown()
            turns += 1
            assert turns < 10_000, "the scheduler hands out no more tests"
        assert not any(list_of_lab_tests(worker.workerinput).exists() for worker in self.workers)
        return [[self.collection[index] for index in worker.given] for worker in self.workers]


@pytest.mark.parametrize("pace", [1, 2, 7])
def test_the_tests_of_a_file_run_on_one_worker_and_in_their_order(pace: int) -> None:
    files = [in_file(f"test_{name}", count) for name, count in zip("abcdef", (9, 3, 14, 5, 1, 6), strict=True)]
    collection = [name for file in files for name in file]
    first, second = Run(collection).play(pace=pace)
    assert sorted(first + second) == sorted(collection)
    divided = [file for file in files if {*file} & {*first} and {*file} & {*second}]
    assert len(divided) <= 1  # the last file may be divided, so that both workers end at about the same time
    for file in files:
        for run in (first, second):
            assert [name for name in run if name in file] == [name for name in file if name in run]


def test_a_slow_worker_runs_fewer_tests() -> None:
    first, second = Run([name for file in "abcdefgh" for name in in_file(file, 10)]).play(pace=3)
    assert len(first) < 30
    assert len(second) > 50


def test_the_last_file_is_divided() -> None:
    collection = in_file("long", 40)
    first, second = Run(collection).play()
    assert len(first) == len(second) == 20


A, LAB, B = in_file("a", 4), in_file("lab", 3), in_file("b", 8)
OF_THE_LAB = [A[2], *LAB]
OTHERS = [name for name in (*A, *B) if name not in OF_THE_LAB]


def test_one_worker_runs_the_tests_of_the_lab_from_the_start_and_the_other_one_all_others() -> None:
    assert Run([*A, *LAB, *B], lab=OF_THE_LAB).play(pace=9) == [OF_THE_LAB, OTHERS]


def test_a_worker_that_is_done_with_the_lab_takes_half_of_what_is_left() -> None:
    first, second = Run([*A, *LAB, *B], lab=OF_THE_LAB).play()
    assert first[:4] == OF_THE_LAB
    assert second == OTHERS[: len(second)]
    assert sorted(first[4:] + second) == sorted(OTHERS)
    assert len(first[4:]) == 4


def test_several_workers_share_the_tests_without_a_lab() -> None:
    first, *others = Run([*A, *LAB, *B], lab=OF_THE_LAB, workers=3).play(pace=9)
    assert first == OF_THE_LAB
    assert sorted(map(len, others)) == [5, 6]
    assert sorted(others[0] + others[1]) == sorted(OTHERS)


def test_one_worker_alone_runs_the_tests_of_the_lab_after_all_others() -> None:
    assert Run([*A, *LAB, *B], lab=OF_THE_LAB, workers=1).play() == [[*OTHERS, *OF_THE_LAB]]


def test_a_worker_without_any_test_ends_at_once() -> None:
    run = Run(LAB, lab=LAB)
    assert [worker.shutting_down for worker in run.workers] == [False, True]
    assert run.play() == [LAB, []]


def test_a_new_worker_goes_on_with_the_lab_after_a_crash_and_runs_the_crashed_test_again() -> None:
    run = Run([*A, *LAB, *B], lab=OF_THE_LAB)
    run.turn(*run.workers)
    assert run.crash(run.workers[0]) == OF_THE_LAB[1]
    assert run.play(slow=2, pace=9) == [OF_THE_LAB[:1], OTHERS, OF_THE_LAB[1:]]


def test_a_worker_that_has_given_way_to_the_lab_never_plays_on_it() -> None:
    run = Run([*A, *LAB, *B], lab=OF_THE_LAB)
    run.turn(run.workers[1])
    run.scheduler.remove_node(cast(WorkerController, run.workers[0]))
    for _ in range(20):
        run.turn(run.workers[1])
    assert [run.collection[index] for index in run.workers[1].given] == OTHERS
    assert run.scheduler.has_pending
    assert not run.scheduler.tests_finished


def test_what_a_crashed_worker_had_left_is_run_by_others_but_not_its_crashed_test() -> None:
    run = Run([*A, *LAB, *B], lab=OF_THE_LAB)
    run.turn(*run.workers)
    assert run.crash(run.workers[1]) == OTHERS[1]
    with pytest.raises(NotImplementedError):
        run.scheduler.mark_test_pending(OTHERS[1])
    first, second, new = run.play()
    assert second == OTHERS[:1]
    assert sorted(first + new) == sorted([*OF_THE_LAB, *OTHERS[2:]])
    assert not {*new} & {*OF_THE_LAB}


def test_one_worker_alone_is_replaced_after_a_crash() -> None:
    run = Run([*A, *LAB, *B], lab=OF_THE_LAB, workers=1)
    run.turn(*run.workers)
    assert run.crash(run.workers[0]) == OTHERS[1]
    first, new = run.play()
    assert first == OTHERS[:1]
    assert sorted(new[:-4]) == sorted(OTHERS[2:])
    assert new[-4:] == OF_THE_LAB


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system has no idle class")
def test_a_program_in_a_session_of_its_own_gives_way_too(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys; from pathlib import Path; from tests.beside_the_lab import give_way, giving_way; "
        "usual = giving_way('cat', Path(sys.argv[1])); give_way(); script = giving_way('cat', Path(sys.argv[1])); "
        "print(usual, Path(script).name, os.sched_getscheduler(0) == os.SCHED_IDLE); sys.stdout.flush(); "
        "subprocess.run([script, '/proc/self/autogroup'], start_new_session=True)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    assert printed[0].split()[1:] == ["giving-way", "True"]
    if AUTOGROUP.exists():
        assert printed[1].endswith(" nice 19")


HOOKS = """
from tests import compile_simulator
from tests.conftest import pytest_collection_modifyitems, pytest_runtest_protocol, pytest_xdist_make_scheduler

compile_simulator.main = lambda: None  # it takes so long that the other worker would take all tests
"""
TESTS = """
import os
from pathlib import Path

import pytest

CRASHED = Path("crashed")


def note(what):
    with open("notes", "a") as file:
        file.write(f"{os.environ['PYTEST_XDIST_WORKER']} {what} {os.sched_getscheduler(0)}\\n")


@pytest.fixture(scope="session")
def lab():
    yield
    note("down")


@pytest.mark.docker
@pytest.mark.parametrize("number", range(3))
def test_lab(lab, number):
    if number == 1 and not CRASHED.exists():
        CRASHED.touch()
        os._exit(3)
    note("lab")


@pytest.mark.parametrize("number", range(3))
def test_other(number):
    note("other")
"""


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system has no idle class")
def test_processes_beside_the_lab_are_in_the_idle_class_and_a_crash_on_the_lab_loses_no_test(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(HOOKS)
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = docker: plays on the lab\n")
    options = ["--numprocesses=2", "--dist=loadgroup", "--max-suite-reruns=8", "-p", "no:schemathesis"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        env=env | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "6 passed, 1 rerun" in done.stdout.splitlines()[-1], done.stdout
    notes = [line.split() for line in (tmp_path / "notes").read_text().splitlines()]
    usual, idle = str(os.sched_getscheduler(0)), str(os.SCHED_IDLE)
    (beside,) = {worker for worker, what, _ in notes if what == "other"}
    player = {"gw0": "gw1", "gw1": "gw0"}[beside]
    assert [note for note in notes if note[0] == beside] == [[beside, "other", idle]] * 3
    assert [note for note in notes if note[0] != beside] == [
        [player, "lab", usual],
        *[["gw2", "lab", usual]] * 2,
        ["gw2", "down", usual],
    ]
