"""Every precondition of the lab as a check: a stable code, a verdict, and the one command that fixes it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from mirr.lab import bases, compose, debian, engine, engine_lock, hardening, images, ports, which_engine, wiring
from mirr.lab.clock import NOTED_S, EngineClock, in_words
from mirr.lab.containers import LabContainers
from mirr.lab.errors import BrokenInstallation, LabError, StateError
from mirr.lab.installation import HERE
from mirr.lab.names import parse_lab
from mirr.lab.ownership import holdings, own_networks
from mirr.lab.state import probed
from mirr.lab.suitable import lacking_limits

if TYPE_CHECKING:
    from docker import DockerClient

GIB = 1024**3
NEEDED_MEMORY_BYTES = 1 * GIB  # the lab takes 800 MB at most
NEEDED_DISK_BYTES = 2 * GIB
NEEDED_CORES = 2


class Verdict(StrEnum):
    """The result of a check. Only `fail` blocks."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One precondition, and whether it is met."""

    code: str
    status: Verdict
    text: str
    remedy: str = ""  # one line; empty if there is nothing to fix


def _judge(code: str, good: bool, text: str, remedy: str, otherwise: Verdict = Verdict.FAIL) -> Check:
    if good:
        return Check(code=code, status=Verdict.PASS, text=text)
    return Check(code=code, status=otherwise, text=text, remedy=remedy)


def examine(
    lab: str,
    steady_problems: Callable[[str], list[str]],
    profile_drift: Callable[[str], str | None] = lambda lab: None,
) -> list[Check]:
    """All checks of this machine and this lab. `steady_problems` lists why a running lab is not in steady state.
    `profile_drift` says how far a steady lab is from the profile of this machine: empty if it fits, None if nobody
    knows."""
    parse_lab(lab)
    checks = [_python(), *_installation(), _cores(), _memory(), _disk(), _state()]
    found = engine.try_connect()
    if isinstance(found, engine.EngineProblem):
        remedy = f"{found.remedy}   ({engine.SIMULATOR_HINT})"
        return [*checks, Check(code="engine", status=Verdict.FAIL, text=found.text, remedy=remedy), _compose()]
    checks += [_engine(found), _compose(), _limits(found), _clock(EngineClock.of(found)), _base(found)]
    checks += [_images(found, lab), _ports(found, lab), _strangers(found, lab), _lock(found, lab)]
    checks += [*_lab(found, lab, steady_problems, profile_drift)]
    return checks


def blocked(checks: list[Check]) -> bool:
    """Whether any check failed."""
    return any(check.status is Verdict.FAIL for check in checks)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    remedy = "make up PYTHON=python3.11" if HERE.checkout else "install mirr with Python 3.11 or later"
    return _judge("python", sys.version_info >= (3, 11), f"Python {found}", remedy)


def _installation() -> Iterator[Check]:
    lost = HERE.missing_files()
    text = "every file of mirr is there"
    if lost:
        count = "1 file of mirr is" if len(lost) == 1 else f"{len(lost)} files of mirr are"
        text = f"{count} missing: {', '.join(map(str, lost[:3]))}{', ...' if len(lost) > 3 else ''}"
    yield _judge("files", not lost, text, HERE.repair())
    try:
        needed = HERE.requirements()
    except BrokenInstallation as error:
        yield Check(code="packages", status=Verdict.FAIL, text=str(error), remedy=HERE.repair())
        return
    missing = [requirement for requirement in needed if not _is_installed(requirement)]
    text = f"missing in {sys.prefix}: {', '.join(missing)}" if missing else "the Python packages are installed"
    remedy = f"{sys.executable} -m pip install {' '.join(repr(requirement) for requirement in missing)}"
    yield _judge("packages", not missing, text, remedy)


def _is_installed(requirement: str) -> bool:
    """Whether the package of a requirement such as `numpy>=2.2` is installed, in any version."""
    try:
        version(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])
    except PackageNotFoundError:
        return False
    return True


def _cores() -> Check:
    cores = os.cpu_count() or 1
    text = f"{cores} core{'s' if cores != 1 else ''}; the lab is sized for {NEEDED_CORES}"
    return _judge("cores", cores >= NEEDED_CORES, text, "give the machine two cores", Verdict.WARN)


def _memory() -> Check:
    try:
        lines = open("/proc/meminfo").read().splitlines()  # noqa: SIM115 - it is read at once, which also closes it
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return Check(code="memory", status=Verdict.PASS, text="free memory is not known on this system")
    text = f"{available / GIB:.1f} GiB of memory available; the lab takes up to 0.8"
    return _judge("memory", available >= NEEDED_MEMORY_BYTES, text, "free at least 1 GiB of memory", Verdict.WARN)


def _disk() -> Check:
    where = "/var/lib/docker" if os.path.isdir("/var/lib/docker") else "/"
    free = shutil.disk_usage(where).free
    text = f"{free / GIB:.1f} GiB of disk free at {where}; images take about 1"
    return _judge("disk", free >= NEEDED_DISK_BYTES, text, "docker image prune", Verdict.WARN)


def _state() -> Check:
    try:
        folder = probed()
    except StateError as error:
        text, _, remedy = str(error).partition("; next: ")
        return Check(code="state", status=Verdict.FAIL, text=text, remedy=remedy)
    return Check(code="state", status=Verdict.PASS, text=f"journals and locks are kept in {folder}")


def _engine(client: DockerClient) -> Check:
    engine_version = client.api.version()
    where = which_engine.configured_host() or "the default socket"
    text = f"Docker engine {engine_version['Version']} answers at {where}, API {client.api.api_version}"
    return Check(code="engine", status=Verdict.PASS, text=text)


