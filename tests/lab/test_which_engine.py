"""Which engine is asked: one answer for the `docker` command, docker-py and Compose."""

from __future__ import annotations

import pytest
from requests.utils import should_bypass_proxies

from mirr.lab import which_engine
from mirr.lab.errors import EngineError


@pytest.mark.usefixtures("contexts")
def test_both_tools_work_on_the_engine_that_the_docker_command_would_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(**environment: str) -> tuple[str | None, dict[str, str]]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return which_engine.configured_host(), which_engine.for_compose(environment)

    rootless = "unix:///run/user/1000/docker.sock"
    assert both() == (rootless, {"DOCKER_HOST": rootless})
    assert both(DOCKER_CONTEXT="far") == ("tcp://example:2375", {"DOCKER_HOST": "tcp://example:2375"})
    assert both(DOCKER_CONTEXT="default") == (None, {})
    here = "unix:///here.sock"
    assert both(DOCKER_HOST=here, DOCKER_CONTEXT="far") == (here, {"DOCKER_HOST": here})


@pytest.mark.usefixtures("contexts")
def test_compose_gets_no_variable_that_our_own_builds_do_not_know() -> None:
    given = {"COMPOSE_FILE": "x", "DOCKER_DEFAULT_PLATFORM": "linux/arm64", "PATH": "/bin", "DOCKER_HOST": "unix:///x"}
    assert which_engine.for_compose(given) == {"PATH": "/bin", "DOCKER_HOST": "unix:///x"}


@pytest.mark.parametrize("host", ["tcp://example:2375", "ssh://me@example", "tcp://docker:2375", "http://10.0.0.2"])
def test_an_engine_on_another_machine_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineError) as raised:
        which_engine.refuse_elsewhere()
    assert str(raised.value) == (
        f"the Docker engine at {host} (from DOCKER_HOST or the Docker context) is on another machine, and a lab can be "
        "reached only on the machine of its engine; run mirr there, or choose the engine of this machine: "
        "unset DOCKER_HOST DOCKER_CONTEXT; docker context use default"
    )


@pytest.mark.parametrize("host", ["unix:///x.sock", "npipe:////./pipe/docker_engine", "tcp://127.0.0.1:2375"])
def test_an_engine_of_this_machine_is_not_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    which_engine.refuse_elsewhere()


@pytest.mark.parametrize("given", [{}, {"no_proxy": "example"}, {"NO_PROXY": ""}, {"no_proxy": "", "NO_PROXY": "x,y"}])
def test_an_engine_at_the_loopback_is_asked_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    environment = dict(given)
    which_engine.spare_the_loopback(environment)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, environment[name])
    assert should_bypass_proxies("http://127.0.0.1:2375/_ping", None)
    assert not should_bypass_proxies("http://elsewhere:2375/_ping", None)
