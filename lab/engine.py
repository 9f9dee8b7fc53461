"""Finds the Docker engine and says what is wrong with it. As root on a Debian-family system, it also fixes this."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirr.env.quoting import quoted, shortened
from mirr.lab import debian
from mirr.lab.errors import EngineError
from mirr.lab.installation import HERE
from mirr.lab.progress import Progress, timed
from mirr.lab.state import state_root
from mirr.lab.which_engine import (
    DEFAULT_SOCKETS,
    chosen_context,
    configured_host,
    host_of,
    is_on_loopback,
    spare_the_loopback,
    tls_of,
)

if TYPE_CHECKING:
    from docker import DockerClient

READ_TIMEOUT_S = 60
PING_TIMEOUT_S = 4  # used if a caller sets a short limit: a live engine answers a ping at once
START_TIMEOUT_S = 30.0
CONNECTIONS = 32  # in the pool: many threads work on a lab's containers at once
SIMULATOR_HINT = (
    f"without Docker, the simulator still works: {HERE.command('demo')}, or {HERE.command('episode --world sim')}"
)


class Trouble(StrEnum):
    """Why no engine answers."""

    NOT_INSTALLED = "not installed"
    NOT_RUNNING = "not running"
    NO_PERMISSION = "no permission"
    SILENT = "silent"
    WRONG_HOST = "wrong host"
    CERTIFICATES = "certificates"
    TOO_OLD = "too old"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class EngineProblem:
    """Why no engine answers, and the one command that fixes it."""

    trouble: Trouble
    text: str
    remedy: str

    def error(self) -> EngineError:
        """The problem as an error to raise."""
        return EngineError(f"{self.text}; fix it with: {self.remedy}\n({SIMULATOR_HINT})")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the remedy depends on."""

    system: str  # from platform.system()
    root: bool
    debian_family: bool
    systemd: bool
    engine_installed: bool
    host: str | None  # DOCKER_HOST, or the host of the current context if it is another machine

    @classmethod
    def this(cls) -> Machine:
        """The machine on which this runs."""
        return cls(
            system=platform.system(),
            root=debian.is_root(),
            debian_family=debian.is_debian_family(),
            systemd=Path("/run/systemd/system").is_dir(),
            engine_installed=_is_installed(),
            host=os.environ.get("DOCKER_HOST") or _remote(configured_host()),
        )


def _is_installed() -> bool:
    if shutil.which("dockerd") is not None:
        return True
    # Docker Desktop hides its engine. There is one if the client has a context of its own, or if this is not Linux.
    # On Linux, a client alone does not mean that there is an engine.
    return shutil.which("docker") is not None and (platform.system() != "Linux" or configured_host() is not None)


def _remote(host: str | None) -> str | None:
    # A context with its own socket is an engine on this machine (Docker Desktop), which can be started.
    return None if host is None or host.startswith(("unix:", "npipe:")) else host


def compose_package() -> str:
    """The Debian package that holds Compose."""
    # On Ubuntu, the package of Compose v2 has this name. Ubuntu's Compose 1.29 does not run on its Python.
    return "docker-compose-v2" if debian.knows_package("docker-compose-v2") else "docker-compose"


def engine_packages(*, systemd: bool) -> list[str]:
    """The Debian packages that hold an engine. Later releases split the package, so some exist only there."""
    # Without systemd, nothing else mounts the control groups.
    optional = ["docker-cli", *([] if systemd else ["cgroupfs-mount"])]
    return ["docker.io", "ca-certificates", *(name for name in optional if debian.knows_package(name))]


def _install_command(machine: Machine) -> str:
    if machine.system == "Darwin":
        return "brew install --cask docker && open -a Docker"
    if machine.debian_family:
        return f"{'' if machine.root else 'sudo '}apt-get install --yes docker.io docker-compose"
    return "curl -fsSL https://get.docker.com | sudo sh"


def _start_command(machine: Machine) -> str:
    if machine.system == "Darwin":
        return "open -a Docker"
    sudo = "" if machine.root else "sudo "
    return f"{sudo}systemctl start docker" if machine.systemd else f"{sudo}service docker start"


def _restart_command(machine: Machine) -> str:
    if machine.system == "Darwin":
        return "osascript -e 'quit app \"Docker\"'; open -a Docker"
    sudo = "" if machine.root else "sudo "
    return f"{sudo}systemctl restart docker" if machine.systemd else f"{sudo}service docker restart"


