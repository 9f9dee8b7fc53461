"""Lets a lab's Prometheus send its alerts to the lab's Alertmanager, in a lab that has one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import requests
from docker.errors import DockerException
from requests.exceptions import ConnectionError as Unreachable
from requests.exceptions import RequestException

from mirr.lab.containers import LabContainers
from mirr.lab.errors import LabError
from mirr.lab.installation import HERE
from mirr.lab.loopback import direct_session
from mirr.lab.refusals import in_words

TARGETS = "/prometheus/alertmanagers.json"
"""The file that Prometheus reads, on its volume. A lab without an Alertmanager has no such file."""

ADDRESS = "alertmanager:9093"  # in the lab's network
READY_TIMEOUT_S = 30.0
POLL_S = 0.25
ANSWER_S = 2.0


def announce(containers: LabContainers) -> None:
    """Tell Prometheus where Alertmanager is. Prometheus notices without a restart. Raises LabError."""
    text = json.dumps([{"targets": [ADDRESS]}])
    # Prometheus never reads half a file.
    write = f"echo '{text}' > {TARGETS}.new && mv {TARGETS}.new {TARGETS}"
    try:
        code, output = containers.prometheus().exec_run(["sh", "-c", write])
    except (DockerException, RequestException) as error:
        raise _not_told(containers.lab, in_words(error)) from error
    if code != 0:
        said = output if isinstance(output, bytes) else b"".join(output)
        raise _not_told(containers.lab, said.decode(errors="replace").strip()[:200])


def _not_told(lab: str, why: str) -> LabError:
    return LabError(
        f"the Prometheus of lab {lab} could not be told of Alertmanager: {why}; "
        f"next: {HERE.command('up --alertmanager', lab)}"
    )


def problem(containers: LabContainers, session: Callable[[], requests.Session] = direct_session) -> str | None:
    """Why alerts would not arrive at Alertmanager now; None if they would."""
    with session() as asking:
        try:
            if asking.get(f"{containers.alertmanager_url}/-/ready", timeout=ANSWER_S).status_code != 200:
                return "Alertmanager is not ready"
        except RequestException as error:
            return "nothing listens at its port" if isinstance(error, Unreachable) else "Alertmanager does not answer"
        try:
            known = asking.get(f"{containers.prometheus_url}/api/v1/alertmanagers", timeout=ANSWER_S).json()
        except RequestException:
            return "Prometheus does not answer"
    return None if known["data"]["activeAlertmanagers"] else "Prometheus does not know of Alertmanager"


def wait_until_alerts_arrive(
    containers: LabContainers,
    *,
    timeout_s: float = READY_TIMEOUT_S,
    look: Callable[[LabContainers], str | None] = problem,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once Alertmanager is ready and Prometheus knows of it. Raises LabError when the limit is over."""
    deadline_s = clock() + timeout_s
    while (found := look(containers)) is not None:
        if clock() >= deadline_s:
            raise LabError(
                f"lab {containers.lab} is up, but its Alertmanager gets no alerts after {timeout_s:.0f} s: {found}; "
                f"see: docker logs {containers.alertmanager().name}"
            )
        sleep(POLL_S)
