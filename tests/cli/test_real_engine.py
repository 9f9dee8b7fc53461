"""The engine restarts during an episode. The episode is void, and `mirr up` starts the lab again.

A restart stops every container on the machine. So the test exists only with MIRR_RESTART_ENGINE=1.
Even then it does not restart an engine that systemd runs or that others use.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from mirr.chaos.journal import Journal
from mirr.env.vocabulary import Fault, FaultMode, Service
from mirr.lab.engine import Machine, connect
from mirr.lab.footprint import differences
from mirr.lab.names import LABEL_LAB
from mirr.lab.state import state_dir
from tests.cli.on_real_lab import MIRR, assert_steady, made_of, start, wait_until

PID_FILE = Path("/var/run/docker.pid")
ENDS_WITHIN_S = 40.0  # a dockerd gives its containers ten seconds to end


def objections(machine: Machine, *, pid: int | None, others: list[str]) -> list[str]:
    """The reasons why this engine must not be restarted. The list is empty if a restart is allowed."""
    found = []
    if not machine.root:
        found.append("this user is not root")
    if machine.systemd:
        found.append("systemd runs the engine")
    if machine.host is not None:
        found.append(f"the engine is at {machine.host}")
    if pid is None:
        found.append(f"there is no {PID_FILE} with the engine's process")
    if others:
        found.append(f"others run on this engine: {', '.join(others)}")
    return found


def test_an_engine_that_others_use_is_not_restarted() -> None:
    by_hand = Machine(system="Linux", root=True, debian_family=True, systemd=False, engine_installed=True, host=None)
    assert objections(by_hand, pid=17, others=[]) == []
    assert objections(by_hand, pid=None, others=["mirr_auth_1"]) == [
        "there is no /var/run/docker.pid with the engine's process",
        "others run on this engine: mirr_auth_1",
    ]
    with_systemd = Machine(
        system="Linux", root=False, debian_family=True, systemd=True, engine_installed=True, host="tcp://10.0.0.1"
    )
    assert objections(with_systemd, pid=17, others=[]) == [
        "this user is not root",
        "systemd runs the engine",
        "the engine is at tcp://10.0.0.1",
    ]


def engine_pid() -> int | None:
    """The process id of the running engine, else None."""
    try:
        pid = int(PID_FILE.read_text())
        is_engine = Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd"
    except (OSError, ValueError):
        return None
    return pid if is_engine else None


if os.environ.get("MIRR_RESTART_ENGINE") == "1":

    @pytest.mark.docker
    def test_a_restart_of_the_engine_makes_the_episode_void_and_up_starts_the_lab_again(real_lab: str) -> None:
        running = connect().containers.list()
        others = sorted(str(one.name) for one in running if one.labels.get(LABEL_LAB) != real_lab)
        pid = engine_pid()
        if found := objections(Machine.this(), pid=pid, others=others):
            pytest.fail(f"not restarted: {'; '.join(found)}; next: unset MIRR_RESTART_ENGINE, or mirr down")
        assert pid is not None
        before = made_of(real_lab)
        journal = Journal(state_dir(real_lab))
        fault = str(Fault(FaultMode.BAD_DEPLOY, Service.PAYMENTS))
        process = start(real_lab, "episode", "--world", "docker", "--policy", "wait", "--fault", fault, "--json")
        try:
            wait_until(lambda: bool(journal.open_faults()), "an injection")
            os.kill(pid, signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 3, err
        assert json.loads(out)["outcome"] == "void"
        wait_until(lambda: engine_pid() is None, "the engine's end", timeout_s=ENDS_WITHIN_S)
        done = subprocess.run([MIRR, "up", "--lab", real_lab], capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        assert differences(before, made_of(real_lab)) == []
        assert journal.open_faults() == []
        assert_steady(real_lab)
