"""Why no engine answers, and the one command that fixes it."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docker.errors import DockerException

from mirr.lab import debian, engine, which_engine
from mirr.lab.engine import SIMULATOR_HINT, EngineProblem, Machine, Trouble, diagnose
from mirr.lab.errors import EngineError
from mirr.lab.progress import SilentProgress


def machine(**changes: object) -> Machine:
    facts: dict[str, object] = {
        "system": "Linux",
        "root": False,
        "debian_family": True,
        "systemd": True,
        "engine_installed": True,
        "host": None,
    }
    return Machine(**(facts | changes))  # type: ignore[arg-type]


def no_socket() -> DockerException:
    error = DockerException("Error while fetching server API version: ('Connection aborted.', FileNotFoundError(2))")
    error.__cause__ = FileNotFoundError(2, "No such file or directory")
    return error


@pytest.mark.parametrize(
    ("here", "trouble", "remedy"),
    [
        (machine(), Trouble.NOT_RUNNING, "sudo systemctl start docker"),
        (machine(root=True, systemd=False), Trouble.NOT_RUNNING, "service docker start"),
        (machine(system="Darwin", debian_family=False), Trouble.NOT_RUNNING, "open -a Docker"),
        (
            machine(engine_installed=False),
            Trouble.NOT_INSTALLED,
            "sudo apt-get install --yes docker.io docker-compose",
        ),
        (
            machine(engine_installed=False, root=True),
            Trouble.NOT_INSTALLED,
            "apt-get install --yes docker.io docker-compose",
        ),
        (
            machine(engine_installed=False, debian_family=False, system="Darwin"),
            Trouble.NOT_INSTALLED,
            "brew install --cask docker && open -a Docker",
        ),
        (machine(host="tcp://example:2375"), Trouble.WRONG_HOST, "unset DOCKER_HOST; docker context use default"),
    ],
)
def test_the_meaning_of_a_missing_socket_depends_on_the_machine(here: Machine, trouble: Trouble, remedy: str) -> None:
    found = diagnose(no_socket(), here)
    assert (found.trouble, found.remedy) == (trouble, remedy)


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:99999999", "tcp://[::1", "tcp://127.0.0.1:http"])
def test_an_address_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    which_engine.refuse_elsewhere()
    found = engine.try_connect()
    assert found == EngineProblem(
        trouble=Trouble.WRONG_HOST,
        text=f"{host!r} (from DOCKER_HOST or the Docker context) is not the address of an engine",
        remedy="unset DOCKER_HOST; docker context use default",
    )


def test_certificates_that_are_missing_are_not_reported_as_a_silent_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    found = engine.try_connect()
    assert isinstance(found, EngineProblem)
    assert found.trouble is Trouble.CERTIFICATES
    assert found.remedy == (
        "unset DOCKER_TLS_VERIFY DOCKER_CERT_PATH, or set DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and "
        "key.pem"
    )


@pytest.mark.usefixtures("contexts")
def test_a_context_that_there_is_not_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "nope")
    assert engine.try_connect() == EngineProblem(
        trouble=Trouble.WRONG_HOST,
        text="DOCKER_CONTEXT is nope, and there is no such context",
        remedy="unset DOCKER_CONTEXT, or set it to one that this names: docker context ls",
    )


def test_a_denied_permission_is_not_reported_as_a_stopped_engine() -> None:
    error = DockerException("Error while fetching server API version: ('Connection aborted.', PermissionError(13))")
    found = diagnose(error, machine())
    assert found.trouble is Trouble.NO_PERMISSION
    assert found.remedy == 'sudo usermod -aG docker "$USER" && newgrp docker'


def test_a_version_that_is_too_old_is_recognized() -> None:
    error = DockerException("client version 1.24 is too old. Minimum supported API version is 1.44")
    assert diagnose(error, machine()).trouble is Trouble.TOO_OLD


def test_the_message_of_the_docker_command_for_a_stopped_daemon_is_recognized() -> None:
    error = DockerException("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
    assert diagnose(error, machine()).trouble is Trouble.NOT_RUNNING


def test_the_text_of_an_unknown_error_is_kept() -> None:
    found = diagnose(DockerException("the moon is in the way"), machine())
    assert found.text == "the Docker engine does not answer (DockerException: the moon is in the way)"


def test_the_error_also_names_the_simulator() -> None:
    error = diagnose(no_socket(), machine()).error()
    assert str(error) == (
        f"the Docker engine is installed but does not run; fix it with: sudo systemctl start docker\n({SIMULATOR_HINT})"
    )


class RecordedProgress(SilentProgress):
    """Remembers every line of progress."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def fake_machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Pretends a machine and the answers of its engine. Each call returns what the code did to that machine."""

    def set_up(here: Machine, *answers: object) -> dict[str, Any]:
        done: dict[str, Any] = {"installed": [], "ran": []}
        remaining = list(answers)
        monkeypatch.setattr(Machine, "this", classmethod(lambda cls: here))
        monkeypatch.setattr(engine, "try_connect", lambda: remaining.pop(0))
        monkeypatch.setattr(engine, "configured_host", lambda: None)
        monkeypatch.setattr(debian, "knows_package", lambda name: name == "docker-compose")
        monkeypatch.setattr(debian, "install", lambda packages, report: done["installed"].extend(packages))
        monkeypatch.setattr(debian, "run", lambda command, **more: done["ran"].append(command))
        return done

    return set_up


