"""An engine on which no lab can run is refused at once, by name."""

from __future__ import annotations

import pytest

from mirr.lab.errors import EngineError
from mirr.lab.suitable import refuse_unsuitable
from tests.lab.fakes import FakeEngine


@pytest.fixture(autouse=True)
def default_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///engine.sock")


def test_an_engine_that_can_limit_everything_is_suitable() -> None:
    refuse_unsuitable(FakeEngine().client)


def test_podman_is_refused_by_name() -> None:
    podman = FakeEngine()
    podman.components = ["Podman Engine", "Conmon"]
    with pytest.raises(EngineError) as raised:
        refuse_unsuitable(podman.client)
    assert str(raised.value) == (
        "what answers at unix:///engine.sock is Podman, and a lab needs a Docker engine: Podman cannot change the "
        "limits of a running container in the same way; next: install Docker, or point DOCKER_HOST to a Docker engine"
    )


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (
            ["name=seccomp,profile=builtin", "name=rootless"],
            "let your user limit them: sudo systemctl edit user@.service, with the lines [Service] and "
            "Delegate=cpu cpuset io memory pids; then log in again",
        ),
        (["name=seccomp,profile=builtin"], "boot with: cgroup_enable=memory swapaccount=1"),
    ],
)
def test_an_engine_that_cannot_limit_cpu_is_refused_and_the_remedy_fits_it(options: list[str], remedy: str) -> None:
    engine = FakeEngine()
    engine.facts |= {"CpuCfsQuota": False, "PidsLimit": False, "SecurityOptions": options}
    with pytest.raises(EngineError) as raised:
        refuse_unsuitable(engine.client)
    assert str(raised.value) == (
        "the Docker engine at unix:///engine.sock cannot limit CPU quota, processes, and a lab needs that: a flash "
        f"crowd would overload nothing, and a leak would fill this machine; next: {remedy}"
    )
