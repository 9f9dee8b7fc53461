"""The fleet with a fake engine: what it refuses, and the settings of the containers that it creates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound
from requests.exceptions import ReadTimeout

from mirr.chaos import blueprints
from mirr.chaos.docker_fleet import DockerFleet
from mirr.chaos.errors import FleetError
from mirr.chaos.journal import Journal
from mirr.env.vocabulary import Service
from mirr.lab.wiring import known_networks
from tests.chaos.engine import LabEngine
from tests.fakes.lock_engine import refused

OURS = {
    "mirr.lab": "mirr",
    "mirr.role": "service",
    "mirr.service": "auth",
    "com.docker.compose.project": "mirr",
    "com.docker.compose.service": "auth",
}
MADE: dict[str, Any] = {
    "Name": "/mirr_auth_1",
    "Config": {"Image": "mirr/auth:1.4.0", "Hostname": "abc", "Labels": {**OURS, "mirr.cpu-quota-us": "15000"}},
    "HostConfig": {
        "CpuQuota": 15000,
        "CpuShares": 0,
        "Memory": 100,
        "MemorySwap": 100,
        "PidsLimit": 64,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "NetworkMode": "container:old",
    },
    "Mounts": [],
    "NetworkSettings": {"Networks": {"mirr_default": {"Aliases": ["auth", "abc"]}}},
}


class OneContainerApi:
    """A fake engine with one container. It counts the acts on that container."""

    def __init__(self, labels: dict[str, str], image: str) -> None:
        self.acts = 0
        self._row: dict[str, Any] = {
            "Id": "0123456789abcdef",
            "Names": ["/mirr_auth_1"],
            "Labels": labels,
            "Image": image,
            "State": "running",
            "Created": 1,
        }

    def containers(self, *, filters: dict[str, list[str]], **_: bool) -> list[dict[str, Any]]:
        wanted = [label.partition("=")[::2] for label in filters["label"]]
        labels: dict[str, str] = self._row["Labels"]
        return [self._row] if all(labels.get(key) == value for key, value in wanted) else []

    def kill(self, container: str, **_: object) -> None:
        self.acts += 1

    restart = unpause = exec_create = kill


@pytest.mark.parametrize(
    ("labels", "image", "why"),
    [
        ({"com.docker.compose.project": "other"}, "mirr/auth:1.4.0", "Compose did not make it for project mirr"),
        ({}, "nginx:latest", "its image is none of mirr/auth"),
    ],
)
def test_a_container_with_our_labels_that_is_not_ours_is_refused(
    tmp_path: Path, labels: dict[str, str], image: str, why: str
) -> None:
    api = OneContainerApi(OURS | labels, image)
    fleet = DockerFleet(api, "mirr", Journal(tmp_path))
    assert fleet.state(Service.AUTH) is None
    for act in (fleet.kill, fleet.freeze, fleet.thaw, fleet.restart, fleet.unpause):
        with pytest.raises(FleetError) as raised:
            act(Service.AUTH)
        assert str(raised.value) == (
            f"container mirr_auth_1 ({why}) claims to be auth of lab mirr but is not the lab's own: not touched; "
            "next: mirr doctor"
        )
    assert api.acts == 0


def test_the_error_for_a_service_without_a_container_names_the_next_command(tmp_path: Path) -> None:
    fleet = DockerFleet(OneContainerApi({}, "nginx"), "mirr", Journal(tmp_path))
    with pytest.raises(FleetError) as raised:
        fleet.kill(Service.AUTH)
    assert str(raised.value) == "auth has no container in lab mirr; next: mirr up --lab mirr"


def test_changed_limits_are_found_and_an_empty_limit_may_be_written_as_none_or_zero() -> None:
    host = MADE["HostConfig"] | {"Memory": 200, "CpuQuota": 30000, "CpuShares": None}
    assert blueprints.drifted(MADE, host, quota_too=False) == ("Memory",)
    assert blueprints.drifted(MADE, host, quota_too=True) == ("CpuQuota", "Memory")
    assert blueprints.drifted(None, host, quota_too=True) == ()


def test_memory_and_swap_are_set_together() -> None:
    assert blueprints.updates_back(MADE, ("Memory",)) == {"mem_limit": 100, "memswap_limit": 100}


@pytest.mark.parametrize("field", ["CpuShares", "PidsLimit"])
def test_a_limit_that_an_update_cannot_set_gives_no_update(field: str) -> None:
    assert blueprints.updates_back(MADE, (field,)) is None


def test_a_fresh_container_has_the_limits_of_the_first_container() -> None:
    current = MADE | {"HostConfig": MADE["HostConfig"] | {"CpuQuota": 30000, "Memory": 999}}
    fresh = blueprints.of_release(current, MADE, "1.4.0", previous=None, fresh=True, sandbox="new")
    assert (fresh["HostConfig"]["CpuQuota"], fresh["HostConfig"]["Memory"]) == (15000, 100)
    assert fresh["HostConfig"]["NetworkMode"] == "container:new"
    assert fresh["Labels"] == MADE["Config"]["Labels"]


def test_a_deployed_container_keeps_its_quota_and_has_a_label_with_the_previous_release() -> None:
    current = MADE | {"HostConfig": MADE["HostConfig"] | {"CpuQuota": 30000}}
    deployed = blueprints.of_release(current, MADE, "1.5.0", previous="1.4.0", fresh=False, sandbox="new")
    assert deployed["Image"] == "mirr/auth:1.5.0"
    assert deployed["HostConfig"]["CpuQuota"] == 30000
    assert deployed["Labels"]["mirr.previous-release"] == "1.4.0"
    assert deployed["Labels"]["mirr.redeployed"] == "yes"


def test_a_recreated_part_keeps_its_aliases_without_the_old_id() -> None:
    recreated = blueprints.of_part(MADE, known_networks(MADE))
    assert recreated["NetworkingConfig"] == {"EndpointsConfig": {"mirr_default": {"Aliases": ["auth"]}}}
    assert "Hostname" not in recreated


class FreezableEngine(LabEngine):
    """An engine where processes can be signalled from inside their containers."""

    def __init__(self, code: int = 0) -> None:
        super().__init__()
        self.stopped: set[str] = set()
        self._code = code

    def exec_create(self, container: str, command: list[str]) -> dict[str, str]:
        shell, option, line = command
        assert (shell, option) == ("sh", "-c")
        match line:
            case "kill -s STOP -- -1":
                self.stopped.add(container)
            case "kill -s CONT -- -1":
                self.stopped.discard(container)
            case _:
                raise AssertionError(line)
        return {"Id": container}

    def exec_start(self, asked: str) -> bytes:
        return b"" if self._code == 0 else b"kill: no such process\n"

    def exec_inspect(self, asked: str) -> dict[str, int]:
        return {"ExitCode": self._code}

    def top(self, container: str, **_: object) -> dict[str, list[list[str]]]:
        return {"Processes": [["1", "Ss"], ["7", "Tl" if container in self.stopped else "Sl"]]}


def test_a_process_is_frozen_from_inside_its_container_and_the_state_says_so(tmp_path: Path) -> None:
    engine = FreezableEngine()
    fleet = DockerFleet(engine, "mirr", Journal(tmp_path))

    def hung() -> list[Service]:
        return [service for service in Service if (state := fleet.state(service)) is not None and state.hung]

    fleet.freeze(Service.AUTH)
    assert hung() == [Service.AUTH]
    fleet.thaw(Service.AUTH)
    assert hung() == []


def test_a_signal_that_does_not_reach_the_process_is_an_error(tmp_path: Path) -> None:
    fleet = DockerFleet(FreezableEngine(code=1), "mirr", Journal(tmp_path))
    with pytest.raises(FleetError) as raised:
        fleet.freeze(Service.AUTH)
    assert str(raised.value) == (
        "could not send auth SIGSTOP in lab mirr: kill answered 1 'kill: no such process'; next: mirr status"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refused(409, "Cannot restart container 7f"), "the engine refused: Cannot restart container 7f"),
        (ReadTimeout("HTTPConnectionPool(host='localhost'): Read timed out."), "the engine did not answer in time"),
    ],
)
def test_what_the_engine_refuses_is_told_without_the_text_of_its_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    engine = LabEngine()

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(engine, "restart", fails)
    with pytest.raises(FleetError) as raised:
        DockerFleet(engine, "mirr", Journal(tmp_path)).restart(Service.AUTH)
    assert str(raised.value) == f"could not restart auth in lab mirr: {words}; next: mirr doctor"


class SlowToRemove(LabEngine):
    """A fake engine that removes a container already when it is asked to, and has removed it when somebody waits."""

    def remove_container(self, container: str, *, force: bool) -> None:
        raise refused(409, f"removal of container {container} is already in progress")

    def wait(self, container: str, *, timeout: float, condition: str) -> None:
        assert (timeout, condition) == (10.0, "removed")
        super().remove_container(container, force=True)
        raise NotFound(container)


def test_a_deploy_waits_for_a_container_that_the_engine_removes_already(tmp_path: Path) -> None:
    engine = SlowToRemove()
    old = engine.id_of("auth")
    DockerFleet(engine, "mirr", Journal(tmp_path)).deploy(Service.AUTH, "1.5.0", previous="1.4.0")
    assert old not in engine.held
    assert engine.one("auth")["Config"]["Image"] == "mirr/auth:1.5.0"
