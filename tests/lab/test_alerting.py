"""A lab's Prometheus is told where the lab's Alertmanager is, and `up` waits until both know of each other."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from mirr.lab.alerting import ADDRESS, TARGETS, announce, problem, wait_until_alerts_arrive
from mirr.lab.containers import LabContainers
from mirr.lab.errors import LabError
from mirr.lab.names import Role
from tests.fakes.clock import FakeClock
from tests.lab.fakes import FakeContainer, FakeEngine, container

READY, KNOWN = "http://127.0.0.1:9093/-/ready", "http://127.0.0.1:9090/api/v1/alertmanagers"


def prometheus(**more: Any) -> FakeContainer:
    return container(Role.PROMETHEUS, ports={"9090/tcp": "9090"}, **more)


def lab(*parts: FakeContainer) -> LabContainers:
    alertmanager = container(Role.ALERTMANAGER, ports={"9093/tcp": "9093"})
    return LabContainers(FakeEngine(alertmanager, *(parts or (prometheus(),))).client, "mirr")


class FakeSession:
    """Answers with a status and a body for each address; nothing listens at any other."""

    def __init__(self, **bodies: tuple[int, Any]) -> None:
        self._answers = {{"ready": READY, "known": KNOWN}[name]: answer for name, answer in bodies.items()}

    def __call__(self) -> requests.Session:
        return cast("requests.Session", self)

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def get(self, url: str, *, timeout: float) -> requests.Response:
        if url not in self._answers:
            raise requests.ConnectionError(f"nothing at {url}")
        status, body = self._answers[url]
        if body is requests.Timeout:
            raise requests.Timeout
        answer = requests.Response()
        answer.status_code, answer._content = status, json.dumps(body).encode()
        return answer


def active(*addresses: str) -> tuple[int, Any]:
    return 200, {"status": "success", "data": {"activeAlertmanagers": [{"url": one} for one in addresses]}}


def test_prometheus_is_told_of_alertmanager_in_a_file_that_it_never_sees_half_written(tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    server = prometheus()
    announce(lab(server))
    ((_, option, command),) = server.ran
    # The command itself, on a folder of this machine.
    subprocess.run([shell, option, command.replace("/prometheus", str(tmp_path))], check=True, timeout=10)
    assert json.loads((tmp_path / Path(TARGETS).name).read_text()) == [{"targets": [ADDRESS]}]
    assert [path.name for path in tmp_path.iterdir()] == [Path(TARGETS).name]
    assert command.index(f"> {TARGETS}.new &&") < command.index(f"mv {TARGETS}.new {TARGETS}")


def test_the_error_says_why_prometheus_could_not_be_told() -> None:
    with pytest.raises(LabError) as raised:
        announce(lab(prometheus(answer=(2, b"sh: can't create: No space left on device\n"))))
    assert str(raised.value) == (
        "the Prometheus of lab mirr could not be told of Alertmanager: sh: can't create: No space left on device; "
        "next: .venv/bin/mirr up --alertmanager"
    )


@pytest.mark.parametrize(
    ("session", "found"),
    [
        (FakeSession(), "nothing listens at its port"),
        (FakeSession(ready=(200, requests.Timeout)), "Alertmanager does not answer"),
        (FakeSession(ready=(503, "")), "Alertmanager is not ready"),
        (FakeSession(ready=(200, "")), "Prometheus does not answer"),
        (FakeSession(ready=(200, ""), known=active()), "Prometheus does not know of Alertmanager"),
        (FakeSession(ready=(200, ""), known=active(f"http://{ADDRESS}/api/v2/alerts")), None),
    ],
)
def test_alerts_arrive_once_alertmanager_is_ready_and_prometheus_knows_of_it(
    session: FakeSession, found: str | None
) -> None:
    assert problem(lab(), session) == found


def test_up_waits_until_alerts_arrive() -> None:
    clock, problems = FakeClock(), ["nothing listens at its port", "Alertmanager is not ready", None]
    wait_until_alerts_arrive(lab(), look=lambda _: problems.pop(0), clock=clock.now, sleep=clock.sleep)
    assert problems == []


def test_up_waits_for_alertmanager_no_longer_than_its_limit() -> None:
    clock = FakeClock()
    with pytest.raises(LabError) as raised:
        wait_until_alerts_arrive(
            lab(), timeout_s=30, look=lambda _: "nothing listens at its port", clock=clock.now, sleep=clock.sleep
        )
    assert clock.now() == 1_030.0
    assert str(raised.value) == (
        "lab mirr is up, but its Alertmanager gets no alerts after 30 s: nothing listens at its port; "
        "see: docker logs mirr-alertmanager"
    )
