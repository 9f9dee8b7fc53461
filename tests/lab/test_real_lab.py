"""The lab on a real engine: what `up`, `down` and the other commands do to it, and to nothing else.

tests/test_real_wheel.py brings a second lab up beside it, and removes that lab.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from mirr.env.vocabulary import STEADY_RELEASE, Service
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from mirr.lab.names import LABEL_LAB, LABEL_ROLE, LABEL_SERVICE, service_image
from mirr.lab.ownership import COMPOSE_PROJECT
from mirr.lab.up_and_down import take_down
from tests.cli.on_real_lab import labelled
from tests.conftest import REAL_LAB

pytestmark = pytest.mark.docker

SECOND_LAB = "mirr-test-two"
MIRR = str(Path(sys.executable).with_name("mirr"))


def mirr(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_PORT") and key != "LAB"}
    return subprocess.run(
        [MIRR, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
        check=False,
    )


def json_of(*arguments: str) -> dict[str, Any]:
    done = mirr(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def status_of(lab: str) -> dict[str, Any]:
    """What `mirr status` says. Its exit code also says whether the lab is in steady state at that moment. Nobody can
    promise that while the command itself starts. `mirr up` has waited for it."""
    done = mirr("status", "--lab", lab, "--json")
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def client() -> DockerClient:
    return connect()


@pytest.fixture
def second_lab(real_lab: str, client: DockerClient) -> Iterator[str]:
    """The name of a lab that is down before and after the test. The first lab has built the images already."""
    take_down(SECOND_LAB, client)
    yield SECOND_LAB
    take_down(SECOND_LAB, client)


def test_a_second_up_keeps_the_running_containers(real_lab: str, client: DockerClient) -> None:
    before = {str(one.name): str(one.id) for one in LabContainers(client, real_lab).all()}
    addresses = json_of("up", "--lab", real_lab)
    assert {str(one.name): str(one.id) for one in LabContainers(client, real_lab).all()} == before
    assert addresses["gateway_url"] == LabContainers(client, real_lab).gateway_url


def test_up_starts_containers_that_somebody_removed_or_stopped(real_lab: str, client: DockerClient) -> None:
    found = LabContainers(client, real_lab)
    found.service(Service.ORDERS).remove(force=True)
    found.traffic().kill()
    json_of("up", "--lab", real_lab)
    assert found.service(Service.ORDERS).status == "running"
    assert status_of(real_lab)["services"][Service.ORDERS]["up"]


def test_down_keeps_strangers_that_have_some_of_our_labels(second_lab: str, client: DockerClient) -> None:
    """More cases with strangers are in tests/chaos/test_real_safety.py."""
    nearly = {LABEL_LAB: second_lab, LABEL_ROLE: "service", LABEL_SERVICE: "auth"}
    strangers = [
        client.containers.create(
            service_image(Service.AUTH, STEADY_RELEASE), entrypoint=["sleep", "infinity"], labels=labels
        )
        for labels in (
            {LABEL_LAB: f"{second_lab}x"},
            {f"{LABEL_LAB}s": second_lab},
            {"lab": second_lab},
            {LABEL_LAB: second_lab},
            nearly,
            nearly | {COMPOSE_PROJECT: second_lab},
        )
    ]
    volume = client.volumes.create(f"{second_lab}_auth-data", labels={LABEL_LAB: f"{second_lab}x"})
    try:
        removed = json_of("down", "--lab", second_lab)
        assert (removed["containers"], removed["networks"], removed["volumes"]) == (0, 0, 0)
        left = {str(one.id) for one in client.containers.list(all=True)}
        assert {str(stranger.id) for stranger in strangers} <= left
        assert client.volumes.get(str(volume.name))
    finally:
        for stranger in strangers:
            stranger.remove(force=True)
        volume.remove()


def test_down_succeeds_if_the_lab_does_not_exist(second_lab: str) -> None:
    done = mirr("down", "--lab", second_lab)
    assert (done.returncode, done.stdout) == (0, f"lab {second_lab} is not there; nothing to remove\n")


def test_the_error_for_a_taken_port_names_the_other_lab(real_lab: str, second_lab: str, client: DockerClient) -> None:
    port = LabContainers(client, real_lab).ports.gateway
    done = subprocess.run(
        [MIRR, "up", "--lab", second_lab],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"GATEWAY_PORT": str(port)},
        check=False,
    )
    assert done.returncode == 3
    assert f"port {port} for the lab's gateway is taken by lab {REAL_LAB}; choose another: " in done.stderr
    assert labelled(client, second_lab) == []


def test_doctor_passes_on_a_lab_that_is_up(real_lab: str) -> None:
    checks = {check["code"]: check["status"] for check in json_of("doctor", "--lab", real_lab)["checks"]}
    assert {code: checks[code] for code in ("engine", "compose", "images", "ports", "lab")} == dict.fromkeys(
        ("engine", "compose", "images", "ports", "lab"), "pass"
    )


def test_containers_run_as_a_normal_user_without_privileges(real_lab: str, client: DockerClient) -> None:
    for one in LabContainers(client, real_lab).all():
        host = one.attrs["HostConfig"]
        assert one.attrs["Config"]["User"] not in ("", "0", "root")
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert host["Privileged"] is False
        assert host["PidsLimit"] <= 64
        assert not any("docker.sock" in str(mount) for mount in one.attrs["Mounts"])


def test_logs_prints_the_json_lines_of_the_service(real_lab: str) -> None:
    done = mirr("logs", "auth", "--lab", real_lab, "--lines", "5")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines
    assert {line["service"] for line in lines} == {"auth"}
