"""An exam on the real lab: one episode at a time, and nothing left broken."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fastmcp import Client

from chaos.journal import Journal
from env.record import read_rollout
from env.recorded import play_back
from env.scenario import draw
from env.vocabulary import FaultMode
from lab.state import state_dir
from tests.interfaces.mcp.player import call, play_by_tools, refused, served

pytestmark = pytest.mark.docker

SEED = 0  # a bad deploy; the next one is a crash


def test_a_client_resolves_an_episode_on_the_lab_and_a_server_that_is_told_to_end_mends_it(
    real_lab: str, tmp_path: Path
) -> None:
    assert draw(SEED).faults[0].mode is FaultMode.BAD_DEPLOY
    journal = Journal(state_dir(real_lab))
    options = ("--world", "docker", "--lab", real_lab, "--seed", str(SEED), "--episodes", "2")
    with served(tmp_path, *options, "--record", str(tmp_path)) as server:
        first, second = server.ids

        async def talk() -> None:
            async with Client(server.url) as client:
                begun = await call(client, "read_metrics", {"episode_id": first})
                assert begun["state"] == "running"
                assert await refused(client, "read_metrics", {"episode_id": second}) == (
                    "another episode is being played, at most 1 at a time; next: play that one to its end, "
                    "or try again when it has rested for 600 s"
                )
                ended, _ = await play_by_tools(client, first)
                assert ended["ending"]["outcome"] == "resolved", ended
                assert journal.open_faults() == []
                assert (await call(client, "wait", {"episode_id": second}))["step"] == 1
                assert journal.open_faults() != []

        asyncio.run(talk())
    assert server.process.returncode == 130
    assert journal.open_faults() == []
    assert play_back(read_rollout(tmp_path / f"{first}.jsonl")).differences == ()
    told = server.errors.read_text()
    assert "Traceback" not in told
    assert f"mirr: episode {second} was given up: the exam was closed\n" in told
