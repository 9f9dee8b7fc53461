"""Tests of the server on the real lab: one session at a time plays, and the lab is clean afterwards."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.sync.client import connect

from mirr.agents.baselines import OraclePolicy
from mirr.chaos.journal import Journal
from mirr.env.scenario import draw
from mirr.env.vocabulary import FaultMode
from mirr.interfaces.openenv import MirrAction, MirrEnv
from mirr.lab.footprint import differences
from mirr.lab.state import state_dir
from tests.cli.on_real_lab import made_of, wait_until
from tests.interfaces.openenv.servers import Played, Served, play, served

pytestmark = pytest.mark.docker

CRASH = next(draw(seed) for seed in range(100) if draw(seed).faults[0].mode is FaultMode.CRASHED)


def on(lab: str) -> Any:
    return served("--world", "docker", "--lab", lab)


def refusal_of_a_second_client(server: Served) -> str:
    with connect(server.ws_url) as second:
        answer: dict[str, Any] = json.loads(second.recv(timeout=30))
    return str(answer["data"]["message"])


def play_oracle_when_a_session_is_free(server: Served, timeout_s: float = 10.0) -> Played:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return asyncio.run(play(server.url, OraclePolicy(CRASH), dice_seed=CRASH.seed, seed=CRASH.seed))
        except RuntimeError as error:
            if "CAPACITY_REACHED" not in str(error) or time.monotonic() > deadline:
                raise


def test_one_client_at_a_time_plays_on_real_containers_and_every_end_leaves_the_lab_as_it_was(real_lab: str) -> None:
    before, journal = made_of(real_lab), Journal(state_dir(real_lab))
    with ExitStack() as stack, on(real_lab) as server:
        with connect(server.ws_url) as first:
            first.send(json.dumps({"type": "state"}))
            assert json.loads(first.recv(timeout=30))["type"] == "state"
            first.send(json.dumps({"type": "reset", "data": {"seed": CRASH.seed}}))
            assert refusal_of_a_second_client(server) == (
                "this server is full: 1 of 1 sessions are taken; next: try again when that session has ended, or was "
                "silent for 1800 s (--idle); a lab plays one episode at a time, so --sessions cannot make room"
            )
            assert json.loads(first.recv(timeout=120))["type"] == "observation"
        # The first client left during its episode. The next client waits until the lab is reverted.
        played = play_oracle_when_a_session_is_free(server)
        assert played.last.report is not None
        assert played.last.report["outcome"] == "resolved", played.last.report
        assert played.last.report["scenario"] == CRASH.to_json()
        # The server ends the session after its client has gone.
        wait_until(lambda: differences(before, made_of(real_lab)) == [], "a lab as it was")
        assert journal.open_faults() == []
        # The last client closes only after the server, so the server stops while a session is open.
        last = stack.enter_context(MirrEnv(server.url).sync())
        last.reset(seed=CRASH.seed)
        assert [str(entry.fault) for entry in journal.open_faults()] == [str(CRASH.faults[0])]
        last.step(MirrAction(action="wait"))
    assert journal.open_faults() == []
    assert differences(before, made_of(real_lab)) == []
