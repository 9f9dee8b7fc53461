"""The reaper is a process that reverts faults whose lease has ended."""

from __future__ import annotations

import itertools
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from docker.errors import DockerException

from mirr.chaos import reaper
from mirr.chaos.errors import ChaosError, FleetError
from mirr.chaos.journal import Journal
from mirr.chaos.reaper import LOCK_FILE, LOG_FILE, Rhythm, ensure, watch
from mirr.chaos.reverter import TURN_FILE, Reverter
from mirr.chaos.turns import turn
from mirr.env.vocabulary import Fault, FaultMode, Service
from mirr.lab import engine, lock
from mirr.lab.lock import hold
from tests.fakes.assembly import fake_chaos
from tests.fakes.campaigns import FakeCampaigns
from tests.fakes.lab import FakeLab
from tests.fakes.lock_engine import LockEngine

AUTH_DOWN = Fault(FaultMode.CRASHED, Service.AUTH)


def run_reaper(
    lab: FakeLab,
    journal: Journal,
    lines: list[str],
    revert: Callable[[], list[str]] | None = None,
    prepare: Callable[[], None] = lambda: None,
) -> None:
    reverter = Reverter(lab, FakeCampaigns(lab), journal, now=lab.clock.now, sleep=lab.clock.sleep)
    watch(
        journal,
        revert or reverter.revert_expired,
        rhythm=Rhythm(),
        prepare=prepare,
        now=lab.clock.now,
        sleep=lab.clock.sleep,
        say=lines.append,
    )


def test_a_fault_is_reverted_when_its_lease_has_ended_and_not_before(lab: FakeLab, journal: Journal) -> None:
    began = lab.clock.now()
    fake_chaos(lab, journal).inject(AUTH_DOWN, lease_s=60.0)
    lines: list[str] = []
    run_reaper(lab, journal, lines)
    assert lab.services[Service.AUTH].running
    assert 60.0 <= lab.services[Service.AUTH].born_at - began < 63.0
    assert lines == ["a fault has outlived its time: restarted auth"]


def test_the_reaper_gets_ready_shortly_before_a_lease_ends(lab: FakeLab, journal: Journal) -> None:
    began = lab.clock.now()
    fake_chaos(lab, journal).inject(AUTH_DOWN, lease_s=60.0)
    ready_after_s: list[float] = []
    run_reaper(lab, journal, [], prepare=lambda: ready_after_s.append(lab.clock.now() - began))
    assert 57.0 <= ready_after_s[0] < 60.0


def test_the_reaper_ends_after_a_while_without_open_faults(lab: FakeLab, journal: Journal) -> None:
    before = lab.clock.now()
    run_reaper(lab, journal, [])
    assert lab.clock.now() - before == pytest.approx(30.0, abs=0.5)


def test_the_reaper_ends_if_the_folder_of_the_lab_is_gone(lab: FakeLab, tmp_path: Path) -> None:
    before = lab.clock.now()
    run_reaper(lab, Journal(tmp_path / "removed"), [])
    assert lab.clock.now() == before


