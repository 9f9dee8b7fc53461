"""Why no engine answers, and the one command that mends it."""

from __future__ import annotations

import pytest
from docker.errors import DockerException

from lab.engine import SIMULATOR_HINT, Machine, Trouble, diagnose


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
def test_a_missing_socket_means_what_the_machine_makes_of_it(here: Machine, trouble: Trouble, remedy: str) -> None:
    found = diagnose(no_socket(), here)
    assert (found.trouble, found.remedy) == (trouble, remedy)


def test_permission_denied_is_not_taken_for_an_engine_that_does_not_run() -> None:
    error = DockerException("Error while fetching server API version: ('Connection aborted.', PermissionError(13))")
    found = diagnose(error, machine())
    assert found.trouble is Trouble.NO_PERMISSION
    assert found.remedy == 'sudo usermod -aG docker "$USER" && newgrp docker'


def test_an_engine_too_old_for_the_client_asks_for_another_client() -> None:
    error = DockerException("client version 1.24 is too old. Minimum supported API version is 1.44")
    assert diagnose(error, machine()).trouble is Trouble.TOO_OLD


def test_the_cli_text_of_a_stopped_daemon_is_known_too() -> None:
    error = DockerException("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
    assert diagnose(error, machine()).trouble is Trouble.NOT_RUNNING


def test_whatever_else_it_says_is_passed_on() -> None:
    found = diagnose(DockerException("the moon is in the way"), machine())
    assert found.text == "the Docker engine does not answer (DockerException: the moon is in the way)"


def test_the_error_says_how_to_go_on_without_docker() -> None:
    error = diagnose(no_socket(), machine()).error()
    assert str(error) == (
        "the Docker engine is installed but does not run; mend it with: sudo systemctl start docker\n"
        f"({SIMULATOR_HINT})"
    )