def problem(trouble: Trouble) -> EngineProblem:
    return EngineProblem(trouble=trouble, text="no engine", remedy="the remedy")


def test_nothing_is_changed_if_the_engine_answers(fake_machine: Callable[..., dict[str, Any]]) -> None:
    done = fake_machine(machine(root=True), "the client")
    assert engine.ensure(RecordedProgress()) == "the client"  # type: ignore[comparison-overlap]
    assert done == {"installed": [], "ran": []}


def test_root_on_debian_installs_a_missing_engine_and_reports_it(fake_machine: Callable[..., dict[str, Any]]) -> None:
    done = fake_machine(machine(root=True), problem(Trouble.NOT_INSTALLED), "the client")
    report = RecordedProgress()
    assert engine.ensure(report) == "the client"  # type: ignore[comparison-overlap]
    assert done["installed"] == ["docker.io", "ca-certificates", "docker-compose"]
    assert report.lines == ["no Docker engine is installed: installing docker.io and Compose from Debian"]


def test_systemd_starts_a_stopped_engine(fake_machine: Callable[..., dict[str, Any]]) -> None:
    down = problem(Trouble.NOT_RUNNING)
    done = fake_machine(machine(root=True), down, down, "the client")
    assert engine.ensure(RecordedProgress()) == "the client"  # type: ignore[comparison-overlap]
    assert done == {"installed": [], "ran": [["systemctl", "start", "docker"]]}


@pytest.mark.parametrize("here", [machine(), machine(root=True, debian_family=False)])
@pytest.mark.parametrize("trouble", [Trouble.NOT_INSTALLED, Trouble.NOT_RUNNING])
def test_other_machines_are_not_changed_and_the_error_names_the_command(
    here: Machine, trouble: Trouble, fake_machine: Callable[..., dict[str, Any]]
) -> None:
    done = fake_machine(here, problem(trouble))
    with pytest.raises(EngineError, match=r"^no engine; fix it with: the remedy\n"):
        engine.ensure(RecordedProgress())
    assert done == {"installed": [], "ran": []}


@pytest.mark.parametrize("trouble", [Trouble.NO_PERMISSION, Trouble.WRONG_HOST, Trouble.TOO_OLD, Trouble.OTHER])
def test_a_problem_that_installing_cannot_fix_is_an_error_for_root_too(
    trouble: Trouble, fake_machine: Callable[..., dict[str, Any]]
) -> None:
    done = fake_machine(machine(root=True), problem(trouble))
    with pytest.raises(EngineError):
        engine.ensure(RecordedProgress())
    assert done == {"installed": [], "ran": []}


@pytest.mark.skipif(platform.system() != "Linux", reason="on other systems the client comes with the engine")
def test_a_client_alone_is_not_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert Machine.this().engine_installed is False
    (tmp_path / "dockerd").write_text("#!/bin/sh\n")
    (tmp_path / "dockerd").chmod(0o755)
    assert Machine.this().engine_installed is True


@pytest.mark.usefixtures("contexts")
def test_a_context_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    found = engine.try_connect()
    assert isinstance(found, engine.EngineProblem)
    assert "DOCKER_CONTEXT is gone, and there is no such context" in found.text


@pytest.mark.usefixtures("contexts")
def test_root_starts_no_engine_if_another_one_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = engine.EngineProblem(trouble=Trouble.NOT_RUNNING, text="it does not run", remedy="start it")
    monkeypatch.setattr(engine, "try_connect", lambda *_: problem)
    monkeypatch.setattr(Machine, "this", lambda: machine(root=True))
    with pytest.raises(EngineError, match="it does not run; fix it with: start it"):
        engine.ensure(SilentProgress())
