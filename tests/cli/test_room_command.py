"""The command `mirr room`. The tests of the room itself are in tests/room."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mirr.bridge.prometheus import FiredAlert
from mirr.cli import room_command
from mirr.cli.main import run
from mirr.cli.worlds import WorldName
from mirr.env.world import World, WorldError
from mirr.lab.errors import LabError
from mirr.room import server
from mirr.room.alerts import Alert
from mirr.room.hall import Hall
from mirr.room.worlds import WorldSource

Printed = pytest.CaptureFixture[str]


class Served:
    """Takes the place of the server: it notes what it was given, and ends at once."""

    def __init__(self) -> None:
        self.configs: list[server.ServerConfig] = []
        self.sources: list[WorldSource] = []

    def __call__(self, hall: Hall, config: server.ServerConfig, announce: object) -> None:
        self.configs.append(config)
        self.sources.append(hall.source)
        assert callable(announce)
        announce(server.address_of(config.host, config.port))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    fake = Served()
    monkeypatch.setattr(server, "serve", fake)
    for name in ("HOST", "PORT", "MIRR_ROOM_TOKEN", "MIRR_ROOM_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    return fake


def test_on_this_machine_alone_nobody_has_to_show_a_token(served: Served, capsys: Printed) -> None:
    assert run(["room"]) == 0
    assert served.configs == [server.ServerConfig()]
    assert capsys.readouterr().out == ("incident room on http://127.0.0.1:8090 (world sim); open it in a browser\n")


def test_where_others_can_reach_it_a_token_is_made_and_printed(
    served: Served, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")
    monkeypatch.setenv("PORT", "7860")
    monkeypatch.setenv("MIRR_ROOM_HOSTS", "room.example other.example")
    assert run(["room"]) == 0
    (config,) = served.configs
    assert (config.host, config.port, config.allow_hosts) == ("0.0.0.0", 7860, ("room.example", "other.example"))
    assert config.token is not None
    assert len(config.token) >= 43
    second = capsys.readouterr().out.splitlines()[1]
    assert second == f"others can reach it, so it asks for the trainer's token: {config.token}"


def test_proxies_are_believed_only_when_told(served: Served) -> None:
    assert run(["room", "--token", "a long secret"]) == 0
    assert run(["room", "--trust-proxy", "10.0.0.1"]) == 0
    assert [config.proxies for config in served.configs] == ["", "10.0.0.1"]
    assert served.configs[0].token == "a long secret"


def test_a_token_that_can_be_guessed_is_wrong_usage(served: Served, capsys: Printed) -> None:
    assert run(["room", "--token", "secret"]) == 2
    assert capsys.readouterr().err == (
        "mirr: Invalid value: --token has at least 12 letters, or it can be guessed. See: mirr --help\n"
    )


@pytest.mark.usefixtures("served")
def test_an_empty_host_does_not_open_the_room_to_the_network(capsys: Printed) -> None:
    assert run(["room", "--host", ""]) == 2
    assert capsys.readouterr().err == (
        "mirr: Invalid value: --host is empty; leave it out, and only this machine can reach the room. "
        "See: mirr --help\n"
    )


def test_an_address_that_this_machine_does_not_have_is_named(capsys: Printed) -> None:
    assert run(["room", "--host", "999.1.1.1", "--port", "0"]) == 2
    assert "cannot listen on 999.1.1.1: this machine has no such address; next: another --host, or none" in (
        capsys.readouterr().err
    )


def test_rooms_are_kept_in_the_folder_that_was_named(served: Served, tmp_path: Path) -> None:
    assert run(["room", "--data", str(tmp_path / "a" / "b")]) == 0
    assert (tmp_path / "a" / "b" / "rooms.sqlite").exists()


@pytest.mark.usefixtures("state_root")
def test_on_the_lab_teams_take_turns(served: Served) -> None:
    assert run(["room", "--world", "docker"]) == 0
    assert [(source.name, source.shared) for source in served.sources] == [("docker", True)]


def test_a_lab_that_is_not_up_is_a_world_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> AbstractContextManager[World]:
        raise LabError("lab mirr is not up")

    monkeypatch.setattr(room_command, "open_world", absent)
    with pytest.raises(WorldError, match=r"^lab mirr is not up$"), room_command._opened(WorldName.DOCKER, "mirr"):
        pass


class Reader:
    """A Prometheus that is silent when it is told to be."""

    def __init__(self) -> None:
        self.silent = False

    def alerts(self) -> list[FiredAlert]:
        if self.silent:
            raise WorldError("Prometheus does not answer")
        return [FiredAlert(name="ServiceDown", service="orders", severity="critical", state="firing")]


def test_the_labs_prometheus_is_found_once_and_again_after_it_was_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    reader = Reader()

    def prometheus_of(lab: str) -> Reader:
        found.append(lab)
        return reader

    monkeypatch.setattr("mirr.bridge.assembly.prometheus_of", prometheus_of)
    alerts = room_command.LabAlerts("two")
    assert alerts() == alerts() == (Alert(name="ServiceDown", service="orders", severity="critical", state="firing"),)
    assert found == ["two"]
    reader.silent = True
    with pytest.raises(WorldError, match=r"^Prometheus does not answer$"):
        alerts()
    reader.silent = False
    alerts()
    assert found == ["two", "two"]


def test_the_error_names_a_port_that_is_taken(capsys: Printed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["room", "--host", "127.0.0.1", "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: Invalid value: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "next: another --port, or --port 0 for a free one. See: mirr --help\n"
    )