def diagnose(error: BaseException, machine: Machine) -> EngineProblem:
    """Why connecting failed with `error` on this machine."""
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 8:
        chain.append(f"{type(cause).__name__}: {cause}")
        cause = cause.__cause__ or cause.__context__
    causes = " | ".join(chain)
    if "no such context" in causes:
        return EngineProblem(
            trouble=Trouble.WRONG_HOST,
            text=str(error),
            remedy="unset DOCKER_CONTEXT, or set it to one that this names: docker context ls",
        )
    if "the Docker context " in causes and "cannot be read from" in causes:
        return EngineProblem(
            trouble=Trouble.WRONG_HOST,
            text=str(error),
            remedy="unset DOCKER_CONTEXT; docker context use default",
        )
    if isinstance(error, ValueError) and machine.host is not None:
        return EngineProblem(
            trouble=Trouble.WRONG_HOST,
            text=f"{quoted(machine.host)} (from DOCKER_HOST or the Docker context) is not the address of an engine",
            remedy="unset DOCKER_HOST; docker context use default",
        )
    if "TLSParameterError" in causes or "SSLError" in causes:
        return EngineProblem(
            trouble=Trouble.CERTIFICATES,
            text=f"no connection to the Docker engine with these certificates ({shortened(str(error), 200)})",
            remedy="unset DOCKER_TLS_VERIFY DOCKER_CERT_PATH, or set DOCKER_CERT_PATH to the folder with ca.pem, "
            "cert.pem and key.pem",
        )
    if "PermissionError" in causes or "permission denied" in causes.lower():
        return EngineProblem(
            trouble=Trouble.NO_PERMISSION,
            text="this user may not use the Docker engine's socket",
            remedy='sudo usermod -aG docker "$USER" && newgrp docker',
        )
    if "too old" in causes or "Minimum supported API version" in causes:
        return EngineProblem(
            trouble=Trouble.TOO_OLD,
            text="the Docker engine and this client share no API version",
            remedy=f"{sys.executable} -m pip install --upgrade docker",
        )
    if "Timeout" in causes or "timed out" in causes:
        return EngineProblem(
            trouble=Trouble.SILENT,
            text="the Docker engine takes connections and does not answer"
            + (f" (at {machine.host})" if machine.host is not None else ""),
            remedy=_restart_command(machine),
        )
    if machine.host is not None:
        return EngineProblem(
            trouble=Trouble.WRONG_HOST,
            text=f"no Docker engine answers at {machine.host} (from DOCKER_HOST or the Docker context)",
            remedy="unset DOCKER_HOST; docker context use default",
        )
    absent = ("FileNotFoundError", "Connection refused", "ConnectionRefused", "Cannot connect", "Connection aborted")
    if not machine.engine_installed:
        return EngineProblem(
            trouble=Trouble.NOT_INSTALLED, text="no Docker engine is installed", remedy=_install_command(machine)
        )
    if any(sign in causes for sign in absent):
        return EngineProblem(
            trouble=Trouble.NOT_RUNNING,
            text="the Docker engine is installed but does not run",
            remedy=_start_command(machine),
        )
    return EngineProblem(
        trouble=Trouble.OTHER, text=f"the Docker engine does not answer ({chain[0]})", remedy="docker info"
    )


def _open(answer_s: int | None) -> DockerClient:
    import docker
    from docker.utils import kwargs_from_env

    first_answer_s = READ_TIMEOUT_S if answer_s is None else min(answer_s, PING_TIMEOUT_S)
    context = None if os.environ.get("DOCKER_HOST") else chosen_context()
    host = host_of(context)
    if is_on_loopback(os.environ.get("DOCKER_HOST") or host or ""):
        spare_the_loopback(os.environ)
    settings: dict[str, Any] = {"timeout": first_answer_s, "max_pool_size": CONNECTIONS}
    if host is None:
        # Not `from_env`: newer versions of it choose a context by themselves.
        settings |= {"base_url": DEFAULT_SOCKETS[0]} | kwargs_from_env()
    else:
        settings["base_url"] = host
        if (tls := tls_of(context)) is not None:
            settings["tls"] = tls
    client = docker.DockerClient(**settings)
    client.ping()
    client.api.timeout = READ_TIMEOUT_S if answer_s is None else answer_s
    return client


def try_connect(answer_s: int | None = None) -> DockerClient | EngineProblem:
    """A client that has agreed on an API version, or why there is none. `answer_s` limits how long an answer takes."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        return _open(answer_s)
    except (DockerException, RequestException, OSError, ValueError) as error:  # ValueError: the address is none
        return diagnose(error, Machine.this())


def connect(*, answer_s: int | None = None) -> DockerClient:
    """A client of the engine. `answer_s` limits how many seconds an answer may take.

    Raises EngineError, which names the command that fixes the problem.
    """
    found = try_connect(answer_s)
    if isinstance(found, EngineProblem):
        raise found.error()
    return found


def ensure(report: Progress) -> DockerClient:
    """A client of the engine. If we may do that, the engine is installed and started first."""
    found = try_connect()
    if not isinstance(found, EngineProblem):
        return found
    machine = Machine.this()
    if not (machine.root and machine.debian_family) or configured_host() is not None:
        raise found.error()  # an engine that we start is at the default socket, and another one was asked for
    match found.trouble:
        case Trouble.NOT_INSTALLED:
            report.say("no Docker engine is installed: installing docker.io and Compose from Debian")
            debian.install([*engine_packages(systemd=machine.systemd), compose_package()], report)
        case Trouble.NOT_RUNNING:
            report.say("the Docker engine is installed but does not run: starting it")
        case _:
            raise found.error()
    with timed(report, "starting the Docker engine"):
        return _start(machine, report)


def _start(machine: Machine, report: Progress) -> DockerClient:
    # The installation may have started it already.
    found = try_connect()
    if not isinstance(found, EngineProblem):
        return found
    if machine.systemd:
        debian.run(["systemctl", "start", "docker"], timeout_s=START_TIMEOUT_S * 2)
        return _wait_for_answer(lambda: None, "journalctl --unit docker")
    log_path = state_root() / "dockerd.log"
    report.say(f"starting dockerd directly, because there is no systemd; its log: {log_path}")
    with log_path.open("ab") as log:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    return _wait_for_answer(daemon.poll, f"tail {log_path}")


def _wait_for_answer(ended: Callable[[], int | None], look_at: str) -> DockerClient:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        found = try_connect()
        if not isinstance(found, EngineProblem):
            return found
        if (code := ended()) is not None:
            raise EngineError(f"dockerd ended with {code} as soon as it was started; see: {look_at}")
        time.sleep(0.2)  # an engine that starts tells nobody when it is ready
    raise EngineError(
        f"the Docker engine was started but did not answer within {START_TIMEOUT_S:.0f} s; see: {look_at}"
    )
