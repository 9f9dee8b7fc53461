"""Which engine is asked: one answer for the `docker` command, docker-py and Compose."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from docker.errors import DockerException
from requests.utils import should_bypass_proxies

from mirr.lab import engine, which_engine
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


@pytest.fixture
def home_with_a_context(contexts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose current context is `rootless`, and an empty folder for DOCKER_CONFIG, which is returned."""
    home, chosen = tmp_path / "home", tmp_path / "chosen"
    chosen.mkdir()
    (home / ".docker").mkdir(parents=True)
    for name in ("config.json", "contexts"):
        (tmp_path / name).rename(home / ".docker" / name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("DOCKER_CONFIG")
    return chosen


def test_a_settings_folder_without_a_config_file_does_not_fall_back_to_the_home(
    home_with_a_context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert which_engine.configured_host() == "unix:///run/user/1000/docker.sock"
    monkeypatch.setenv("DOCKER_CONFIG", str(home_with_a_context))
    assert which_engine.configured_host() is None
    asked: list[str] = []

    def client(*, base_url: str, **_: object) -> None:
        asked.append(base_url)
        raise DockerException("nobody is asked here")

    monkeypatch.setattr("docker.DockerClient", client)
    engine.try_connect()
    assert asked == ["unix:///var/run/docker.sock"]
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    with pytest.raises(DockerException, match="DOCKER_CONTEXT is far, and there is no such context"):
        which_engine.chosen_context()


def test_a_context_is_found_in_a_settings_folder_without_a_config_file(
    home_with_a_context: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(home_with_a_context))
    (tmp_path / "home" / ".docker" / "contexts").rename(home_with_a_context / "contexts")
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert which_engine.configured_host() == "tcp://example:2375"


@pytest.mark.usefixtures("contexts")
@pytest.mark.parametrize("text", ["", "{", "[]", '{"Endpoints": []}', '{"Endpoints": {"docker": 1}}', "[" * 100_000])
def test_a_context_that_cannot_be_read_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    for meta in tmp_path.glob("contexts/meta/*/meta.json"):
        meta.write_text(text)
    assert which_engine.configured_host() is None
    found = engine.try_connect()
    assert isinstance(found, engine.EngineProblem)
    assert found.text.startswith(f"the Docker context rootless cannot be read from {tmp_path}/contexts/meta/")
    assert (found.trouble, found.remedy) == (
        engine.Trouble.WRONG_HOST,
        "unset DOCKER_CONTEXT; docker context use default",
    )


@pytest.mark.usefixtures("contexts")
@pytest.mark.parametrize("text", ["", "[]", "null", '{"currentContext": 3}', '{"currentContext": ""}', "\ufeff{}"])
def test_settings_that_cannot_be_read_choose_no_context(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert which_engine.configured_host() is None


@pytest.mark.usefixtures("contexts")
def test_a_context_with_certificates_uses_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    folder = tmp_path / "contexts" / "tls" / hashlib.sha256(b"far").hexdigest() / "docker"
    folder.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (folder / name).write_text("")
    tls = which_engine.tls_of(which_engine.chosen_context())
    assert (tls.cert, tls.ca_cert, tls.verify) == (
        (str(folder / "cert.pem"), str(folder / "key.pem")),
        str(folder / "ca.pem"),
        True,
    )
    assert which_engine.for_compose({}) == {"DOCKER_CONTEXT": "far"}


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
