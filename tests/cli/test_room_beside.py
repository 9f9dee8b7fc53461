"""The room beside a lab: `mirr room --detach` starts it, and `mirr down` ends it. No engine is asked here."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import requests

from mirr.cli.main import run
from mirr.cli.room_beside import Beside, NotStarted, end, free_port, running, start
from mirr.lab.processes import Process

Printed = pytest.CaptureFixture[str]
ADDRESS = "http://127.0.0.1:8090"


def note(state_root: Path, process: Process) -> Path:
    """As if this process were the room beside lab mirr."""
    folder = state_root / "rooms" / "mirr"
    folder.mkdir(parents=True)
    path = folder / "room.json"
    path.write_text(json.dumps({"process": asdict(process), "address": ADDRESS}))
    return path


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


@pytest.mark.thorough
def test_it_starts_once_answers_and_ends_with_all_that_it_kept(state_root: Path) -> None:
    try:
        found = start("mirr", ["--host", "127.0.0.1", "--port", "0"])
        about = requests.get(f"{found.address}/api/server", timeout=60).json()
        assert about == {"world": "docker", "shared": True, "asks_for_token": False}
        assert running("mirr") == found
        assert start("mirr", []) == found
        assert running("other") is None
    finally:
        ended = end("mirr")
    assert ended
    assert found.process.has_ended()
    assert running("mirr") is None
    assert not (state_root / "rooms" / "mirr").exists()
    assert not end("mirr")


@pytest.mark.thorough
@pytest.mark.usefixtures("state_root")
def test_a_room_that_does_not_start_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NotStarted) as why:
            start("mirr", ["--host", "127.0.0.1", "--port", str(port)])
    assert str(why.value) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; next: another --port, or --port 0 for a free one."
    )
    assert running("mirr") is None


def test_a_port_that_somebody_has_is_left_to_them() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert free_port(taken.getsockname()[1]) == 0


def test_a_room_that_has_ended_is_none(state_root: Path, sleeper: subprocess.Popen[bytes]) -> None:
    path = note(state_root, Process.of(sleeper.pid))
    assert running("mirr") == Beside(process=Process.of(sleeper.pid), address=ADDRESS)
    sleeper.kill()
    sleeper.wait()
    assert running("mirr") is None
    for text in ("", "[]", '{"process": 1}', '{"process": {"number": "x"}}'):
        path.write_text(text)
        assert running("mirr") is None


def test_down_ends_it(state_root: Path, sleeper: subprocess.Popen[bytes]) -> None:
    note(state_root, Process.of(sleeper.pid))
    assert end("mirr")
    assert sleeper.wait(timeout=60) == -15
    assert not (state_root / "rooms" / "mirr").exists()


def test_who_asks_for_a_room_on_the_lab_is_shown_the_one_that_is_there(state_root: Path, capsys: Printed) -> None:
    note(state_root, Process.this())
    for options in ([], ["--detach"]):
        assert run(["room", "--world", "docker", *options]) == 0
        assert capsys.readouterr().out == f"incident room on {ADDRESS} (world docker); open it in a browser\n"


@pytest.mark.usefixtures("state_root")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--detach"], "--detach is for the room beside a lab: it needs --world docker."),
        (
            ["--detach", "--world", "docker", "--host", "0.0.0.0"],
            "--detach is for this machine alone; for others: mirr room --world docker --host.",
        ),
    ],
)
def test_a_room_beside_no_lab_or_for_others_is_wrong_usage(options: list[str], message: str, capsys: Printed) -> None:
    assert run(["room", *options]) == 2
    assert capsys.readouterr().err == f"mirr: Invalid value: {message} See: mirr --help\n"
