"""Doctor checks every precondition. Each check has a verdict and a remedy."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mirr.lab import compose, engine
from mirr.lab.doctor import Check, Verdict, _lock, _strangers, blocked, examine
from mirr.lab.engine_lock import EngineLock, Holder
from mirr.lab.installation import HERE
from mirr.lab.names import Role
from mirr.lab.processes import Process
from tests.fakes.lock_engine import LockEngine
from tests.lab.fakes import FakeContainer, FakeEngine, container

ABSENT = engine.EngineProblem(
    trouble=engine.Trouble.NOT_INSTALLED,
    text="no Docker engine is installed",
    remedy="sudo apt-get install --yes docker.io docker-compose",
)


@pytest.fixture
def without_docker(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    monkeypatch.setattr(engine, "try_connect", lambda: ABSENT)
    monkeypatch.setattr(compose, "find", lambda: None)
    return examine("mirr", lambda lab: [])


def test_the_remedy_for_a_missing_engine_also_names_the_simulator(without_docker: list[Check]) -> None:
    found = next(check for check in without_docker if check.code == "engine")
    assert found == Check(
        code="engine",
        status=Verdict.FAIL,
        text="no Docker engine is installed",
        remedy="sudo apt-get install --yes docker.io docker-compose   "
        "(without Docker, the simulator still works: make demo, or .venv/bin/mirr episode --world sim)",
    )
    assert blocked(without_docker)


def test_every_check_that_does_not_pass_has_a_remedy_of_one_line(without_docker: list[Check]) -> None:
    for check in without_docker:
        assert check.status is Verdict.PASS or (check.remedy and "\n" not in check.remedy)


def test_codes_are_unique(without_docker: list[Check]) -> None:
    codes = [check.code for check in without_docker]
    assert len(set(codes)) == len(codes)


def test_a_warning_does_not_block() -> None:
    assert not blocked([Check(code="cores", status=Verdict.WARN, text="1 core", remedy="more")])


def test_too_few_cores_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(engine, "try_connect", lambda: ABSENT)
    found = next(check for check in examine("mirr", lambda lab: []) if check.code == "cores")
    assert (found.status, found.text) == (Verdict.WARN, "1 core; the lab is sized for 2")


def test_state_that_cannot_be_kept_fails_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "try_connect", lambda: ABSENT)
    (tmp_path / "file").write_text("")
    for chosen, verdict in ((tmp_path / "folder", Verdict.PASS), (tmp_path / "file" / "folder", Verdict.FAIL)):
        monkeypatch.setenv("MIRR_STATE_DIR", str(chosen))
        found = next(check for check in examine("mirr", lambda lab: []) if check.code == "state")
        assert found.status is verdict
    assert found.remedy == "give rights there, or set MIRR_STATE_DIR to another folder"


def test_a_disk_without_room_for_the_state_fails_with_its_remedy(
    state_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(engine, "try_connect", lambda: ABSENT)
    monkeypatch.setattr(Path, "write_bytes", full)
    found = next(check for check in examine("mirr", lambda lab: []) if check.code == "state")
    assert (found.status, found.text, found.remedy) == (
        Verdict.FAIL,
        f"{state_root} cannot be written: No space left on device",
        "make room there, or set MIRR_STATE_DIR to another folder",
    )
    assert list(state_root.iterdir()) == []


def test_a_warning_names_a_stranger_that_has_our_label() -> None:
    stranger = FakeContainer(name="web", labels={"mirr.lab": "mirr"}, image="nginx")
    assert _strangers(FakeEngine(stranger, container(Role.TRAFFIC)).client, "mirr") == Check(
        code="strangers",
        status=Verdict.WARN,
        text="carries lab mirr's label, but is not its own, so it is never touched: container web "
        "(its label mirr.role is none of: service, sandbox, traffic, prometheus, alertmanager)",
        remedy="look at it, and remove it yourself if it is yours: docker inspect web",
    )
    assert _strangers(FakeEngine(container(Role.TRAFFIC)).client, "mirr").status is Verdict.PASS


def test_a_lab_in_use_passes_and_a_lock_that_was_left_behind_is_a_warning() -> None:
    fake = LockEngine()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    ended = replace(Process.this(), number=child.pid)
    text, remedy = "no command works on lab mirr", ""
    assert _lock(fake.client, "mirr") == Check(code="lock", status=Verdict.PASS, text=text)
    for process in (Process.this(), ended):
        held = EngineLock(fake, "mirr", Holder(what="mirr demo", process=process, state="/state"), beats=False)
        held.take()
        status, text = Verdict.PASS, f"lab mirr is in use by `mirr demo` ({process})"
        if process is ended and process.has_ended():  # only Linux tells
            left = "has ended and left its lock of lab mirr behind; the next command takes it over"
            text = f"`mirr demo` ({process}) {left}"
            status, remedy = Verdict.WARN, HERE.command("revert")
        assert _lock(fake.client, "mirr") == Check(code="lock", status=status, text=text, remedy=remedy)
        held.release()


def test_a_container_with_the_name_of_a_lock_is_a_warning() -> None:
    fake = LockEngine()
    config = {"Image": "sha256:image", "Labels": {}, "HostConfig": {}}
    fake.create_container_from_config(config, name="mirr.lock.mirr")
    assert _lock(fake.client, "mirr") == Check(
        code="lock",
        status=Verdict.WARN,
        text="container mirr.lock.mirr is not a lock of mirr, and has its name: not touched",
        remedy="rename it, or remove it yourself if it is yours",
    )
