"""Which Compose the lab uses, and what the error says when Compose fails."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from mirr.lab import compose
from mirr.lab.compose import Compose
from mirr.lab.containers import Ports
from mirr.lab.errors import ComposeError


class FakeRun:
    """Remembers each command. Every command ends with the given return code."""

    def __init__(self, returncode: int = 0, stderr: str = "") -> None:
        self.returncode = returncode
        self.stderr = stderr
        self.commands: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        self.environments.append(more.get("env", {}))
        return subprocess.CompletedProcess(command, self.returncode, stdout="", stderr=self.stderr)


def installed(*names: str) -> Any:
    return lambda name: f"/usr/bin/{name}" if name in names else None


def test_the_plugin_is_preferred() -> None:
    assert compose.find(FakeRun(), installed("docker", "docker-compose")) == Compose(command=("docker", "compose"))


def test_docker_without_the_plugin_falls_back_to_docker_compose() -> None:
    run = FakeRun(returncode=1, stderr="docker: unknown command: docker compose")
    assert compose.find(run, installed("docker", "docker-compose")) == Compose(command=("docker-compose",))


def test_nothing_is_found_without_plugin_and_docker_compose() -> None:
    assert compose.find(FakeRun(returncode=1), installed("docker")) is None


def test_compose_gets_the_lab_as_its_project_and_the_ports_of_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE_FILE", "somebody-elses.yml")
    run = FakeRun()
    compose.up(Compose(command=("docker-compose",)), "two", Ports(gateway=1, prometheus=2, traffic=3), run)
    command, environment = run.commands[0], run.environments[0]
    assert command[:3] == ["docker-compose", "--project-name", "two"]
    assert command[-2:] == ["up", "--detach"]
    assert "COMPOSE_FILE" not in environment
    assert {name: environment[name] for name in ("LAB", "GATEWAY_PORT", "PROMETHEUS_PORT", "TRAFFIC_PORT")} == {
        "LAB": "two",
        "GATEWAY_PORT": "1",
        "PROMETHEUS_PORT": "2",
        "TRAFFIC_PORT": "3",
    }


def test_compose_starts_alertmanager_only_if_it_has_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE_PROFILES", "alertmanager")
    run = FakeRun()
    for port in (None, 4):
        compose.up(Compose(command=("docker-compose",)), "two", Ports(alertmanager=port), run)
    (without, with_it), environments = run.commands, run.environments
    assert "--profile" not in without
    assert with_it[-4:] == ["--profile", "alertmanager", "up", "--detach"]
    assert environments[1]["ALERTMANAGER_PORT"] == "4"
    assert not any("COMPOSE_PROFILES" in environment for environment in environments)


def test_the_error_contains_the_message_of_compose() -> None:
    with pytest.raises(ComposeError) as raised:
        compose.up(Compose(command=("docker-compose",)), "two", Ports(), FakeRun(1, "no space left on device\n"))
    assert str(raised.value) == (
        "Compose could not bring lab two up:\nno space left on device\n"
        "fix what it says, or start over: make down LAB=two"
    )
