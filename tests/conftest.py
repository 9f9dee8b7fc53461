"""Fixtures for all tests: a state directory for each test, and one real lab for the session."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling

REAL_LAB = os.environ.get("MIRR_TEST_LAB", "mirr-test")

# A virtual machine that stands still for seconds makes an episode void, or a window late. Such a test begins again, and
# pytest lists it as RERUN. A test of which every try fails has failed. `--force-reruns=0` allows one try.
TRIES_ON_THE_LAB = 3
LAB_MARK = "docker"

BESIDE_A_LAB = pytest.StashKey[bool | None]()
"""Whether another worker may play on the lab while this worker runs its first test. None after that test."""

# Each worker of xdist has a core. More threads of NumPy or PyTorch would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A background job of a shell ignores SIGINT. Commands that the tests start would then ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a file if the option `-m` selects none of its tests."""
    selection: str = config.getoption("markexpr")
    if not selection or collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    from tests.unselected import has_no_selected_test

    return has_no_selected_test(collection_path.read_text(encoding="utf-8"), selection) or None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the tests of the real lab be tried again. In a worker of xdist, write a list of them.

    The scheduler knows only the names of tests."""
    of_the_lab = [item for item in items if item.get_closest_marker(LAB_MARK)]
    for item in of_the_lab:
        item.add_marker(pytest.mark.flaky(reruns=TRIES_ON_THE_LAB - 1))
    if not hasattr(config, "workerinput"):
        return
    from tests.beside_the_lab import list_of_lab_tests

    names = [item.nodeid for item in of_the_lab]
    list_of_lab_tests(config.workerinput).write_text(json.dumps(names))
    config.stash[BESIDE_A_LAB] = bool(of_the_lab) and int(config.workerinput["workercount"]) > 1


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """The first test of a worker tells what the worker is for. One that does not play on the lab gives way to it, and
    compiles the simulator while the lab starts."""
    beside_a_lab = item.config.stash.get(BESIDE_A_LAB, None)
    if beside_a_lab is not None and not item.get_closest_marker(LAB_MARK):
        from tests import compile_simulator
        from tests.beside_the_lab import give_way

        if beside_a_lab:
            give_way()
        compile_simulator.main()
    item.config.stash[BESIDE_A_LAB] = None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """With `-n N --dist loadgroup`, one worker runs the tests of the lab, and the others run all others beside it."""
    if config.getoption("dist") != "loadgroup":
        return None
    from tests.beside_the_lab import BesideTheLab

    return BesideTheLab(config, log)


@pytest.fixture(autouse=True)
def own_machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests on no real lab hold labs of the same name at the same time. So each worker counts as a machine of its own.
    It has an engine of its own, which keeps the locks of its labs."""
    if request.node.get_closest_marker(LAB_MARK):
        yield
        return
    from mirr.lab import lock
    from tests.fakes.lock_engine import LockEngine

    with pytest.MonkeyPatch.context() as patch:
        own = str(tmp_path_factory.getbasetemp())
        patch.setattr(lock, "machine_wide_name", lambda lab: f"\0{own} {lab}".encode()[:100])
        engine = LockEngine()
        patch.setattr(lock, "the_engine", lambda *_: engine.client)
        yield


@pytest.fixture(autouse=True)
def uncompiled_commands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that tests of the lab start play on the lab, or at most a few episodes on the simulator. To import numba
    takes longer than these. This process itself stays as it is."""
    if request.node.get_closest_marker(LAB_MARK):
        from mirr.env.simulator.fast import compiled  # noqa: F401  (when it is imported, it looks at the variable)

        monkeypatch.setenv("MIRR_COMPILED", "0")


@pytest.fixture
def state_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new directory for all files that labs keep on disk."""
    monkeypatch.setenv("MIRR_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the `checkout`, and in `dist` its wheel and its source distribution. No test changes it.

    The first worker that needs it builds it, and the others wait.
    """
    from filelock import FileLock

    from tests.distributions import build_distributions, copy_of_checkout

    alone = "PYTEST_XDIST_WORKER" not in os.environ
    shared = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    folder = shared / "distributions"
    with FileLock(shared / "distributions.lock"):
        if not folder.exists():
            build_distributions(copy_of_checkout(shared / "unfinished" / "checkout"), shared / "unfinished" / "dist")
            (shared / "unfinished").rename(folder)
    return folder


@pytest.fixture(scope="session")
def real_lab() -> Iterator[str]:
    """The name of a lab in steady state. The fixture installs a missing engine and builds missing images."""
    from mirr.cli.lab_commands import remember, revert, wait_until_steady
    from mirr.lab.engine import connect
    from mirr.lab.lock import hold, hold_here
    from mirr.lab.progress import PlainProgress
    from mirr.lab.up_and_down import bring_up, take_down

    report = PlainProgress()
    with hold_here(REAL_LAB, "pytest") as held:
        bring_up(
            REAL_LAB,
            report,
            revert=revert,
            remember=remember,
            hold=held.in_engine,
            wait_until_steady=lambda lab, limit: wait_until_steady(lab, limit, report),
        )
    yield REAL_LAB
    with hold(REAL_LAB, "pytest"):
        take_down(REAL_LAB, connect())


@pytest.fixture
def machine_to_itself(real_lab: str) -> Iterator[None]:
    """The lab of the other tests is frozen meanwhile. Two cores serve one lab well, and two labs badly."""
    from mirr.lab.containers import LabContainers
    from mirr.lab.engine import connect

    running = [one for one in LabContainers(connect(), real_lab).all() if one.status == "running"]
    for one in running:
        one.pause()
    try:
        yield
    finally:
        for one in running:
            one.unpause()
