"""The policy `llm` as a command chooses it: with the endpoint that the environment variables name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mirr.agents.llm.policy import line_from_environment
from mirr.agents.registry import PolicyName, make_policy
from mirr.cli.main import run
from mirr.env.environment import Environment
from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import action_text
from tests.agents.llm.endpoint import SOLVED, call, endpoint, in_turn
from tests.late import need

need("openai", "llm-agent")


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing is remembered of the environment variables."""
    line_from_environment.cache_clear()
    yield
    line_from_environment.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_the_command_line_plays_with_the_endpoint_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint(in_turn(*SOLVED)) as stub:
        monkeypatch.setenv("OPENAI_BASE_URL", stub.url)
        monkeypatch.setenv("MIRR_LLM_MODEL", "tiny")
        monkeypatch.setenv("MIRR_LLM_TRANSCRIPTS", str(tmp_path / "kept"))
        assert run(["episode", "--policy", "llm", "--fault", "crashed:auth", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clean"]
    assert len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.usefixtures("fresh")
def test_without_an_endpoint_the_command_line_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert run(["episode", "--policy", "llm", "--world", "docker"]) == 2
    assert capsys.readouterr().err.startswith("mirr: the policy llm has no model to ask; next: set GROQ_API_KEY")


@pytest.mark.usefixtures("fresh")
def test_where_the_alarm_may_be_false_there_is_a_tool_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(in_turn(call("diagnose_none"))) as stub:
        monkeypatch.setenv("OPENAI_BASE_URL", stub.url)
        monkeypatch.setenv("MIRR_LLM_MODEL", "tiny")
        monkeypatch.setenv("MIRR_LLM_TRANSCRIPTS", "")
        policy = make_policy(PolicyName.LLM, replace(draw(1), name="a pack"))
        policy.reset(np.random.default_rng(0))
        seen, _ = Environment(SimulatedWorld()).reset(seed=1)
        assert action_text(policy.act(seen)) == "diagnose(none)"
    assert stub.requests[0]["tools"][-1]["function"]["name"] == "diagnose_none"
