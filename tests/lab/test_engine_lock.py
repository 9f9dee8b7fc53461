"""The lock of a lab in its engine: who gets it, how it is freed, and what its holder hears."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from docker.errors import DockerException
from requests.exceptions import ReadTimeout

from mirr.lab import lock, processes
from mirr.lab.engine_lock import LABEL_HOLDER, LABEL_LOCK, LEASE_S, EngineLock, Holder, lock_name, look, tell
from mirr.lab.errors import EngineError, LabInUse
from mirr.lab.lock import Held, hold, hold_here, holder_in_engine, tell_holder
from mirr.lab.processes import Process
from tests.fakes.lock_engine import LockEngine

MINE = Holder(what="mirr episode", process=Process.this(), state="/mine")
IN_A_CONTAINER = Process(number=7, user="root", host="box", pids="another boot pid:[1]", began="5")
THEIRS = Holder(what="mirr inject", process=IN_A_CONTAINER, state="/theirs")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process began")


def no_sleep(_: float) -> None:
    raise AssertionError("nothing was to be waited for")


def of(engine: LockEngine, holder: Holder, sleep: Callable[[float], None] = no_sleep) -> EngineLock:
    return EngineLock(engine, "mirr", holder, sleep=sleep, beats=False)


def an_ended_process() -> Process:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return replace(Process.this(), number=child.pid)


def test_a_lab_is_held_by_one_of_those_who_reach_its_engine() -> None:
    engine = LockEngine()
    theirs = of(engine, THEIRS)
    theirs.take()
    waits: list[float] = []

    def renewed(seconds: float) -> None:
        waits.append(seconds)
        theirs.renew()

    with pytest.raises(LabInUse) as raised:
        of(engine, MINE, renewed).take()
    assert str(raised.value) == (
        "lab mirr is in use by `mirr inject` (process 7 of user root on box); wait for it or end it"
    )
    assert len(waits) == 1
    theirs.release()
    of(engine, MINE).take()


def test_two_labs_of_one_engine_are_held_by_themselves() -> None:
    engine = LockEngine()
    for lab in ("mirr", "two"):
        EngineLock(engine, lab, MINE, beats=False).take()
    assert {one["Name"] for one in engine.held.values()} == {"/mirr.lock.mirr", "/mirr.lock.two"}


def test_a_lock_says_whose_it_is_and_belongs_to_no_lab() -> None:
    engine = LockEngine()
    of(engine, THEIRS).take()
    labels = next(iter(engine.held.values()))["Config"]["Labels"]
    assert set(labels) == {LABEL_LOCK, LABEL_HOLDER}
    assert Holder.from_label(labels[LABEL_HOLDER]) == THEIRS


@linux
def test_the_lock_of_a_process_that_has_ended_is_taken_over_at_once() -> None:
    engine = LockEngine()
    of(engine, replace(THEIRS, process=an_ended_process())).take()
    of(engine, MINE).take()
    assert (found := look(engine, "mirr")) is not None
    assert found.holder == MINE


def test_the_lock_of_a_process_that_cannot_be_looked_at_is_taken_over_after_its_lease() -> None:
    engine = LockEngine()
    of(engine, THEIRS).take()
    waits: list[float] = []
    of(engine, MINE, waits.append).take()
    assert sum(waits) == LEASE_S


def test_a_lock_that_is_let_go_while_it_is_watched_is_free() -> None:
    engine = LockEngine()
    theirs = of(engine, THEIRS)
    theirs.take()
    mine = of(engine, MINE, lambda _: theirs.release())
    with pytest.raises(AssertionError):
        of(engine, MINE).take()  # it has to watch
    mine.take()
    assert (found := look(engine, "mirr")) is not None
    assert found.holder == MINE


def test_a_lock_that_somebody_else_took_over_meanwhile_is_not_removed() -> None:
    engine = LockEngine()
    of(engine, THEIRS).take()
    others = replace(THEIRS, what="mirr up")

    def taken_over(_: float) -> None:
        engine.prune()
        of(engine, others).take()

    with pytest.raises(LabInUse, match="in use by `mirr up`"):
        of(engine, MINE, taken_over).take()
    assert (found := look(engine, "mirr")) is not None
    assert found.holder == others


def test_a_lock_whose_answer_was_lost_is_the_holders_own() -> None:
    engine = LockEngine()
    of(engine, MINE).take()
    again = of(engine, MINE)
    again.take()
    again.release()
    assert engine.held == {}


def test_a_lock_that_was_pruned_is_made_anew_and_the_episode_goes_on() -> None:
    engine = LockEngine()
    mine = of(engine, MINE)
    mine.take()
    engine.prune()
    mine.renew()
    assert (found := look(engine, "mirr")) is not None
    assert (found.holder, mine.reverted()) == (MINE, None)
    mine.release()
    assert engine.held == {}


def test_a_holder_that_stood_still_hears_who_has_taken_the_lab() -> None:
    engine = LockEngine()
    mine = of(engine, MINE)
    mine.take()
    engine.prune()
    theirs = of(engine, THEIRS)
    theirs.take()
    mine.renew()
    assert mine.reverted() == (
        "`mirr inject` (process 7 of user root on box) has taken the lab, whose lock stood still for 12 s"
    )
    mine.release()
    assert (found := look(engine, "mirr")) is not None
    assert found.holder == THEIRS


def test_a_holder_hears_once_of_each_revert_by_somebody_with_another_network() -> None:
    engine = LockEngine()
    mine = of(engine, MINE)
    mine.take()
    for _ in range(2):
        tell(engine, "mirr", reverted=False)
        mine.renew()
        assert mine.reverted() is None
        tell(engine, "mirr", reverted=True)
        mine.renew()
        assert (mine.reverted(), mine.reverted()) == ("somebody else has reverted the lab", None)


@linux
def test_a_revert_removes_a_lock_that_was_left_behind() -> None:
    engine = LockEngine()
    tell(engine, "mirr", reverted=True)  # there is none
    of(engine, replace(MINE, process=an_ended_process())).take()
    tell(engine, "mirr", reverted=False)
    assert engine.held == {}


@pytest.mark.parametrize("error", [ReadTimeout("slow"), DockerException("busy")])
def test_an_engine_that_does_not_answer_for_a_while_costs_no_lock(error: Exception) -> None:
    engine = LockEngine()
    mine = of(engine, MINE)
    mine.take()
    engine.fails_with = error
    mine.renew()
    engine.fails_with = None
    mine.renew()
    assert mine.reverted() is None
    engine.fails_with = error
    mine.release()  # it does not raise


def test_an_engine_that_keeps_no_lock_is_a_sentence() -> None:
    engine = LockEngine()
    engine.fails_with = DockerException("no space left on device")
    with pytest.raises(EngineError) as raised:
        of(engine, MINE).take()
    assert str(raised.value) == (
        "the engine does not keep a lock for lab mirr (no space left on device); next: mirr doctor"
    )


def test_a_container_that_only_has_the_name_of_a_lock_is_not_touched() -> None:
    engine = LockEngine()
    config = {"Image": "sha256:image", "Labels": {}, "HostConfig": {}}
    engine.create_container_from_config(config, name=lock_name("mirr"))
    for act in (of(engine, MINE).take, lambda: tell(engine, "mirr", reverted=True)):
        with pytest.raises(EngineError) as raised:
            act()
        assert str(raised.value) == (
            "container mirr.lock.mirr is not a lock of mirr, and has its name: not touched; "
            "next: rename it, or remove it yourself if it is yours"
        )
    assert len(engine.held) == 1


@pytest.mark.parametrize("label", ["", "{}", "[]", "[" * 100_000, '{"what": 1, "process": {"number": "x"}}'])
def test_a_lock_of_another_version_counts(label: str) -> None:
    engine = LockEngine()
    config = {"Image": "sha256:image", "Labels": {LABEL_LOCK: "mirr", LABEL_HOLDER: label}, "HostConfig": {}}
    engine.create_container_from_config(config, name=lock_name("mirr"))
    assert (found := look(engine, "mirr")) is not None
    assert (found.by, found.is_dead) == ("another version of mirr", False)


def test_an_engine_without_an_image_has_no_lab_and_no_lock() -> None:
    engine = LockEngine()
    engine.listed = []
    mine = of(engine, MINE)
    mine.take()
    assert engine.held == {}
    engine.listed = [{"Id": "sha256:other", "RepoTags": None}]
    mine.take()  # an image is built now
    assert len(engine.held) == 1


@pytest.mark.usefixtures("state_root")
def test_holding_a_lab_holds_it_in_its_engine_and_lets_it_go(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LockEngine()
    monkeypatch.setattr(lock, "the_engine", lambda *_: engine.client)
    with hold("mirr", "mirr episode") as held:
        assert (found := look(engine, "mirr")) is not None
        assert (found.holder and found.holder.what, found.holder and found.holder.process.number) == (
            "mirr episode",
            os.getpid(),
        )
        assert held() is None
    assert engine.held == {}


@pytest.mark.usefixtures("state_root")
def test_a_lab_that_somebody_else_holds_in_its_engine_is_free_again_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = LockEngine()
    engine.fails_with = DockerException("away")
    monkeypatch.setattr(lock, "the_engine", lambda *_: engine.client)
    with pytest.raises(EngineError), hold("mirr", "mirr episode"):
        pass
    with hold_here("mirr", "mirr up") as held:  # an engine may not be there yet
        assert isinstance(held, Held)


@pytest.mark.usefixtures("state_root")
def test_the_kill_switch_tells_the_holder_by_one_way_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was told twice would give up the next episode too."""
    engine = LockEngine()
    monkeypatch.setattr(lock, "the_engine", lambda *_: engine.client)
    with hold("mirr", "mirr episode"):
        before = look(engine, "mirr")
        assert before is not None
        tell_holder("mirr")
        assert ((now := look(engine, "mirr")) and now.told == before.told) is (sys.platform == "linux")
        monkeypatch.setattr(lock, "machine_wide_name", lambda lab: b"\0mirr another network")
        tell_holder("mirr")
        assert (now := look(engine, "mirr")) is not None
        assert now.told != before.told
    engine.fails_with = DockerException("away")
    tell_holder("mirr")  # the lab was reverted, whoever knows of it


