"""Episodes on the real lab by the command line: what a user would try, and what a user would do to it."""

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

from mirr.chaos.faults import faults
from mirr.chaos.journal import Journal
from mirr.env.vocabulary import Fault, FaultMode, Service
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from mirr.lab.footprint import differences
from mirr.lab.names import Role
from mirr.lab.state import state_dir
from tests.cli.fields import EPISODE_FIELDS
from tests.cli.on_real_lab import MIRR, made_of, wait_until

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
def episode_under_way(lab: str, fault: Fault) -> Iterator[subprocess.Popen[str]]:
    """An episode of `wait`, in a process of its own, whose fault has been injected."""
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


def test_both_worlds_play_the_same_scenario_and_print_the_same_fields(real_lab: str) -> None:
    arguments = ("--policy", "heuristic", "--fault", "bad_deploy:payments", "--seed", "7")
    docker = episode(real_lab, "--world", "docker", *arguments)
    sim = episode(real_lab, "--world", "sim", *arguments)
    assert docker["scenario"] == sim["scenario"] == {"faults": [{"mode": "bad_deploy", "service": "payments"}]}
    assert list(docker) == list(sim) == EPISODE_FIELDS
    assert {key for step in docker["trajectory"] for key in step} == {"action", "reward", "result"}


NEXT = {
    FaultMode.CRASHED: "crashed:gateway",
    FaultMode.MEMORY_LEAK: "memory_leak:auth",
    FaultMode.OVERLOADED: "overloaded:inventory",
    FaultMode.BAD_DEPLOY: "bad_deploy:orders",
}
"""What the next run plays after a run with this mode was killed: every mode once, on several services."""

GONE_TOO = {FaultMode.MEMORY_LEAK: Role.PROMETHEUS, FaultMode.OVERLOADED: Role.TRAFFIC}
"""What is killed together with the run. tests/cli/test_real_kills.py kills it under a run that goes on."""


@pytest.mark.parametrize("fault", faults(service=Service.ORDERS), ids=str)
def test_the_oracle_resolves_an_episode_after_a_run_that_was_killed_in_mid_fault(real_lab: str, fault: Fault) -> None:
    before = made_of(real_lab)
    with episode_under_way(real_lab, fault) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    if fault.mode in GONE_TOO:
        containers = LabContainers(connect(), real_lab)
        (containers.prometheus() if GONE_TOO[fault.mode] is Role.PROMETHEUS else containers.traffic()).kill()
    answer = episode(real_lab, "--world", "docker", "--policy", "oracle", "--fault", NEXT[fault.mode], "--seed", "1")
    assert answer["outcome"] == "resolved", answer
    assert answer["diagnosis"]["correct"] is True
    assert differences(before, made_of(real_lab)) == []
    assert Journal(state_dir(real_lab)).open_faults() == []


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_reverts_first(real_lab: str, told: signal.Signals) -> None:
    before = made_of(real_lab)
    with episode_under_way(real_lab, Fault(FaultMode.CRASHED, Service.PAYMENTS)) as process:
        process.send_signal(told)
        assert process.wait(timeout=20) == 130
    assert differences(before, made_of(real_lab)) == []
    assert Journal(state_dir(real_lab)).open_faults() == []


def test_a_lab_in_use_is_left_alone_by_a_second_episode(real_lab: str) -> None:
    with episode_under_way(real_lab, Fault(FaultMode.CRASHED, Service.PAYMENTS)) as process:
        done = mirr(real_lab, "episode", "--world", "docker", "--policy", "wait")
        assert done.returncode == 3
        assert done.stderr == (
            f"mirr: lab {real_lab} is in use by `mirr episode` (process {process.pid}); wait for it or end it\n"
        )
    assert mirr(real_lab, "revert").returncode == 0


def test_what_a_person_injects_shows_in_the_status_and_revert_puts_it_back(real_lab: str) -> None:
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


def test_a_replacement_cut_off_in_the_middle_is_finished_from_disk(real_lab: str) -> None:
    before = made_of(real_lab)
    assert mirr(real_lab, "inject", "bad_deploy", "payments").returncode == 0
    # As if the deploying process had been killed between taking the old container away and making the new one.
    LabContainers(connect(), real_lab).service(Service.PAYMENTS).remove(force=True)
    assert mirr(real_lab, "revert").stdout == "recreated payments at release 1.4.0\n"
    assert differences(before, made_of(real_lab)) == []


def test_a_fault_where_no_lab_is_up_says_how_to_start_it() -> None:
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
