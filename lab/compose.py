"""Finds Compose (v2 as a plugin of docker, or 1.29 as docker-compose) and brings a lab up with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from mirr.lab import debian, engine, which_engine
from mirr.lab.containers import Ports
from mirr.lab.errors import ComposeError
from mirr.lab.installation import HERE
from mirr.lab.names import ROOT
from mirr.lab.progress import Progress

UP_TIMEOUT_S = 180
VERSION_TIMEOUT_S = 20

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True, kw_only=True)
class Compose:
    """The command that runs Compose."""

    command: tuple[str, ...]


def find(run: Run = subprocess.run, which: Callable[[str], str | None] = shutil.which) -> Compose | None:
    """The plugin if there is one, else docker-compose, else None."""
    if which("docker") and _answers(("docker", "compose"), run):
        return Compose(command=("docker", "compose"))
    # We do not ask for its version: 1.29 takes half a second to answer.
    return Compose(command=("docker-compose",)) if which("docker-compose") else None


def _answers(command: tuple[str, ...], run: Run) -> bool:
    try:
        asked = run([*command, "version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def remedy() -> str:
    """The command that installs Compose."""
    if debian.is_debian_family():
        return f"{'' if debian.is_root() else 'sudo '}apt-get install --yes docker-compose"
    return "see https://docs.docker.com/compose/install/"


def ensure(report: Progress) -> Compose:
    """Compose. If it is missing and we may install it, it is installed first."""
    found = find()
    if found is None and debian.can_install():
        debian.install([engine.compose_package()], report)
        found = find()
    if found is None:
        raise ComposeError(f"Compose is not installed; fix it with: {remedy()}")
    return found


def up(compose: Compose, lab: str, ports: Ports, run: Run = subprocess.run) -> None:
    """Create and start every container that is missing or differs from the compose file. There is an Alertmanager only
    if it has a port."""
    file = ROOT / "docker-compose.yml"
    if not file.is_file():
        raise HERE.missing(file)
    profiles = [] if ports.alertmanager is None else ["--profile", "alertmanager"]
    command = [*compose.command, "--project-name", lab, "--file", str(file), *profiles, "up", "--detach"]
    environment = which_engine.for_compose(os.environ) | {
        "LAB": lab,
        "GATEWAY_PORT": str(ports.gateway),
        "PROMETHEUS_PORT": str(ports.prometheus),
        "TRAFFIC_PORT": str(ports.traffic),
    }
    if ports.alertmanager is not None:
        environment["ALERTMANAGER_PORT"] = str(ports.alertmanager)
    try:
        done = run(
            command, capture_output=True, text=True, timeout=UP_TIMEOUT_S, env=environment, cwd=ROOT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ComposeError(
            f"Compose did not bring lab {lab} up within {UP_TIMEOUT_S} s; see: {' '.join(command)}"
        ) from error
    if done.returncode != 0:
        output = "\n".join(done.stderr.strip().splitlines()[-8:])
        down = HERE.command("down", lab)
        raise ComposeError(f"Compose could not bring lab {lab} up:\n{output}\nfix what it says, or start over: {down}")
