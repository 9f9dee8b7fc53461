"""The command line on the real lab: episodes, kills, injections and reverts, as a user does them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from mirr.chaos.journal import Journal
from mirr.env.vocabulary import Fault, FaultMode, Service
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from mirr.lab.footprint import differences
from mirr.lab.state import state_dir
from tests.cli.fields import EPISODE_FIELDS
from tests.cli.on_real_lab import MIRR, identity, made_of, strangers, wait_until

pytestmark = pytest.mark.docker


def command(lab: str, *arguments: str) -> list[str]:
    return [MIRR, *arguments, "--lab", lab]


def mirr(lab: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(lab, *arguments), capture_output=True, text=True, timeout=240, check=False)


def episode(lab: str, *arguments: str) -> dict[str, Any]:
    done = mirr(lab, "episode", "--json", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextmanager
def running_episode(lab: str, fault: Fault) -> Iterator[subprocess.Popen[str]]:
    """An episode with the policy `wait` in a new process. Its fault has been injected."""
    journal = Journal(state_dir(lab))
    assert not journal.open_faults()
    process = subprocess.Popen(
        command(lab, "episode", "--world", "docker", "--policy", "wait", "--fault", str(fault), "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: [entry.fault for entry in journal.open_faults()] == [fault], "the injection")
        yield process
    finally:
        process.kill()
        process.wait()


def test_both_worlds_play_the_same_scenario_and_print_the_same_fields_even_after_a_run_was_killed(
    real_lab: str,
) -> None:
    """The killed run leaves a leak behind. A killed crash and a killed deploy leave no traffic behind: see
    tests/chaos/test_real_safety.py and test_real_kills.py. Then both parts that measure are killed too. The episode
    does nothing to containers that only look like the service."""
    before = made_of(real_lab)
    with running_episode(real_lab, Fault(FaultMode.MEMORY_LEAK, Service.ORDERS)) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    containers = LabContainers(connect(), real_lab)
    containers.prometheus().kill()
    containers.traffic().kill()
    arguments = ("--policy", "oracle", "--fault", "overloaded:inventory", "--seed", "1")
    with strangers(real_lab, Service.INVENTORY) as others:
        found = [identity(one) for one in others]
        docker = episode(real_lab, "--world", "docker", *arguments)
        assert [identity(one) for one in others] == found
    assert docker["outcome"] == "resolved", docker
    assert docker["diagnosis"]["correct"] is True
    sim = episode(real_lab, "--world", "sim", *arguments)
    assert docker["scenario"] == sim["scenario"] == {"faults": [{"mode": "overloaded", "service": "inventory"}]}
    assert list(docker) == list(sim) == EPISODE_FIELDS
    assert {key for step in docker["trajectory"] for key in step} == {"action", "reward", "result"}
    assert differences(before, made_of(real_lab)) == []
    assert Journal(state_dir(real_lab)).open_faults() == []


@pytest.mark.parametrize("end_signal", [signal.SIGINT, signal.SIGTERM])
def test_a_run_refuses_a_second_one_and_reverts_when_it_gets_a_signal(
    real_lab: str, end_signal: signal.Signals
) -> None:
    before = made_of(real_lab)
    with running_episode(real_lab, Fault(FaultMode.CRASHED, Service.PAYMENTS)) as process:
        second = mirr(real_lab, "episode", "--world", "docker", "--policy", "wait")
        assert second.returncode == 3
        assert second.stderr == (
            f"mirr: lab {real_lab} is in use by `mirr episode` (process {process.pid}); wait for it or end it\n"
        )
        process.send_signal(end_signal)
        assert process.wait(timeout=20) == 130
    assert differences(before, made_of(real_lab)) == []
    assert Journal(state_dir(real_lab)).open_faults() == []


def test_the_status_shows_an_injected_fault_and_revert_ends_it(real_lab: str) -> None:
    before = made_of(real_lab)
    injected = mirr(real_lab, "inject", "bad_deploy", "payments", "--json")
    assert json.loads(injected.stdout)["fault"] == "bad_deploy:payments"
    status = mirr(real_lab, "status", "--json")
    assert status.returncode == 1
    found = json.loads(status.stdout)
    assert (found["steady"], found["faults"]) == (False, ["bad_deploy:payments"])
    assert found["services"]["payments"]["release"] == "1.5.0"
    began = time.monotonic()
    assert mirr(real_lab, "revert").stdout == "recreated payments at release 1.4.0\n"
    assert time.monotonic() - began < 10.0
    assert differences(before, made_of(real_lab)) == []


def test_revert_recreates_a_container_that_a_killed_deploy_has_removed(real_lab: str) -> None:
    before = made_of(real_lab)
    assert mirr(real_lab, "inject", "bad_deploy", "payments").returncode == 0
    # As if the deploy was killed after it removed the old container and before it created the new one.
    LabContainers(connect(), real_lab).service(Service.PAYMENTS).remove(force=True)
    assert mirr(real_lab, "revert").stdout == "recreated payments at release 1.4.0\n"
    assert differences(before, made_of(real_lab)) == []


def test_an_injection_into_a_missing_lab_says_how_to_start_it() -> None:
    done = mirr("mirr-absent", "inject", "crashed", "auth")
    assert done.returncode == 3
    assert done.stderr == ("mirr: lab mirr-absent is not up; start it with: make up LAB=mirr-absent\n")


def test_injected_traffic_ends_with_its_lease(real_lab: str) -> None:
    done = mirr(real_lab, "inject", "memory_leak", "orders", "--lease", "2")
    assert done.returncode == 0, done.stderr
    url = LabContainers(connect(), real_lab).traffic_url

    def campaigns() -> object:
        return requests.get(f"{url}/campaigns", timeout=2).json()["campaigns"]

    wait_until(lambda: campaigns() == [], "the end of the campaign", timeout_s=10.0)
    assert mirr(real_lab, "revert").returncode == 0
