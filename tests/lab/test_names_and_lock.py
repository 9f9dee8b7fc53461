"""The names of labs, and the lock that allows one command at a time for each lab."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from mirr.lab import lock
from mirr.lab.errors import BadLabName, LabError, LabInUse
from mirr.lab.lock import hold, holder_elsewhere, machine_wide_name, tell_holder
from mirr.lab.names import parse_lab
from mirr.lab.state import state_dir

HOLD_AND_PRINT = """
import sys, mirr.lab.lock
from tests.fakes.lock_engine import LockEngine
mirr.lab.lock.the_engine = lambda *_: LockEngine().client
with mirr.lab.lock.hold("mirr-lock-test", "mirr episode"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["mirr", "a", "mirr-two", "lab2", "a" * 21])
def test_a_plain_name_of_a_lab_is_accepted(name: str) -> None:
    assert parse_lab(name) == name


@pytest.mark.parametrize("name", ["", "Mirr", "2lab", "-lab", "my_lab", "a/b", "..", "a" * 22, "lab\n"])
def test_a_name_that_breaks_compose_or_a_path_is_refused(name: str) -> None:
    with pytest.raises(BadLabName) as raised:
        parse_lab(name)
    assert str(raised.value) == (
        f"{name!r} cannot be a lab's name: a lower-case letter, then at most 20 letters, digits or dashes, "
        "as in LAB=mirr-two"
    )


@pytest.mark.usefixtures("state_root")
def test_the_error_of_a_second_command_names_the_first_command() -> None:
    with hold("mirr", "mirr episode"), pytest.raises(LabInUse) as raised, hold("mirr", "mirr up"):
        pass
    assert str(raised.value) == (f"lab mirr is in use by `mirr episode` (process {os.getpid()}); wait for it or end it")


def test_a_state_folder_is_the_same_from_every_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIRR_STATE_DIR", "here")
    assert state_dir("mirr") == tmp_path / "here" / "labs" / "mirr"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MIRR_STATE_DIR", "~/there")
    assert state_dir("mirr") == tmp_path / "there" / "labs" / "mirr"


@pytest.mark.parametrize("what", [lambda: state_dir("mirr"), lambda: hold("mirr", "mirr up").__enter__()])
def test_a_state_folder_that_cannot_be_made_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIRR_STATE_DIR", str(tmp_path / "file" / "state"))
    with pytest.raises(LabError) as raised:
        what()
    assert str(raised.value).startswith(f"the folder {tmp_path}/file/state")
    assert str(raised.value).endswith(
        ", which keeps journals and locks, cannot be made: Not a directory; next: give rights there, or set "
        "MIRR_STATE_DIR to another folder"
    )


def test_a_lock_that_cannot_be_opened_is_a_sentence(state_root: Path) -> None:
    (state_root / "locks" / "mirr.lock").mkdir(parents=True)
    with pytest.raises(LabError) as raised, hold("mirr", "mirr up"):
        pass
    assert str(raised.value) == (
        f"{state_root}/locks/mirr.lock cannot be written: Is a directory; next: give rights there, or set "
        "MIRR_STATE_DIR to another folder"
    )


@pytest.mark.usefixtures("state_root")
def test_two_labs_can_be_in_use_at_the_same_time() -> None:
    with hold("mirr", "mirr episode"), hold("two", "mirr episode"):
        assert state_dir("mirr") != state_dir("two")


@pytest.mark.usefixtures("state_root")
def test_the_lab_is_free_when_its_command_ends() -> None:
    with hold("mirr", "mirr up"):
        pass
    with hold("mirr", "mirr down"):
        pass


@pytest.mark.usefixtures("state_root")
def test_another_thread_may_release_a_lab() -> None:
    held = ExitStack()
    opener = threading.Thread(target=lambda: held.enter_context(hold("mirr", "mirr openenv")))
    opener.start()
    opener.join()
    held.close()
    with hold("mirr", "mirr up"):
        pass


@pytest.mark.usefixtures("state_root")
def test_the_lab_is_free_when_its_command_is_killed() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD_AND_PRINT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(LabInUse, match=rf"in use by `mirr episode` \(process {holder.pid}\)"),
        hold("mirr-lock-test", "mirr up"),
    ):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with hold("mirr-lock-test", "mirr up"):
        pass


HOLDER = """
import sys
from mirr.lab import lock
from mirr.lab.lock import hold, machine_wide_name
from tests.fakes.lock_engine import LockEngine
lock.the_engine = lambda *_: LockEngine().client
with hold("mirr-lock-test", "mirr episode"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
def test_a_lab_is_held_against_users_with_another_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "machine_wide_name", machine_wide_name)  # that of this machine, not of this worker
    monkeypatch.setenv("MIRR_STATE_DIR", str(tmp_path / "mine"))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env=os.environ | {"MIRR_STATE_DIR": str(tmp_path / "theirs")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LabInUse) as raised, hold("mirr-lock-test", "mirr up"):
            pass
        user = pwd.getpwuid(os.getuid()).pw_name
        assert str(raised.value) == (
            f"lab mirr-lock-test is in use by process {process.pid} of user {user}, with another state folder "
            "(MIRR_STATE_DIR); wait for it or end it"
        )
    finally:
        process.kill()
        process.communicate()
    with hold("mirr-lock-test", "mirr up"):
        pass


def this_process() -> str:
    return f"process {os.getpid()} of user {pwd.getpwuid(os.getuid()).pw_name}"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
@pytest.mark.usefixtures("state_root")
def test_whoever_holds_a_lab_is_told_who_has_reverted_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell_holder("mirr")  # nobody holds it
    with hold("mirr", "mirr episode") as reverted:
        assert reverted() is None
        monkeypatch.setenv("MIRR_STATE_DIR", str(tmp_path / "theirs"))
        with pytest.raises(LabInUse), hold("mirr", "mirr up"):  # this only asks who the holder is
            pass
        assert reverted() is None
        tell_holder("mirr")
        tell_holder("mirr-two")
        assert reverted() == f"{this_process()} has reverted the lab"
        assert reverted() is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
def test_a_holder_is_elsewhere_if_it_has_another_state_folder(state_root: Path, tmp_path: Path) -> None:
    assert holder_elsewhere("mirr", tmp_path / "theirs") is None
    with hold("mirr", "mirr episode"):
        assert holder_elsewhere("mirr", state_root) is None
        assert holder_elsewhere("mirr", tmp_path / "theirs") == this_process()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
def test_an_engine_has_one_lock_for_all_names_of_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "docker.sock"
    real.touch()
    (tmp_path / "run").symlink_to(tmp_path)
    names = set()
    for host in (f"unix://{real}", f"unix://{tmp_path}/run/docker.sock", f"http+unix://{tmp_path}/./docker.sock"):
        monkeypatch.setenv("DOCKER_HOST", host)
        names.add(machine_wide_name("mirr"))
    assert len(names) == 1
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    given = machine_wide_name("mirr")
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))  # no context is chosen there
    assert machine_wide_name("mirr") == given
    assert given not in names
