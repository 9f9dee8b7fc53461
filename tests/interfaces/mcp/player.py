"""Our policies as MCP clients, and the server process on which they play."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Observation
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.scenario import draw, policy_rng
from mirr.env.vocabulary import (
    Action,
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    Feature,
    Reason,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
    parse_action,
)
from mirr.env.world import FEATURES_SHAPE, Level, LogLine
from tests.paths import ROOT

if TYPE_CHECKING:
    from fastmcp import Client
    from fastmcp.client.client import CallToolResult

MIRR = [sys.executable, "-c", "from mirr.cli.main import main; main()"]

Json = dict[str, Any]

NAMES: dict[Feature, str] = {feature: str(feature) for feature in Feature} | {
    Feature.REQUEST_RATE: "request_rate_per_s"
}


def environment() -> dict[str, str]:
    """The environment of a server in a process of its own."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def as_call(action: Action) -> tuple[str, Json]:
    """The tool for an action, and its arguments."""
    match action:
        case Wait():
            return "wait", {}
        case CheckLogs(service):
            return "check_logs", {"service": service}
        case Diagnose(service, mode):
            return "diagnose", {"service": service, "mode": mode}
        case DiagnoseNone():
            return "diagnose_none", {}
        case Restart(service):
            return "restart", {"service": service}
        case Rollback(service):
            return "rollback", {"service": service}
        case ScaleUp(service):
            return "scale_up", {"service": service}
        case _:
            assert_never(action)


def as_observation(answer: Json) -> Observation:
    """An observation, made only from an answer of the tools."""
    features = np.full(FEATURES_SHAPE, np.nan, dtype=np.float32)
    for service in Service:
        for feature, name in NAMES.items():
            value = answer["services"][service][name]
            features[SERVICE_ROW[service], FEATURE_COLUMN[feature]] = np.nan if value is None else float(value)
    return Observation(
        features=features,
        step=answer["step"],
        steps_left=answer["steps_left"],
        last_action=None if answer["last_action"] is None else parse_action(answer["last_action"]),
        last_result=answer["last_result"] or "",
        last_reason=None if answer["last_reason"] is None else Reason(answer["last_reason"]),
        logs=tuple(LogLine(**{**line, "level": Level(line["level"])}) for line in answer["logs"]),
        logs_of=None if answer["logs_of"] is None else Service(answer["logs_of"]),
    )


async def call(client: Client[Any], name: str, arguments: Json) -> Json:
    """The answer of a tool. An error of the tool raises an error."""
    return structured(await client.call_tool(name, arguments))


def text_of(result: CallToolResult) -> str:
    """The only text of a result."""
    from mcp.types import TextContent

    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def structured(result: CallToolResult) -> Json:
    """The structured content of a result."""
    assert result.structured_content is not None
    return result.structured_content


async def refused(client: Client[Any], name: str, arguments: Json) -> str:
    """The error message of a tool that refuses a call."""
    result = await client.call_tool(name, arguments, raise_on_error=False)
    assert result.is_error
    return text_of(result)


async def play_by_tools(client: Client[Any], episode_id: str) -> tuple[Json, list[str]]:
    """Our heuristic policy plays an episode. Returns the last answer and all actions."""
    policy = make_policy(PolicyName.HEURISTIC, draw(0))
    policy.reset(policy_rng(0))
    answer = await call(client, "read_metrics", {"episode_id": episode_id})
    actions = []
    while answer["state"] != "over":
        name, arguments = as_call(policy.act(as_observation(answer)))
        answer = await call(client, name, {"episode_id": episode_id, **arguments})
        actions.append(answer["last_action"])
    return answer, actions


@dataclass
class Served:
    """A server over HTTP in its own process."""

    process: subprocess.Popen[str]
    url: str
    ids: list[str]
    errors: Path
    used: int = field(default=0)

    def next_id(self) -> str:
        """An episode id that no other test has used."""
        self.used += 1
        return self.ids[self.used - 1]


@contextmanager
def served(directory: Path, *arguments: str, deadline_s: float = 60.0) -> Iterator[Served]:
    """Runs `mirr mcp --transport http` and stops it with SIGTERM, as a supervisor does."""
    errors = directory / "stderr"
    command = [*MIRR, "mcp", "--transport", "http", "--port", "0", "--json", *arguments]
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT, env=environment()
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, errors.read_text()
        answer = json.loads(line)
        yield Served(process, answer["url"], answer["episodes"], errors)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=deadline_s)
        finally:
            process.kill()
            process.wait()


def wait_for_exit(process: subprocess.Popen[Any], deadline_s: float) -> int:
    """Waits for the exit within the deadline. Returns the exit code."""
    began = time.monotonic()
    code = process.wait(timeout=deadline_s)
    assert time.monotonic() - began < deadline_s
    return code
