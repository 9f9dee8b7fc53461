"""Tests of the server with the client and the validator of OpenEnv."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from mirr.agents.registry import PolicyName, make_policy
from mirr.cli.main import run
from mirr.env.environment import Environment
from mirr.env.rollout import EpisodeResult
from mirr.env.rollout import play as play_directly
from mirr.env.scenario import Scenario, draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.interfaces.openenv import MirrAction, MirrEnv
from mirr.interfaces.openenv.server import app as server_module
from mirr.interfaces.openenv.server.app import ServerConfig, build_app, simulated, uvicorn_config
from mirr.interfaces.openenv.server.guard import TOO_EARLY
from mirr.interfaces.openenv.tasks import task_at
from tests.distributions import unpack_source
from tests.interfaces.openenv.servers import STARTS_WITHIN_S, Played, Served, play, served_here, wait_until_healthy
from tests.paths import ROOT

pytestmark = pytest.mark.thorough


def heuristic_directly(scenario: Scenario, **options: Any) -> EpisodeResult:
    policy = make_policy(PolicyName.HEURISTIC, scenario)
    return play_directly(Environment(SimulatedWorld(), **options), policy, scenario=scenario)


def assert_same(played: Played, direct: EpisodeResult) -> None:
    assert played.rewards == [move.reward for move in direct.trajectory]
    report = direct.to_json()
    assert played.last.report == {key: report[key] for key in played.last.report or {}}
    assert set(report) - set(played.last.report or {}) == {"world", "policy", "trajectory"}


def test_an_episode_through_the_client_is_the_same_as_without_a_server(server: Served) -> None:
    scenario = draw(11)
    played = asyncio.run(play(server.url, make_policy(PolicyName.HEURISTIC, scenario), dice_seed=11, seed=11))
    assert_same(played, heuristic_directly(scenario))
    assert played.last.report is not None
    assert played.last.report["outcome"] == "resolved"


def test_sixteen_clients_play_at_once_without_affecting_each_other(server: Served) -> None:
    scenarios = [draw(seed) for seed in range(16)]

    async def all_at_once() -> list[Played]:
        return await asyncio.gather(
            *(
                play(server.url, make_policy(PolicyName.HEURISTIC, one), dice_seed=one.seed, seed=one.seed)
                for one in scenarios
            )
        )

    for played, scenario in zip(asyncio.run(all_at_once()), scenarios, strict=True):
        assert_same(played, heuristic_directly(scenario))


def test_a_task_follows_its_pack(server: Served) -> None:
    index = next(index for index in range(540) if task_at("test", index).scenario.name == "false-alarm")
    task = task_at("test", index)
    policy = make_policy(PolicyName.HEURISTIC, task.scenario)
    played = asyncio.run(play(server.url, policy, dice_seed=task.scenario.seed, split="test", index=index))
    assert_same(played, heuristic_directly(task.scenario, config=task.config))
    assert (played.first.choices, played.first.situation) == (42, task.situation)


def test_the_client_works_without_async_too(server: Served) -> None:
    with MirrEnv(server.url).sync() as client:
        client.reset(seed=2, episode_id="sync")
        seen = client.step(MirrAction(action="check_logs(gateway)"))
        assert seen.observation.logs_of == "gateway"
        assert client.state().episode_id == "sync"
        with pytest.raises(RuntimeError, match=r"diagnose\(none\) is not .*; next: diagnose\(SERVICE, MODE\)"):
            client.step(MirrAction(action="diagnose(none)"))
        assert client.state().step_count == 1


def test_calls_at_once_from_one_client_run_one_after_the_other_and_each_gets_its_own_answer(server: Served) -> None:
    texts = ["check_logs(auth)", "wait", "check_logs(orders)", "restart(payments)"]

    async def body() -> None:
        async with MirrEnv(server.url) as client:
            await client.reset(seed=2)
            *answers, state = await asyncio.gather(
                *(client.step(MirrAction(action=text)) for text in texts), client.state()
            )
            assert [seen.observation.last_action for seen in answers] == texts
            assert [seen.observation.step for seen in answers] == [1, 2, 3, 4]
            assert state.step_count == 4
            waiting = asyncio.create_task(client.step(MirrAction(action="wait")))
            given_up = asyncio.create_task(client.step(MirrAction(action="restart(auth)")))
            await asyncio.sleep(0)  # both are asked now, and the second waits for the first
            given_up.cancel()
            assert (await waiting).observation.step == 5
            assert (await client.step(MirrAction(action="check_logs(auth)"))).observation.step == 6

    asyncio.run(body())


def test_a_client_that_does_not_wait_for_its_answer_loses_the_session_and_never_gets_a_wrong_answer(
    server: Served,
) -> None:
    with connect(server.ws_url) as session:
        exchange(session, "reset", {"seed": 2})
        # The server may answer some messages before it gets the next one. It does not get all of them that late.
        sent = ["check_logs(auth)", "restart(auth)"] * 10
        for action in sent:
            session.send(json.dumps({"type": "step", "data": {"action": action}}))
        answered = []
        while (answer := json.loads(session.recv()))["type"] == "observation":
            answered.append(answer["data"]["observation"]["last_action"])
        assert answered == sent[: len(answered)]
        assert 1 <= len(answered) < len(sent)
        assert answer["data"] == {"message": TOO_EARLY, "code": "SESSION_ERROR"}
        with pytest.raises(ConnectionClosed) as closed:
            session.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        1008,
        "a message came before the answer to the last one",
    )


def test_a_ping_waits_for_as_long_as_a_session_may_be_silent() -> None:
    config = ServerConfig(idle_s=900.0)
    served_as = uvicorn_config(build_app(simulated, config), config)
    assert (served_as.ws_ping_interval, served_as.ws_ping_timeout) == (20.0, 900.0)
    assert MirrEnv("http://127.0.0.1:1")._websocket_ping_timeout_s is None


def test_tasks_are_listed_over_http(server: Served) -> None:
    def ask(path: str, **body: Any) -> Any:
        return httpx.post(f"{server.url}/mirr/{path}", json=body).json()

    splits = httpx.get(f"{server.url}/mirr/splits").json()
    assert splits == [
        {"name": "train", "type": "train"},
        {"name": "test", "type": "test"},
        {"name": "train_medium", "type": "validation"},  # OpenEnv's type for every other name
        {"name": "test_medium", "type": "validation"},
        {"name": "train_hard", "type": "validation"},
        {"name": "test_hard", "type": "validation"},
    ]
    assert ask("num_tasks", split="test") == {"num_tasks": 540}
    assert ask("task", split="test", index=3) == {"task": task_at("test", 3).to_json()}
    assert [task["index"] for task in ask("task_range", split="train", start=5, stop=8)["tasks"]] == [5, 6, 7]
    assert len(ask("tasks", split="test")["tasks"]) == 540
    assert ask("task", split="test", index=540) == {"detail": "Invalid task index"}
    assert ask("num_tasks", split="dev") == {
        "detail": "unknown split 'dev'; one of: train, test, train_medium, test_medium, train_hard, test_hard"
    }


def test_the_schema_lists_the_fields_of_the_state(server: Served) -> None:
    schema = httpx.get(f"{server.url}/schema").json()
    assert {"episode_id", "step_count", "steps_left", "running", "total_reward", "earned", "report"} == set(
        schema["state"]["properties"]
    )
    assert not [field for field in schema["state"]["properties"] if "seed" in field]


def openenv(*arguments: str) -> Result:
    """Runs OpenEnv's own command in this process. It takes seconds to import."""
    from openenv.cli.__main__ import app as openenv_command  # type: ignore[import-untyped]

    return CliRunner().invoke(openenv_command, arguments)


