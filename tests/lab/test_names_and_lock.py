"""Names of labs, and one command at a time on each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest

from mirr.lab.errors import BadLabName, LabInUse
from mirr.lab.lock import hold
from mirr.lab.names import make_target, parse_lab
from mirr.lab.state import state_dir

HOLD_AND_SAY = """
import sys, mirr.lab.lock
with mirr.lab.lock.hold("mirr", "mirr episode"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["mirr", "a", "mirr-two", "lab2", "a" * 21])
def test_a_plain_name_is_a_labs_name(name: str) -> None:
    assert parse_lab(name) == name


@pytest.mark.parametrize("name", ["", "Mirr", "2lab", "-lab", "my_lab", "a/b", "..", "a" * 22, "lab\n"])
def test_what_compose_or_a_path_could_choke_on_is_not(name: str) -> None:
    with pytest.raises(BadLabName) as raised:
        parse_lab(name)
    assert str(raised.value) == (
        f"{name!r} cannot be a lab's name: a lower-case letter, then at most 20 letters, digits or dashes, "
        "as in LAB=mirr-two"
    )


def test_the_default_lab_goes_without_saying_in_a_command() -> None:
    assert make_target("up", "mirr") == "make up"
    assert make_target("up", "two") == "make up LAB=two"


@pytest.mark.usefixtures("state_root")
def test_a_second_command_is_told_who_holds_the_lab() -> None:
    with hold("mirr", "mirr episode"), pytest.raises(LabInUse) as raised, hold("mirr", "mirr up"):
        pass
    assert str(raised.value) == (f"lab mirr is in use by `mirr episode` (process {os.getpid()}); wait for it or end it")


@pytest.mark.usefixtures("state_root")
def test_another_lab_is_not_held() -> None:
    with hold("mirr", "mirr episode"), hold("two", "mirr episode"):
        assert state_dir("mirr") != state_dir("two")


@pytest.mark.usefixtures("state_root")
def test_a_lab_is_free_again_when_the_command_ends() -> None:
    with hold("mirr", "mirr up"):
        pass
    with hold("mirr", "mirr down"):
        pass


@pytest.mark.usefixtures("state_root")
def test_a_lab_held_by_one_thread_may_be_let_go_by_another() -> None:
    held = ExitStack()
    opener = threading.Thread(target=lambda: held.enter_context(hold("mirr", "mirr openenv")))
    opener.start()
    opener.join()
    held.close()
    with hold("mirr", "mirr up"):
        pass


@pytest.mark.usefixtures("state_root")
def test_a_killed_holder_lets_go() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD_AND_SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(LabInUse, match=rf"in use by `mirr episode` \(process {holder.pid}\)"), hold("mirr", "mirr up"):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with hold("mirr", "mirr up"):
        pass
