"""Safety on the real lab: strangers are not touched, the kill switch works from any state, and the reaper reverts the
faults of a killed process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker import DockerClient
from docker.models.containers import Container

from mirr.bridge.assembly import assemble_reverter
from mirr.chaos.journal import Journal
from mirr.chaos.leases import LEASE_S
from mirr.env.vocabulary import FaultMode, Service
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from mirr.lab.footprint import differences
from mirr.lab.state import state_dir
from tests.cli.on_real_lab import MIRR, identity, made_of, strangers, wait_until

pytestmark = pytest.mark.docker

REAPER_REVERTS_WITHIN_S = LEASE_S + 9.0  # what is left of the lease, and a new container on a slow machine
REVERT_WITHIN_S = 10.0


def mirr(lab: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MIRR, *arguments, "--lab", lab], capture_output=True, text=True, timeout=120, check=False, env=_environment()
    )


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.endswith("_PORT") and key != "LAB"}


@pytest.fixture(autouse=True)
def reverted(real_lab: str) -> Iterator[None]:
    """Revert the lab after each test, so that a failed test does not affect the next one."""
    yield
    assemble_reverter(real_lab).revert()


@pytest.fixture
def client() -> DockerClient:
    return connect()


@pytest.fixture
def others(real_lab: str) -> Iterator[list[Container]]:
    with strangers(real_lab, Service.AUTH) as started:
        yield started


# tests/cli/test_real_episodes.py plays an episode beside strangers.
def test_no_command_touches_strangers(real_lab: str, client: DockerClient, others: list[Container]) -> None:
    before = [identity(one) for one in others]
    for mode in (FaultMode.MEMORY_LEAK, FaultMode.BAD_DEPLOY):  # one fault uses traffic, the other one uses Docker
        done = mirr(real_lab, "inject", mode, "auth")
        assert done.returncode == 0, done.stderr
        done = mirr(real_lab, "revert")
        assert done.returncode == 0, done.stderr
    # Compose treats every container with its project label as its own, so `up` refuses before it calls Compose.
    refused = mirr(real_lab, "up")
    assert refused.returncode == 3
    assert f"Compose would take what is not ours for lab {real_lab}: container {real_lab}_auth_9 (" in refused.stderr
    checks = {one["code"]: one for one in json.loads(mirr(real_lab, "doctor", "--json").stdout)["checks"]}
    assert checks["strangers"]["status"] == "warn"
    assert all(f"{real_lab}_auth_{number}" in checks["strangers"]["text"] for number in (7, 8, 9))
    planned = json.loads(mirr(real_lab, "down", "--dry-run", "--json").stdout)["plan"]
    assert {one["id"] for one in planned if one["kind"] == "container"} == {
        str(one.id)[:12] for one in LabContainers(client, real_lab).all()
    }
    assert not {one["id"] for one in planned} & {str(one.id)[:12] for one in others}
    assert [identity(one) for one in others] == before


def pause_everything(lab: LabContainers) -> None:
    for one in (lab.traffic(), lab.service(Service.AUTH), lab.sandbox(Service.ORDERS), lab.prometheus()):
        one.pause()


def stop_the_processes(lab: LabContainers) -> None:
    for one in (lab.traffic(), lab.service(Service.INVENTORY), lab.prometheus()):
        one.kill("SIGSTOP")


def kill_the_measuring_parts(lab: LabContainers) -> None:
    lab.prometheus().remove(force=True)
    lab.traffic().kill()
    lab.sandbox(Service.ORDERS).kill()


def remove_many_parts(lab: LabContainers) -> None:
    for one in (lab.service(Service.PAYMENTS), lab.sandbox(Service.AUTH), lab.traffic()):
        one.remove(force=True)


def change_limits(lab: LabContainers) -> None:
    lab.service(Service.INVENTORY).update(
        cpu_quota=5000, mem_limit="96m", memswap_limit="96m", restart_policy={"Name": "always"}
    )
    lab.service(Service.AUTH).update(cpu_shares=512)
    lab.traffic().update(cpu_quota=20000)


@pytest.mark.parametrize(
    "change_lab", [pause_everything, stop_the_processes, kill_the_measuring_parts, remove_many_parts, change_limits]
)
def test_the_kill_switch_works_from_any_state(real_lab: str, change_lab: Callable[[LabContainers], None]) -> None:
    before = made_of(real_lab)
    change_lab(LabContainers(connect(), real_lab))
    began = time.monotonic()
    done = mirr(real_lab, "revert")
    took_s = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    assert took_s < REVERT_WITHIN_S
    assert differences(before, made_of(real_lab)) == []
    assert mirr(real_lab, "revert").stdout == "nothing to revert\n"


def test_the_reaper_reverts_the_faults_of_a_killed_process(real_lab: str, tmp_path: Path) -> None:
    faults = {"bad_deploy:orders", "memory_leak:payments"}
    pack = tmp_path / "two.yaml"
    pack.write_text(
        "id: two\ntitle: Two problems\nsymptom: Orders fail.\ndifficulty: hard\nseed: 1\nfaults:\n"
        + "".join(f"  - fault: {fault}\n" for fault in sorted(faults))
    )
    assert mirr(real_lab, "up").returncode == 0  # an episode begins in steady state
    before = made_of(real_lab)
    journal = Journal(state_dir(real_lab))
    episode = [MIRR, "episode", "--world", "docker", "--policy", "wait", "--scenario", str(pack), "--lab", real_lab]
    process = subprocess.Popen(episode, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: {str(one.fault) for one in journal.open_faults()} == faults, "the faults", timeout_s=60.0)
        # While the process runs, it renews the lease, and the faults last longer than one lease.
        first_until = journal.open_faults()[0].until
        wait_until(lambda: time.time() > first_until, "the end of the first lease", timeout_s=2 * LEASE_S)
        assert process.poll() is None
        assert {str(one.fault) for one in journal.open_faults()} == faults
        assert journal.open_faults()[0].until > first_until
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    began = time.monotonic()
    wait_until(lambda: journal.open_faults() == [], "reverting", timeout_s=2 * REAPER_REVERTS_WITHIN_S)
    assert time.monotonic() - began < REAPER_REVERTS_WITHIN_S
    assert differences(before, made_of(real_lab)) == []


def test_a_fault_without_traffic_is_also_reverted_when_its_lease_ends(real_lab: str) -> None:
    before = made_of(real_lab)
    done = mirr(real_lab, "inject", "bad_deploy", "auth", "--lease", "3")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: Journal(state_dir(real_lab)).open_faults() == [], "the end of the lease", timeout_s=15.0)
    assert differences(before, made_of(real_lab)) == []
