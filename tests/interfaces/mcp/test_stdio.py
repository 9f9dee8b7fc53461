"""`mirr mcp` over standard streams, as a client starts it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from mirr.env.record import read_rollout
from mirr.env.recorded import play_back
from tests.interfaces.mcp.player import ENVIRONMENT, MIRR, call, play_by_tools, wait_for_exit
from tests.paths import ROOT

Printed = pytest.CaptureFixture[str]
Process = subprocess.Popen[str]

DEADLINE_S = 60.0
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def test_a_client_resolves_episodes_over_stdio(tmp_path: Path) -> None:
    async def talk() -> list[str]:
        arguments = [*MIRR[1:], "mcp", "--seed", "7", "--episodes", "2", "--record", str(tmp_path)]
        errors = tmp_path / "stderr"
        transport = StdioTransport(MIRR[0], arguments, env=ENVIRONMENT, cwd=str(ROOT), log_file=errors)
        async with Client(transport) as client:
            listed = await call(client, "list_episodes", {})
            ids = [episode["episode_id"] for episode in listed["episodes"]]
            for episode_id in ids:
                answer, _ = await play_by_tools(client, episode_id)
                assert answer["ending"]["outcome"] == "resolved"
                assert answer["ending"]["diagnosis_correct"] is True
        told = errors.read_text()
        assert [f"mirr: episode {episode_id}" for episode_id in ids] == told.splitlines()[:2]
        assert f"mirr: episode {ids[0]} resolved after " in told
        return ids

    for seed, episode_id in enumerate(asyncio.run(talk()), start=7):
        rollout = read_rollout(tmp_path / f"{episode_id}.jsonl")
        assert rollout.scenario.seed == seed
        assert play_back(rollout).differences == ()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A server to which anything can be said, and which writes of no accident."""
    errors = tmp_path / "stderr"
    with errors.open("w") as stderr:
        started = subprocess.Popen(
            [*MIRR, "mcp", "--seed", "7"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=ROOT,
            env=ENVIRONMENT,
        )
    deadline = threading.Timer(DEADLINE_S, started.kill)  # a test that waits for a line then finds the end
    deadline.start()
    try:
        yield started
    finally:
        deadline.cancel()
        started.kill()
        started.wait()
        for pipe in (started.stdin, started.stdout):
            assert pipe is not None
            pipe.close()
    lines = errors.read_text().splitlines()
    assert [line for line in lines if not line.startswith("mirr: ")] == []


def say(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def next_line(process: Process) -> dict[str, Any]:
    """What the server says next; every line of its stdout is one of the protocol."""
    assert process.stdout is not None
    text = process.stdout.readline()
    assert text, "the server has ended"
    line: dict[str, Any] = json.loads(text)
    assert line["jsonrpc"] == "2.0"
    return line


def answer_to(process: Process, number: int) -> dict[str, Any]:
    """The answer to a request, whatever else is said before it."""
    while (line := next_line(process)).get("id") != number:
        pass
    return line


def ping(process: Process, number: int) -> dict[str, Any]:
    say(process, json.dumps({"jsonrpc": "2.0", "id": number, "method": "ping"}))
    return answer_to(process, number)


def greet(process: Process) -> None:
    say(process, json.dumps(HELLO))
    assert answer_to(process, 1)["result"]["serverInfo"]["name"] == "mirr-lab"
    say(process, json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))


MALFORMED = [
    "",
    "no JSON",
    "{",
    "[]",
    "[1, 2]",
    "null",
    '"text"',
    "{}",
    '{"jsonrpc": "1.0", "id": 5, "method": "ping"}',
    '{"jsonrpc": "2.0", "method": 5}',
    '{"jsonrpc": "2.0", "id": 902, "method": "tools/call", "params": "wait"}',
    "[" * 5000,
    '{"a":' * 3000,
    "\x00\x01\x02",
    "x" * 200_000,
]
UNEXPECTED = [
    '{"jsonrpc": "2.0", "id": {}, "method": "ping"}',
    '{"jsonrpc": "2.0", "id": null, "method": "ping"}',
    '{"jsonrpc": "2.0", "id": 900, "result": {}}',
    '{"jsonrpc": "2.0", "id": 901, "error": {"code": 1, "message": "m"}}',
    '{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 12345}}',
    '{"jsonrpc": "2.0", "method": "notifications/nothing", "params": {"a": [1]}}',
]
REFUSED: list[dict[str, Any]] = [
    {"method": "nothing/at_all"},
    {"method": "tools/call"},
    {"method": "tools/call", "params": {}},
    {"method": "tools/call", "params": {"name": 5}},
    {"method": "tools/call", "params": {"name": "wait", "arguments": [1]}},
    {"method": "resources/read", "params": {"uri": "file:///etc/passwd"}},
    {"method": "prompts/get", "params": {"name": "truth"}},
]


def test_what_is_no_request_is_complained_of_and_ends_nothing(process: Process) -> None:
    greet(process)
    for number, malformed in enumerate(MALFORMED, start=100):
        say(process, malformed)
        complaint = next_line(process)
        assert (complaint["method"], complaint["params"]["level"]) == ("notifications/message", "error")
        assert ping(process, number)["result"] == {}
    for number, unexpected in enumerate(UNEXPECTED, start=200):
        say(process, unexpected)
        assert ping(process, number)["result"] == {}


def test_a_bad_request_gets_an_error(process: Process) -> None:
    greet(process)
    for number, request in enumerate(REFUSED, start=300):
        say(process, json.dumps({"jsonrpc": "2.0", "id": number, **request}))
        told = answer_to(process, number)
        assert "error" in told, request
        assert "Traceback" not in json.dumps(told)


def test_a_call_before_the_greeting_is_an_error_and_no_end(process: Process) -> None:
    say(process, '{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "list_episodes"}}')
    assert "error" in answer_to(process, 7)
    greet(process)


def test_the_server_ends_with_its_client(process: Process) -> None:
    greet(process)
    assert process.stdin is not None
    process.stdin.close()
    assert wait_for_exit(process, 20.0) == 0


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_when_it_is_told_to_though_its_client_still_listens(
    process: Process, told: signal.Signals
) -> None:
    greet(process)
    process.send_signal(told)
    assert wait_for_exit(process, 20.0) == 130
