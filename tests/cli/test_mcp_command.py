"""The command `mirr mcp`. The tests of the server itself are in tests/interfaces/mcp."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from mirr.cli.main import run

Printed = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--world", "mars"], "unknown world 'mars'; one of: sim, docker"),
        (["--seed", "-1"], "a seed is a whole number from 0 up; got -1"),
        (["--scenario", "nowhere.yaml"], "cannot read the scenario nowhere.yaml: No such file or directory"),
        (
            ["--tool-prefix", "the lab/"],
            "Invalid value: --tool-prefix 'the lab/': a prefix has at most 32 letters, digits, _ and -, as in lab_. "
            "See: mirr --help",
        ),
        (["--record", "nowhere"], "Invalid value: --record nowhere: there is no such directory. See: mirr --help"),
    ],
)
def test_an_exam_that_cannot_start_is_wrong_usage(capsys: Printed, arguments: list[str], message: str) -> None:
    assert run(["mcp", *arguments]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"mirr: {message}\n")


@pytest.mark.thorough
def test_the_error_names_a_port_that_is_taken(capsys: Printed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["mcp", "--transport", "http", "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"mirr: cannot listen on 127.0.0.1:{port}: Address already in use; next: --port 0 takes a free one\n"
    )


@pytest.mark.docker
def test_a_lab_that_is_not_up_is_an_error_before_the_exam(capsys: Printed, state_root: Path) -> None:
    assert run(["mcp", "--world", "docker", "--lab", "mirr-absent"]) == 3
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (
        "",
        "mirr: lab mirr-absent is not up; start it with: make up LAB=mirr-absent\n",
    )


def test_the_error_without_fastmcp_says_how_to_install_it(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastmcp", None)
    assert run(["mcp"]) == 2
    assert (
        capsys.readouterr().err
        == "mirr: the MCP server needs fastmcp; next: .venv/bin/pip install --editable '.[mcp]'\n"
    )