def test_openenv_validates_the_source_distribution(
    distributions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The checkout has symbolic links, and the validator refuses them.
    monkeypatch.chdir(unpack_source(distributions / "dist", tmp_path / "source"))
    answer = openenv("validate", ".", "--level", "static")
    assert answer.output.splitlines()[-1] == "Verdict: PASS", answer.output


def test_openenv_validates_the_running_server(server: Served) -> None:
    httpx.get(f"{server.url}/openapi.json", timeout=60)  # takes long the first time, and the validator waits for 5 s
    answer = openenv("validate", server.url)
    assert answer.output.splitlines()[-1] == "Verdict: PASS", answer.output


def test_the_running_package_passes_the_checks_of_startup_reward_observation_and_state(tmp_path: Path) -> None:
    from openenv.validation import Level, run_validation  # type: ignore[import-untyped]
    from openenv.validation.types import CheckStatus  # type: ignore[import-untyped]

    from tests.interfaces.openenv.local_thread import LocalThread

    # Copies only the files that the manifest names. In the checkout, cache files may change while it is hashed.
    for name in (
        "openenv.yaml",
        "mirr/interfaces/openenv/validation.json",
        "mirr/interfaces/openenv/server/Dockerfile",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    validation = run_validation(tmp_path, max_level=Level.RUNTIME, provider=LocalThread())
    found = {result.check_id: result for result in validation.results}
    for check in ("startup", "reward_well_formed", "observation_schema", "state_contract"):
        result = found[f"runtime.{check}"]
        assert result.status is CheckStatus.PASS, (check, result.evidence)
    assert (
        found["runtime.state_contract"].measured["exchanges"] >= 6
    )  # one reset and two steps, each with a call of state
    assert not [one for one in validation.results if one.status in (CheckStatus.FAIL, CheckStatus.ERROR)]


def test_a_session_over_the_limit_is_refused_and_an_ended_session_makes_room() -> None:
    with served_here("--sessions", "2") as two, connect(two.ws_url) as first, connect(two.ws_url) as second:
        for session in (first, second):
            assert exchange(session, "reset", {"seed": 1})["type"] == "observation"
        with connect(two.ws_url) as third:
            refused = json.loads(third.recv())["data"]
        assert (refused["code"], refused["active_sessions"], refused["max_sessions"]) == ("CAPACITY_REACHED", 2, 2)
        assert refused["message"] == (
            "this server is full: 2 of 2 sessions are taken; "
            "next: end a session, or start the server with more of them: --sessions N"
        )
        first.close()
        wait_for_room(two)
        # This client disappears: its socket closes without a message.
        second.socket.shutdown(socket.SHUT_RDWR)
        wait_for_room(two)


def exchange(session: Any, kind: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    # The server closes a refused session at once. Its answer can still be read.
    with suppress(ConnectionClosed):
        session.send(json.dumps({"type": kind} | ({} if data is None else {"data": data})))
    answer: dict[str, Any] = json.loads(session.recv())
    return answer


def wait_for_room(on: Served, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        with connect(on.ws_url) as session:
            if exchange(session, "reset", {"seed": 1})["type"] == "observation":
                return
        assert time.monotonic() < deadline, "no session was freed"


def test_hundreds_of_sessions_over_the_limit_are_all_refused() -> None:
    answers: list[str] = []
    everyone = threading.Barrier(300)

    with served_here("--sessions", "8") as few:

        def open_one() -> None:
            with connect(few.ws_url, open_timeout=60) as session:
                answer = exchange(session, "reset", {"seed": 1})
                answers.append(answer["data"].get("code", answer["type"]))
                everyone.wait(timeout=60)  # all clients must ask first: a client that leaves early makes room

        threads = [threading.Thread(target=open_one) for _ in range(300)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers.count("observation") == 8
        assert answers.count("CAPACITY_REACHED") == 292
        wait_for_room(few)


def test_a_silent_session_ends_and_the_client_is_informed() -> None:
    with served_here("--sessions", "1", "--idle", "1") as one, connect(one.ws_url) as silent:
        assert exchange(silent, "reset", {"seed": 1})["type"] == "observation"
        wait_for_room(one)
        answer = exchange(silent, "step", {"action": "wait"})
        assert answer["data"]["message"] == (
            "this session has ended, as it was silent for too long; next: connect again"
        )


def test_the_option_web_serves_a_page_to_play_by_hand() -> None:
    # It takes seconds, and is no part of the time that a server has for its start.
    import openenv.core.env_server.web_interface  # type: ignore[import-untyped]  # noqa: F401

    with served_here("--web") as running:
        assert httpx.get(f"{running.url}/web/", timeout=STARTS_WITHIN_S).status_code == 200
        seen = httpx.post(f"{running.url}/web/reset", json={"seed": 3}, timeout=60).json()
        assert seen["observation"]["step"] == 0
        played = httpx.post(f"{running.url}/web/step", json={"action": {"action": "wait"}}).json()
        assert played["observation"]["step"] == 1
        wrong = httpx.post(f"{running.url}/web/step", json={"action": {"action": "reboot"}})
        assert wrong.status_code == 422
        assert wrong.json()["detail"][0]["msg"].startswith("unknown action 'reboot'; an action is a number")
        assert httpx.post(f"{running.url}/web/step", json={"action": [1]}).status_code == 422


def test_without_the_option_web_there_is_no_page(server: Served) -> None:
    assert httpx.get(f"{server.url}/web/").status_code == 404


def test_more_than_one_session_on_a_lab_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["openenv", "--world", "docker", "--sessions", "2"]) == 2
    assert capsys.readouterr().err == (
        "mirr: Invalid value: a lab plays one episode at a time; got --sessions 2. See: mirr --help\n"
    )


def test_the_error_for_a_used_port_names_the_port_and_the_next_step(
    server: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    port = server.url.rsplit(":", 1)[1]
    assert run(["openenv", "--port", port]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mirr: Invalid value: cannot listen on 127.0.0.1:{port}: ")
    assert error.endswith("; next: another --port, or --port 0 for a free one. See: mirr --help\n")


def test_the_module_alone_serves_the_simulator_until_sigterm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # `main` runs here, on the main thread, because only that thread gets signals. The client runs on another one.
    ready: Queue[str] = Queue()
    seen: list[str] = []

    def play_and_end() -> None:
        url = ready.get(timeout=STARTS_WITHIN_S)
        try:
            wait_until_healthy(url)
            with connect(url.replace("http://", "ws://") + "/ws") as session:
                seen.append(exchange(session, "reset", {"seed": 1})["type"])
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    serve = server_module.serve

    def serve_and_tell(source: Any, config: ServerConfig, announce: Callable[[str], None]) -> None:
        def tell(address: str) -> None:
            announce(address)
            ready.put(address)

        serve(source, config, tell)

    monkeypatch.setattr(server_module, "serve", serve_and_tell)
    monkeypatch.setattr(sys, "argv", ["app", "--port", "0", "--sessions", "2"])
    before = signal.getsignal(signal.SIGTERM)
    client = threading.Thread(target=play_and_end)
    client.start()
    try:
        server_module.main()
    finally:
        client.join(timeout=STARTS_WITHIN_S)
        signal.signal(signal.SIGTERM, before)
    assert seen == ["observation"]
    printed = capsys.readouterr()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", printed.out)
    assert printed.err == ""


def test_openenv_is_imported_only_when_it_is_needed() -> None:
    modules = "sys, mirr.cli.main, mirr.cli.openenv_command"
    code = f"import {modules}; print([name for name in sys.modules if 'openenv' in name])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout == "['mirr.cli.openenv_command']\n"
