"""Helpers for tests that break the real lab: they run `mirr`, and they compare the lab before and after."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.models.containers import Container

from mirr.bridge.assembly import assemble
from mirr.bridge.traces import traces
from mirr.cli.lab_commands import steady_problems
from mirr.env.vocabulary import STEADY_RELEASE, Service
from mirr.env.world import WorldError
from mirr.lab.doctor import Verdict, examine
from mirr.lab.engine import connect
from mirr.lab.footprint import Footprint, differences
from mirr.lab.names import LABEL_LAB, service_image

MIRR = str(Path(sys.executable).with_name("mirr"))
SEED = int(os.environ.get("MIRR_SEED", "1"))
"""The seed of all random cases. Each case prints it, so that a failed case can be played again."""

REVERT_S = 10.0
STEADY_S = 30.0


def random_of_case(group: str, case: int) -> random.Random:
    """The random numbers of one case. They do not depend on the other cases."""
    print(f"MIRR_SEED={SEED}, case {case} of {group}")
    return random.Random(f"{SEED} {group} {case}")


def start(lab: str, *arguments: str) -> subprocess.Popen[str]:
    """Start `mirr` in a new process."""
    print("mirr", *arguments)
    return subprocess.Popen([MIRR, *arguments, "--lab", lab], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_after(process: subprocess.Popen[str], seconds: float, *, once: Callable[[], bool] = lambda: True) -> None:
    """Send SIGKILL after `seconds`, counted from the moment when `once` is true. The process may end earlier."""
    wait_until(lambda: once() or process.poll() is not None, "what the kill waits for")
    try:
        _, err = process.communicate(timeout=seconds)
        print(f"had ended by itself within {seconds:.2f} s, with {process.returncode}: {err.strip()}")
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        print(f"SIGKILL after {seconds:.2f} s")


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = STEADY_S) -> None:
    """Wait until the condition is true. After the timeout, raise an AssertionError that names the condition."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout_s:g} s"
        time.sleep(0.1)  # real containers change by themselves, and looking is the only way to know


def made_of(lab: str) -> Footprint:
    """The lab's footprint and other traces of faults. A load generator that has just started gets time to answer."""
    found: list[Footprint] = []

    def look() -> bool:
        try:
            found.append(traces(assemble(lab)))
        except WorldError as error:
            print(error)
            return False
        return True

    wait_until(look, "a look at the lab", timeout_s=REVERT_S)
    return found[0]


def labelled(client: DockerClient, lab: str) -> list[str]:
    """The names of all containers, networks and volumes with the lab's label."""
    wanted: dict[str, str | list[str] | bool] = {"label": f"{LABEL_LAB}={lab}"}
    return [
        *(str(one.name) for one in client.containers.list(all=True, filters=wanted)),
        *(str(one.name) for one in client.networks.list(filters=wanted)),
        *(str(one.name) for one in client.volumes.list(filters=wanted)),
    ]


def revert(lab: str) -> None:
    """Run `mirr revert`. It has to succeed in ten seconds."""
    began = time.monotonic()
    done = subprocess.run([MIRR, "revert", "--lab", lab], capture_output=True, text=True, timeout=60, check=False)
    took_s = time.monotonic() - began
    print(f"mirr revert ({took_s:.1f} s): {done.stdout.strip()} {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert took_s <= REVERT_S


def assert_steady(lab: str) -> None:
    """Wait until the checks of `mirr doctor` find the lab up and in steady state."""
    problems: list[str] = []

    def is_steady() -> bool:
        checks = [check for check in examine(lab, steady_problems) if check.code in ("lab", "steady")]
        problems[:] = [check.text for check in checks if check.status is not Verdict.PASS]
        return len(checks) == 2 and not problems

    began = time.monotonic()
    try:
        wait_until(is_steady, "steady state")
    except AssertionError as error:
        raise AssertionError(f"{error}: {'; '.join(problems)}") from error
    print(f"steady after {time.monotonic() - began:.1f} s")


@contextmanager
def reverted_afterwards(lab: str) -> Iterator[None]:
    """After the block, `mirr revert` has to remove all differences, and the lab has to reach steady state."""
    before = made_of(lab)
    yield
    revert(lab)
    assert differences(before, made_of(lab)) == []
    assert_steady(lab)
    # Compare again: the engine may have finished late what a killed process had asked for.
    assert differences(before, made_of(lab)) == []


@contextmanager
def strangers(lab: str, service: Service) -> Iterator[list[Container]]:
    """Running containers that have some of our labels, those of a service among them, but do not belong to the lab. The
    first has the number 7."""
    nearly = {"mirr.lab": lab, "mirr.role": "service", "mirr.service": service.value}
    labels: list[dict[str, str]] = [
        {"mirr.lab": lab},
        nearly,
        nearly | {"com.docker.compose.project": lab, "com.docker.compose.service": "orders"},
        nearly | {"mirr.lab": f"{lab}x", "com.docker.compose.project": f"{lab}x"},
        {},
    ]
    client, started = connect(), list[Container]()
    try:
        for number, one in enumerate(labels, start=7):
            started.append(
                client.containers.run(
                    service_image(service, STEADY_RELEASE),
                    entrypoint=["sleep", "infinity"],
                    name=f"{lab}_{service}_{number}",
                    labels=one,
                    detach=True,
                    init=True,
                )
            )
        yield started
    finally:
        for container in started:
            container.remove(force=True)


def identity(one: Container) -> tuple[Any, ...]:
    """What changes if somebody does something to a container."""
    one.reload()
    return one.id, one.attrs["State"]["StartedAt"], one.attrs["State"]["Status"], one.attrs["HostConfig"]
