"""Agents in another process, over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest

from mirr.agents.brought import make_agent, parse_agent
from mirr.agents.over_http import HOSTS_VARIABLE, LARGEST_ANSWER_BYTES, BadAnswer, HttpAgent, question
from mirr.env.environment import Environment, Observation
from mirr.env.rollout import EpisodeResult, play
from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Fault, UnknownName, action_text, parse_action
from tests.paths import ROOT

CRASH = Fault.parse("crashed:auth")


@contextmanager
def server(answer: Callable[[dict[str, Any]], tuple[int, bytes]]) -> Iterator[str]:
    """A server on this machine that answers like this. Gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, content = answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{served.server_port}/act"
        finally:
            served.shutdown()
            thread.join()


def first_observation() -> Observation:
    return Environment(SimulatedWorld()).reset(seed=1, fault=CRASH)[0]


def actions(result: EpisodeResult) -> list[str]:
    return [action_text(move.action) for move in result.trajectory]


def test_the_agent_gets_the_observation_and_nothing_else() -> None:
    environment = Environment(SimulatedWorld())
    environment.reset(seed=1, fault=CRASH)
    observation, *_ = environment.step(parse_action("check_logs(orders)"))
    asked = json.loads(json.dumps(question(observation, "the episode")))
    about_the_step = {"version", "episode", "step", "steps_left", "features", "text"}
    assert set(asked) == about_the_step | {"last_action", "result", "reason", "logs_of", "logs"}
    assert (asked["version"], asked["step"], asked["steps_left"]) == (1, 1, 29)
    assert asked["features"][1] == [0.0, *[None] * 6]
    assert (asked["last_action"], asked["reason"], asked["logs_of"]) == ("check_logs(orders)", "done", "orders")
    assert set(asked["logs"][0]) == {"age_s", "level", "event", "text"}


def test_its_answer_is_played_as_text_or_as_number() -> None:
    answers = iter(['{"action": "diagnose(auth, crashed)"}', '{"action": 27}'])
    with server(lambda _: (200, next(answers, '{"action": "wait"}').encode())) as address:
        result = play(Environment(SimulatedWorld()), make_agent(parse_agent(address), draw(1)), seed=1, fault=CRASH)
    assert actions(result)[:3] == ["diagnose(auth, crashed)", "restart(auth)", "wait"]
    assert result.report.clean
    assert result.lost_steps == ()


def test_every_episode_has_a_name_of_its_own() -> None:
    names: list[str] = []
    agent = HttpAgent("http://127.0.0.1:1/act")
    for _ in range(2):
        agent.reset(np.random.default_rng(0))
        names += [agent._episode, agent._episode]
    assert names[0] == names[1] != names[2] == names[3]


@pytest.mark.parametrize(
    ("status", "content", "why"),
    [
        (500, b"", "{address} answered 500 Internal Server Error"),
        (200, b"wait", "the answer is not JSON: 'wait'"),
        (200, b'["wait"]', "the answer has no action: ['wait']"),
        (200, b" " * (LARGEST_ANSWER_BYTES + 1), f"the answer has more than {LARGEST_ANSWER_BYTES} bytes"),
    ],
    ids=["an error", "no JSON", "no action", "too much"],
)
def test_an_answer_without_an_action_says_what_is_wrong(status: int, content: bytes, why: str) -> None:
    with server(lambda _: (status, content)) as address, pytest.raises(BadAnswer) as caught:
        HttpAgent(address).act(first_observation())
    assert str(caught.value) == why.format(address=address)


def test_a_server_that_is_gone_costs_steps_and_not_the_run() -> None:
    with server(lambda _: (200, b"{}")) as address:
        pass
    result = play(Environment(SimulatedWorld()), make_agent(address, draw(1)), seed=1, fault=CRASH)
    assert set(actions(result)) == {"wait"}
    assert len(result.lost_steps) == result.report.steps
    assert result.lost_steps[0].why == "it raised ConnectionRefusedError: [Errno 111] Connection refused"


@pytest.mark.parametrize("host", ["10.0.0.5", "example.org", "[2001:db8::1]"])
def test_an_agent_elsewhere_is_refused_until_the_user_allows_its_host(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    address, bare = f"http://{host}:8500/act", host.strip("[]")
    with pytest.raises(UnknownName) as caught:
        parse_agent(address)
    assert str(caught.value) == (
        f"'{address}' is not on this machine, and would see everything that an agent sees; if it may: "
        f"{HOSTS_VARIABLE}={bare}"
    )
    monkeypatch.setenv(HOSTS_VARIABLE, f"other, {bare}")
    assert parse_agent(address) == address


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_is_always_allowed(host: str) -> None:
    address = f"http://{host}:8500/act"
    assert parse_agent(address) == address


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http:///act", "'http:///act' names no host; as in http://127.0.0.1:PORT/act"),
        (
            "http://127.0.0.1:PORT/act",
            "'http://127.0.0.1:PORT/act' is no address of an agent (Port could not be cast to integer value as "
            "'PORT'); as in http://127.0.0.1:PORT/act",
        ),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, message: str) -> None:
    with pytest.raises(UnknownName) as caught:
        parse_agent(address)
    assert str(caught.value) == message


def test_features_that_cannot_be_measured_are_null() -> None:
    observation = replace(first_observation(), features=np.full((5, 7), np.nan, dtype=np.float32))
    assert question(observation, "")["features"] == [[None] * 7] * 5


@pytest.mark.thorough
def test_the_example_in_a_process_of_its_own_resolves_a_crash() -> None:
    command = [sys.executable, str(ROOT / "docs" / "examples" / "http_agent.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            result = play(Environment(SimulatedWorld()), make_agent(address, draw(1)), seed=1, fault=CRASH)
        finally:
            process.kill()
    assert actions(result)[:2] == ["diagnose(auth, crashed)", "restart(auth)"]
    assert result.report.clean