def test_the_reaper_tries_again_if_the_engine_is_gone(lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(AUTH_DOWN, lease_s=1.0)
    reverter = Reverter(lab, FakeCampaigns(lab), journal, now=lab.clock.now, sleep=lab.clock.sleep)
    tries: list[float] = []

    def revert() -> list[str]:
        tries.append(lab.clock.now())
        lab.engine_gone = len(tries) < 4
        return reverter.revert_expired()

    lines: list[str] = []
    run_reaper(lab, journal, lines, revert)
    assert [later - sooner for sooner, later in itertools.pairwise(tries)] == [2.0, 4.0, 8.0]
    assert lines[0] == (
        "could not revert everything, next try in 2 s: could not reach the engine: gone; next: mirr doctor"
    )
    assert lines[-1] == "a fault has outlived its time: restarted auth"


def test_the_reaper_gives_up_after_ten_minutes(lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(AUTH_DOWN, lease_s=1.0)

    def revert() -> list[str]:
        raise FleetError("no")

    before = lab.clock.now()
    run_reaper(lab, journal, [], revert)
    assert 600.0 <= lab.clock.now() - before < 700.0


def test_a_new_fault_with_a_running_lease_is_not_reverted(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.inject(AUTH_DOWN, lease_s=1.0)
    lab.clock.sleep(2.0)
    chaos.revert()
    chaos.inject(AUTH_DOWN, lease_s=60.0)
    assert Reverter(lab, FakeCampaigns(lab), journal, now=lab.clock.now, sleep=lab.clock.sleep).revert_expired() == []
    assert not lab.services[Service.AUTH].running


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"did not come true within {timeout_s:g} s"
        time.sleep(0.02)  # the reaper is another process, and looking is the only way to know


def is_watched(folder: Path) -> bool:
    with turn(folder / LOCK_FILE, timeout_s=0) as is_free:
        return not is_free


def imported(folder: Path) -> set[str]:
    return {line.rpartition("|")[2].strip() for line in (folder / LOG_FILE).read_text().splitlines()}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
@pytest.mark.usefixtures("state_root")
def test_a_reaper_leaves_a_lab_alone_that_somebody_with_another_state_folder_uses(tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "labs" / "mirr"
    with hold("mirr", "mirr episode"), pytest.raises(ChaosError) as raised:
        reaper._revert("mirr", Journal(mine))
    assert str(raised.value) == (
        f"lab mirr is in use by process {os.getpid()} of user {pwd.getpwuid(os.getuid()).pw_name}, "
        "with another state folder (MIRR_STATE_DIR)"
    )


def test_a_reaper_leaves_a_lab_alone_that_somebody_uses_who_shares_only_its_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "connect", lambda: LockEngine().client)
    for error in (None, DockerException("gone")):

        def holder(*_: object, error: Exception | None = error) -> str:
            if error is not None:
                raise error
            return "`mirr episode` (process 7 of user root on box)"

        monkeypatch.setattr(lock, "holder_in_engine", holder)
        with pytest.raises(ChaosError) as raised:
            reaper._revert("mirr", Journal(tmp_path / "mine" / "labs" / "mirr"))
        assert str(raised.value) == (
            "gone"
            if error
            else "lab mirr is in use by `mirr episode` (process 7 of user root on box), with another state folder "
            "(MIRR_STATE_DIR)"
        )


@pytest.mark.thorough
def test_a_lab_has_one_light_reaper_and_the_reaper_ends_with_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(reaper, "_started", started)
    monkeypatch.delenv("MIRR_COMPILED", raising=False)
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # Python writes what it imports into the reaper's log
    folder = tmp_path / "lab"
    folder.mkdir()
    Journal(folder).injecting(AUTH_DOWN)
    ensure("nobodys-lab", folder)
    wait_until(lambda: is_watched(folder))
    ensure("nobodys-lab", folder)
    (child,) = started
    assert child.poll() is None
    wait_until(lambda: "mirr.env.forms" in imported(folder))  # it has read the fault in the journal
    assert imported(folder).isdisjoint({"docker", "requests", "numba"})
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert child.wait(timeout=60) == 0


def test_to_import_the_reaper_imports_only_the_standard_library() -> None:
    heavy = ("docker", "requests", "numpy", "filelock")
    program = f"import sys, mirr.chaos.reaper; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_only_one_process_has_a_turn_and_the_turn_is_free_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / TURN_FILE
    with turn(path, timeout_s=0) as first, turn(path, timeout_s=0.05) as second:
        assert (first, second) == (True, False)
    with turn(path, timeout_s=0) as third:
        assert third


def test_a_turn_creates_no_folder(tmp_path: Path) -> None:
    with turn(tmp_path / "gone" / TURN_FILE, timeout_s=0) as got:
        assert not got
    assert list(tmp_path.iterdir()) == []


def test_a_turn_is_free_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / TURN_FILE
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom mirr.chaos.turns import turn\n"
        "with turn(Path(sys.argv[1]), timeout_s=5):\n    print('taken', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "taken\n"
    with turn(path, timeout_s=0) as got:
        assert not got
    holder.kill()
    holder.communicate()
    with turn(path, timeout_s=5) as got:
        assert got
