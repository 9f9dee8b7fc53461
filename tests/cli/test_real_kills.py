"""The injector, the bridge, the load generator and Prometheus are killed at a random moment. Nothing is left behind.

`MIRR_KILLS` is the number of cases for each of them (default 1). `MIRR_SEED` is the seed of the cases.

Clock skew is out of scope: a container has the clock of its machine, and the lab must not change that clock.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from mirr.chaos.faults import faults
from mirr.chaos.journal import Journal
from mirr.env.vocabulary import FaultMode, Service, Tier
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from mirr.lab.names import Role
from mirr.lab.state import state_dir
from tests.cli.on_real_lab import kill_after, random_of_case, reverted_afterwards, start, wait_until

pytestmark = pytest.mark.docker

CASES = range(int(os.environ.get("MIRR_KILLS", "1")))
INJECTING_S = {FaultMode.CRASHED: 0.8, FaultMode.MEMORY_LEAK: 0.8, FaultMode.OVERLOADED: 3.8, FaultMode.BAD_DEPLOY: 1.3}
"""About how long `mirr inject` runs, with the start of its interpreter."""

ACTING_S = 0.5
"""About how long `mirr inject` changes containers after its journal entry. Half of the kills come in this time."""

EPISODE_S = 30.0  # an episode takes a minute; this part has the reset, the injection and some steps
MID_EPISODE_S = 6.0


@pytest.mark.parametrize("case", CASES)
def test_an_injector_killed_at_any_moment_leaves_nothing_behind(real_lab: str, case: int) -> None:
    draw = random_of_case("injector", case)
    fault = draw.choice(faults())
    journal = Journal(state_dir(real_lab))
    with reverted_afterwards(real_lab):
        process = start(real_lab, "inject", fault.mode, fault.service)
        if draw.random() < 0.5:
            kill_after(process, draw.uniform(0.0, ACTING_S), once=lambda: bool(journal.open_faults()))
        else:
            kill_after(process, draw.uniform(0.0, INJECTING_S[fault.mode]))


@pytest.mark.parametrize("case", CASES)
def test_a_bridge_killed_at_any_moment_of_an_episode_leaves_nothing_behind(real_lab: str, case: int) -> None:
    draw = random_of_case("bridge", case)
    played = ["--fault", str(draw.choice(faults())), "--seed", str(draw.randrange(1000))]
    if draw.random() < 0.5:
        played += ["--tier", Tier.HARD]  # with users who come more or less often, harmless deploys, perhaps a burst
    with reverted_afterwards(real_lab):
        process = start(real_lab, "episode", "--world", "docker", "--policy", "random", *played)
        kill_after(process, draw.uniform(0.0, EPISODE_S))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("role", [Role.TRAFFIC, Role.PROMETHEUS])
def test_an_episode_is_void_if_the_load_generator_or_prometheus_is_killed_and_nothing_is_left_behind(
    real_lab: str, role: Role, case: int
) -> None:
    draw = random_of_case(role, case)
    # A fault on the gateway fails all requests, and the episode could end before the kill.
    fault = draw.choice([one for one in faults() if one.service is not Service.GATEWAY])
    journal = Journal(state_dir(real_lab))
    with reverted_afterwards(real_lab):
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