def _compose() -> Check:
    found = compose.find()
    text = f"Compose is there as `{' '.join(found.command)}`" if found else "Compose is not installed"
    return _judge("compose", found is not None, text, compose.remedy())


def _limits(client: DockerClient) -> Check:
    lacking, remedy = lacking_limits(client)
    text = (
        f"the engine cannot limit: {', '.join(lacking)}" if lacking else "the engine can limit CPU, memory, processes"
    )
    return _judge("limits", not lacking, text, remedy)


def _clock(clock: EngineClock) -> Check:
    skew_s = clock.skew_s()
    remedy = "set both clocks, as with: sudo timedatectl set-ntp true; or restart Docker Desktop"
    return _judge("clock", abs(skew_s) < NOTED_S, in_words(skew_s), remedy, Verdict.WARN)


def _base(client: DockerClient) -> Check:
    codename = bases.codename()
    if any(bases.present(client, tag) for tag in (bases.PYTHON_FROM_REGISTRY, bases.debian_python_tag(codename))):
        return Check(code="base_image", status=Verdict.PASS, text="the base image is there")
    if debian.can_install():
        text = "the base image comes from a registry, or else from Debian packages"
        return Check(code="base_image", status=Verdict.PASS, text=text)
    return Check(
        code="base_image",
        status=Verdict.WARN,
        text="the base image is not there yet, and on this machine it can only come from a registry",
        remedy=f"docker pull {bases.PYTHON_FROM_REGISTRY}",
    )


def _images(client: DockerClient, lab: str) -> Check:
    try:
        stale = images.stale_tags(client)
    except BrokenInstallation as error:
        return Check(code="images", status=Verdict.FAIL, text=str(error), remedy=HERE.repair())
    text = f"{len(stale)} images are missing or not current" if stale else "all images are built and current"
    return _judge("images", not stale, text, HERE.command("up", lab), Verdict.WARN)


def _ports(client: DockerClient, lab: str) -> Check:
    try:
        chosen = ports.chosen_for(LabContainers(client, lab))
    except LabError as error:
        text, _, remedy = str(error).partition("; ")
        return Check(code="ports", status=Verdict.FAIL, text=text, remedy=remedy)
    text = f"ports {chosen.gateway}, {chosen.prometheus} and {chosen.traffic} are free or the lab's own"
    return Check(code="ports", status=Verdict.PASS, text=text)


def _strangers(client: DockerClient, lab: str) -> Check:
    found = holdings(client.api, lab).strangers
    text = f"nothing else carries lab {lab}'s label"
    remedy = ""
    if found:
        text = f"carries lab {lab}'s label, but is not its own, so it is never touched: {', '.join(map(str, found))}"
        remedy = f"look at it, and remove it yourself if it is yours: docker inspect {found[0].name}"
    return _judge("strangers", not found, text, remedy, Verdict.WARN)


def _lock(client: DockerClient, lab: str) -> Check:
    try:
        held = engine_lock.look(client.api, lab)
    except LabError as error:
        text, _, remedy = str(error).partition("; next: ")
        return Check(code="lock", status=Verdict.WARN, text=text, remedy=remedy)
    if held is not None and held.is_dead:
        text = f"{held.by} has ended and left its lock of lab {lab} behind; the next command takes it over"
        return Check(code="lock", status=Verdict.WARN, text=text, remedy=HERE.command("revert", lab))
    text = f"no command works on lab {lab}" if held is None else f"lab {lab} is in use by {held.by}"
    return Check(code="lock", status=Verdict.PASS, text=text)


def _lab(
    client: DockerClient,
    lab: str,
    steady_problems: Callable[[str], list[str]],
    profile_drift: Callable[[str], str | None],
) -> Iterator[Check]:
    found = LabContainers(client, lab).all()
    idle = sorted(one.name or "?" for one in found if one.status != "running")
    if not found:
        yield Check(code="lab", status=Verdict.WARN, text=f"lab {lab} is not up", remedy=HERE.command("up", lab))
        return
    text = f"lab {lab} is up" if not idle else f"not running in lab {lab}: {', '.join(idle)}"
    yield _judge("lab", not idle, text, HERE.command("up", lab), Verdict.WARN)
    yield _wiring(lab, [one.attrs for one in found], own_networks(client.api, lab))
    problems = steady_problems(lab)
    text = f"not in steady state: {'; '.join(problems)}" if problems else "in steady state"
    yield _judge("steady", not problems, text, HERE.command("up", lab), Verdict.WARN)
    drifted = None if problems else profile_drift(lab)
    if drifted is not None:
        text = drifted or "the lab is as fast as the profile of this machine says"
        yield _judge("profile", not drifted, text, HERE.command("calibrate --quick", lab), Verdict.WARN)
    yield _hardening([finding for one in found for finding in hardening.container_findings(one.attrs)], lab)


def _wiring(lab: str, containers: Sequence[wiring.Inspected], networks: Mapping[str, str]) -> Check:
    findings = wiring.findings(lab, containers, networks)
    text = "; ".join(findings) or "every service is in its sandbox, and everything in its network"
    # A revert joins containers to a network. Only `up` makes one.
    remedy = HERE.command("up" if wiring.lost_networks(lab, networks) else "revert", lab)
    return _judge("wiring", not findings, text, remedy, Verdict.WARN)


def _hardening(findings: list[str], lab: str) -> Check:
    text = f"less closed than when they were made: {'; '.join(findings)}" if findings else "every container is closed"
    remedy = f"{HERE.command('down', lab)} && {HERE.command('up', lab)}"
    return _judge("hardening", not findings, text, remedy, Verdict.WARN)
