"""Tests of `mirr mcp` over stdin and stdout, as a client starts it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mirr.env.record import read_rollout
from mirr.env.recorded import play_back
from tests.interfaces.mcp.player import MIRR, call, environment, play_by_tools, wait_for_exit
from tests.paths import ROOT

pytestmark = pytest.mark.thorough

Printed = pytest.CaptureFixture[str]
Process = subprocess.Popen[str]

DEADLINE_S = 120.0

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def test_a_client_resolves_episodes_over_stdio(tmp_path: Path) -> None:
    async def talk() -> list[str]:
        from fastmcp import Client
        from fastmcp.client.transports import StdioTransport

        arguments = [*MIRR[1:], "mcp", "--seed", "7", "--episodes", "2", "--record", str(tmp_path)]
        errors = tmp_path / "stderr"
        transport = StdioTransport(MIRR[0], arguments, env=environment(), cwd=str(ROOT), log_file=errors)
        async with Client(transport) as client:
            listed = await call(client, "list_episodes", {})
            ids = [episode["episode_id"] for episode in listed["episodes"]]
            for episode_id in ids:
                answer, _ = await play_by_tools(client, episode_id)
                assert answer["ending"]["outcome"] == "resolved"
                assert answer["ending"]["diagnosis_correct"] is True
        messages = errors.read_text()
        assert [f"mirr: episode {episode_id}" for episode_id in ids] == messages.splitlines()[:2]
        assert f"mirr: episode {ids[0]} resolved after " in messages
        return ids

    for seed, episode_id in enumerate(asyncio.run(talk()), start=7):
        rollout = read_rollout(tmp_path / f"{episode_id}.jsonl")
        assert rollout.scenario.seed == seed
        assert play_back(rollout).differences == ()


@contextmanager
def started(errors: Path) -> Iterator[Process]:
    """A server that gets any line as input. Its stderr must hold only messages of mirr."""
    with errors.open("w") as stderr:
        server = subprocess.Popen(
            [*MIRR, "mcp", "--seed", "7"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=ROOT,
            env=environment(),
        )
    deadline = threading.Timer(DEADLINE_S, server.kill)  # then a test that waits for a line fails
    deadline.start()
    try:
        yield server
    finally:
        deadline.cancel()
        server.kill()
        server.wait()
        for pipe in (server.stdin, server.stdout):
            assert pipe is not None
            pipe.close()
    lines = errors.read_text().splitlines()
    assert [line for line in lines if not line.startswith("mirr: ")] == []


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A server for one test, which may end it."""
    with started(tmp_path / "stderr") as server:
        yield server


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """A server that goes on whatever it gets. Tests share it, because it takes seconds to start. SIGTERM ends it."""

    process: Process
    before_initialize: dict[str, Any]  # the answer to a call that came too early


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conversation]:
    with started(tmp_path_factory.mktemp("mcp") / "stderr") as server:
        send(server, '{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "list_episodes"}}')
        early = answer_to(server, 7)
        initialize(server)
        yield Conversation(process=server, before_initialize=early)
        # Its client still listens. test_stdin.py sends SIGINT, which is handled in the same way.
        server.send_signal(signal.SIGTERM)
        assert wait_for_exit(server, 20.0) == 130


def send(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def next_line(process: Process) -> dict[str, Any]:
    """The next line of the server. Every line on its stdout must be a protocol message."""
    assert process.stdout is not None
    text = process.stdout.readline()
    assert text, "the server has ended"
    line: dict[str, Any] = json.loads(text)
    assert line["jsonrpc"] == "2.0"
    return line


def answer_to(process: Process, number: int) -> dict[str, Any]:
    """The answer to a request. Other lines before it are skipped."""
    while (line := next_line(process)).get("id") != number:
        pass
    return line


def ping(process: Process, number: int) -> dict[str, Any]:
    send(process, json.dumps({"jsonrpc": "2.0", "id": number, "method": "ping"}))
    return answer_to(process, number)


def initialize(process: Process) -> None:
    send(process, json.dumps(HELLO))
    assert answer_to(process, 1)["result"]["serverInfo"]["name"] == "mirr-lab"
    send(process, json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))


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


def test_a_malformed_message_gets_a_complaint_and_the_server_goes_on(conversation: Conversation) -> None:
    process = conversation.process
    for number, malformed in enumerate(MALFORMED, start=100):
        send(process, malformed)
        complaint = next_line(process)
        assert (complaint["method"], complaint["params"]["level"]) == ("notifications/message", "error")
        assert ping(process, number)["result"] == {}
    for number, unexpected in enumerate(UNEXPECTED, start=200):
        send(process, unexpected)
        assert ping(process, number)["result"] == {}


def test_a_bad_request_gets_an_error(conversation: Conversation) -> None:
    process = conversation.process
    for number, request in enumerate(REFUSED, start=300):
        send(process, json.dumps({"jsonrpc": "2.0", "id": number, **request}))
        answer = answer_to(process, number)
        assert "error" in answer, request
        assert "Traceback" not in json.dumps(answer)


def test_a_call_before_initialize_is_an_error_and_the_server_goes_on(conversation: Conversation) -> None:
    assert "error" in conversation.before_initialize
    assert ping(conversation.process, 400)["result"] == {}


def test_the_server_exits_when_its_client_closes_stdin(process: Process) -> None:
    initialize(process)
    assert process.stdin is not None
    process.stdin.close()
    assert wait_for_exit(process, 20.0) == 0
