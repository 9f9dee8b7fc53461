"""The lock of a lab in a real engine, two state folders on one engine, and a lab whose containers were all stopped."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mirr.bridge.assembly import assemble_reverter, open_docker_world
from mirr.env.vocabulary import Wait
from mirr.env.world import WorldError
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from mirr.lab.engine_lock import LEASE_S, EngineLock, Holder, look, tell
from mirr.lab.processes import Process
from tests.cli.on_real_lab import MIRR, assert_steady, wait_until

pytestmark = pytest.mark.docker

ELSEWHERE = replace(Process.this(), host="box", pids="another machine")


@pytest.fixture
def theirs(real_lab: str) -> Iterator[EngineLock]:
    """The lock of somebody who shares nothing but the engine."""
    lock = EngineLock(connect().api, real_lab, Holder(what="mirr episode", process=ELSEWHERE, state="/theirs"))
    lock.take()
    yield lock
    lock.release()


@pytest.fixture(autouse=True)
def reverted(real_lab: str) -> Iterator[None]:
    yield
    assemble_reverter(real_lab).revert()


def mirr(lab: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MIRR, *arguments, "--lab", lab],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, **variables},
    )


def test_nobody_who_reaches_the_engine_can_work_on_a_lab_that_is_in_use(real_lab: str, theirs: EngineLock) -> None:
    done = mirr(real_lab, "inject", "crashed", "auth")
    assert (done.returncode, done.stderr) == (
        3,
        f"mirr: lab {real_lab} is in use by `mirr episode` ({ELSEWHERE}); wait for it or end it\n",
    )
    checks = json.loads(mirr(real_lab, "doctor", "--json").stdout)["checks"]
    assert {"code": "lock", "status": "pass"}.items() <= next(one for one in checks if one["code"] == "lock").items()
    theirs.release()
    assert mirr(real_lab, "inject", "crashed", "auth").returncode == 0


def test_a_lock_is_taken_and_let_go_in_less_time_than_a_step(real_lab: str) -> None:
    lock = EngineLock(connect().api, real_lab, Holder(what="pytest", process=ELSEWHERE, state="/mine"))
    began = time.monotonic()
    lock.take()
    lock.release()
    took_s = time.monotonic() - began
    print(f"taken and let go in {took_s:.3f} s")
    assert took_s < 2.0


def test_a_pruned_lock_comes_back_and_a_revert_is_heard(real_lab: str, theirs: EngineLock) -> None:
    api = connect().api
    found = look(api, real_lab)
    assert found is not None
    api.remove_container(found.id)
    wait_until(lambda: look(api, real_lab) is not None, "a lock made anew", timeout_s=LEASE_S)
    assert theirs.reverted() is None
    tell(api, real_lab, reverted=True)
    wait_until(lambda: theirs.reverted() == "somebody else has reverted the lab", "the notice", timeout_s=LEASE_S)


def test_a_fault_of_one_user_that_another_reverts_is_not_listed_any_more(real_lab: str, tmp_path: Path) -> None:
    mine, yours = str(tmp_path / "mine"), str(tmp_path / "yours")
    assert mirr(real_lab, "inject", "overloaded", "auth", MIRR_STATE_DIR=mine).returncode == 0
    listed = json.loads(mirr(real_lab, "status", "--json", MIRR_STATE_DIR=mine).stdout)["faults"]
    assert listed == ["overloaded:auth"]
    assert mirr(real_lab, "revert", MIRR_STATE_DIR=yours).returncode == 0
    assert json.loads(mirr(real_lab, "status", "--json", MIRR_STATE_DIR=mine).stdout)["faults"] == []


def test_an_episode_whose_containers_are_all_stopped_is_void_in_words_and_up_mends_the_lab(real_lab: str) -> None:
    world = open_docker_world(real_lab, what="pytest")
    try:
        world.restore(0)
        for one in LabContainers(connect(), real_lab).all():
            one.stop(timeout=0)
        world.apply(Wait())
        world.advance(2.0)
        with pytest.raises(WorldError) as raised:
            world.observe()
        text = str(raised.value)
        assert text.startswith(f"what the services of lab {real_lab} need does not run: Prometheus, ")
        assert text.endswith(f"next: mirr up --lab {real_lab}")
    finally:
        world.close()
    done = mirr(real_lab, "up")
    assert done.returncode == 0, done.stderr
    assert_steady(real_lab)