def test_a_reaper_knows_its_own_lab_by_the_state_folder() -> None:
    engine = LockEngine()
    assert holder_in_engine(engine.client, "mirr", Path("/mine")) is None
    theirs = of(engine, MINE)
    theirs.take()
    if sys.platform == "linux":
        assert holder_in_engine(engine.client, "mirr", Path("/mine"), sleep=no_sleep) is None
    assert holder_in_engine(engine.client, "mirr", Path("/other"), sleep=lambda _: theirs.renew()) == str(MINE)
    assert holder_in_engine(engine.client, "mirr", Path("/other"), sleep=lambda _: None) is None  # it stands still


@linux
def test_a_process_is_known_to_have_ended_only_where_its_number_means_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    this = Process.this()
    assert not this.has_ended()
    assert replace(this, began="1").has_ended()  # its number was given to another process
    assert an_ended_process().has_ended()
    assert not replace(an_ended_process(), pids="another boot").has_ended()
    assert not replace(an_ended_process(), pids="").has_ended()
    monkeypatch.setattr(processes, "_pids", lambda: "")
    assert not this.has_ended()


@linux
def test_a_process_that_nobody_has_waited_for_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "print()"], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.read()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
        _, began = processes._state_and_began(child.pid)
        assert replace(Process.this(), number=child.pid, began=began).has_ended()
    finally:
        child.communicate()
