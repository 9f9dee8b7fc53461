"""What a Debian-family machine can do by itself: install packages, and name its package sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mirr.lab.errors import LabError
from mirr.lab.progress import Progress, timed

APT_TIMEOUT_S = 900.0


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A distribution's release, as this machine's apt knows it."""

    codename: str  # e.g. bookworm
    sources: str  # lines of a sources.list: the mirrors of this machine, `main` only


def os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """The operating system's description of itself; empty if there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: value.strip().strip('"') for key, value in pairs}


def is_debian_family() -> bool:
    """Whether this machine installs its software with apt."""
    release = os_release()
    family = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    return ("debian" in family or "ubuntu" in family) and shutil.which("apt-get") is not None


def is_root() -> bool:
    """Whether this process runs as root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def can_install() -> bool:
    """Whether we may install Debian packages on this machine."""
    return is_root() and is_debian_family()


def run(
    command: list[str], *, timeout_s: float = APT_TIMEOUT_S, stdin: str | None = None, cwd: Path | None = None
) -> str:
    """Run a command and return its stdout. Raises LabError with the last lines of its output."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment,
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is not installed on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(command[:3])} ...` did not end within {timeout_s:.0f} s") from error
    if done.returncode != 0:
        output = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise LabError(f"`{' '.join(command)}` ended with {done.returncode}:\n{output}")
    return done.stdout


def knows_package(package: str) -> bool:
    """Whether apt can install the package."""
    try:
        return "Candidate:" in (policy := run(["apt-cache", "policy", package])) and "Candidate: (none)" not in policy
    except LabError:
        return False


def install(packages: list[str], report: Progress) -> None:
    """Install Debian packages. This needs root."""
    wanted = " ".join(packages)
    report.say(f"installing Debian packages: {wanted}")
    with timed(report, f"apt-get install {wanted}"):
        if not all(knows_package(package) for package in packages):
            run(["apt-get", "-qq", "update"])
        run(["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *packages])


def suite() -> Suite:
    """The suite and the mirrors of this machine, as apt knows them."""
    codename = os_release().get("VERSION_CODENAME", "")
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)"
    listed = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    sources = []
    for line in dict.fromkeys(listed.splitlines()):
        uri, release, component, signed_by = (line.split("|") + [""] * 4)[:4]
        # Third-party archives sometimes use the same codename. These releases are the distribution's own.
        if component == "main" and release in (codename, f"{codename}-updates", f"{codename}-security"):
            option = f"[signed-by={signed_by}] " if signed_by.startswith("/") else ""
            sources.append(f"deb {option}{uri} {release} main")
    if not codename or not sources:
        raise LabError("apt on this machine names no archive to build a base image from; see: apt-get indextargets")
    return Suite(codename=codename, sources="\n".join(sources) + "\n")
