"""Killed at any moment: the injector, the bridge, the load generator, Prometheus. Nothing is left behind.

`MIRR_KILLS` says how many cases of each are played (1 if it says nothing), `MIRR_SEED` which. The clock skew of a
container is out of scope: it shares its clock with the machine, which is not the lab's to change.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from mirr.chaos.faults import faults
from mirr.chaos.journal import Journal
from mirr.env.vocabulary import FaultMode, Service
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from mirr.lab.names import Role
from mirr.lab.state import state_dir
from tests.cli.on_real_lab import drawn, kill_after, left_as_found, start, wait_until

pytestmark = pytest.mark.docker

CASES = range(int(os.environ.get("MIRR_KILLS", "1")))
INJECTING_S = {FaultMode.CRASHED: 1.5, FaultMode.MEMORY_LEAK: 1.5, FaultMode.OVERLOADED: 4.5, FaultMode.BAD_DEPLOY: 2.0}
"""About how long `mirr inject` runs, from the start of its interpreter on."""

ACTING_S = 0.5
"""About how long it acts on Docker, from its line in the journal on: there a kill hurts most, and half of them come."""

EPISODE_S = 20.0  # of a whole minute: the reset, the injection, and some steps
MID_EPISODE_S = 6.0


@pytest.mark.parametrize("case", CASES)
def test_an_injector_killed_at_any_moment_leaves_nothing_behind(real_lab: str, case: int) -> None:
    draw = drawn("injector", case)
    fault = draw.choice(faults())
    journal = Journal(state_dir(real_lab))
    with left_as_found(real_lab):
        process = start(real_lab, "inject", fault.mode, fault.service)
        if draw.random() < 0.5:
            kill_after(process, draw.uniform(0.0, ACTING_S), once=lambda: bool(journal.open_faults()))
        else:
            kill_after(process, draw.uniform(0.0, INJECTING_S[fault.mode]))


@pytest.mark.parametrize("case", CASES)
def test_a_bridge_killed_at_any_moment_of_an_episode_leaves_nothing_behind(real_lab: str, case: int) -> None:
    draw = drawn("bridge", case)
    played = ("--fault", str(draw.choice(faults())), "--seed", str(draw.randrange(1000)))
    with left_as_found(real_lab):
        process = start(real_lab, "episode", "--world", "docker", "--policy", "random", *played)
        kill_after(process, draw.uniform(0.0, EPISODE_S))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("role", [Role.TRAFFIC, Role.PROMETHEUS])
def test_what_measures_killed_in_mid_episode_voids_it_and_leaves_nothing_behind(
    real_lab: str, role: Role, case: int
) -> None:
    draw = drawn(role, case)
    # Without the gateway nobody is served, and the episode could end before what measures does.
    fault = draw.choice([one for one in faults() if one.service is not Service.GATEWAY])
    journal = Journal(state_dir(real_lab))
    with left_as_found(real_lab):
        process = start(real_lab, "episode", "--world", "docker", "--policy", "wait", "--fault", str(fault), "--json")
        try:
            wait_until(lambda: bool(journal.open_faults()), "an injection")
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=draw.uniform(0.0, MID_EPISODE_S))
            containers = LabContainers(connect(), real_lab)
            (containers.traffic() if role is Role.TRAFFIC else containers.prometheus()).kill()
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 3, err
        assert json.loads(out)["outcome"] == "void"
