"""The policy `llm` against a stub endpoint: tools, text, rate limits, time-outs, nonsense, and an empty budget."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirr.agents.llm import asking
from mirr.agents.llm.asking import Dialect, Loss
from mirr.agents.llm.policy import Line, LlmPolicy
from mirr.agents.llm.settings import Endpoint as Where
from mirr.agents.llm.settings import Limits, Prices, Settings
from mirr.agents.llm.transcript import Transcript
from mirr.agents.llm.transport import open_endpoint
from mirr.env.environment import Environment, Observation
from mirr.env.reward import Outcome
from mirr.env.rollout import EpisodeResult, play
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Fault, action_text
from tests.agents.llm.endpoint import SOLVED, Answer, Endpoint, Script, call, endpoint, in_turn, message, refusal
from tests.late import need

need("openai", "llm-agent")

FAULT = Fault.parse("crashed:auth")
WRITTEN = (message("It is down.\ndiagnose(auth, crashed)"), message("restart(auth)"), message("wait"))


@dataclass
class FakeTime:
    """A clock that stands still but for pauses."""

    now_s: float = 1000.0
    slept_s: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


@dataclass
class Session:
    """A policy that asks a stub, and what came of it."""

    stub: Endpoint
    line: Line
    time: FakeTime
    file: Path

    def play(self) -> EpisodeResult:
        policy = LlmPolicy(self.line, none_diagnosis=False, seed=3, tier="easy")
        return play(Environment(SimulatedWorld()), policy, seed=3, fault=FAULT)

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The lines about steps in the transcript."""
        return [line for line in self.lines if line["kind"] == "step"]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines()]


@contextmanager
def session(
    script: Script, tmp_path: Path, *, limits: Limits | None = None, tools: bool = True, prices: Prices | None = None
) -> Iterator[Session]:
    with endpoint(script) as stub:
        where = Where(base_url=stub.url, model="tiny", key="secret")
        settings = Settings(endpoint=where, limits=limits or Limits(), tools=tools, prices=prices)
        file, time = tmp_path / "transcript.jsonl", FakeTime()
        line = Line(
            settings=settings,
            send=open_endpoint(where),
            transcript=Transcript(file),
            dialect=Dialect(tools),
            now=time.now,
            sleep=time.sleep,
        )
        yield Session(stub, line, time, file)


def actions(result: EpisodeResult) -> list[str]:
    return [action_text(move.action) for move in result.trajectory]


def test_an_incident_is_solved_with_tools(tmp_path: Path) -> None:
    with session(in_turn(*SOLVED), tmp_path) as played:
        result = played.play()
    assert result.report.clean
    assert actions(result)[:2] == ["diagnose(auth, crashed)", "restart(auth)"]
    first, second, *_ = played.stub.requests
    assert (first["path"], first["model"], first["max_tokens"]) == ("/v1/chat/completions", "tiny", 1024)
    assert played.stub.keys[0] == "Bearer secret"
    assert len(first["tools"]) == 6
    assert [each["role"] for each in first["messages"]] == ["system", "user"]
    assert first["messages"][0]["content"].startswith("You are on call for five services under real traffic: ")
    assert first["messages"][0]["content"].endswith("\nCall one tool in each step.")
    assert first["messages"][1]["content"].endswith("step 0, 30 left")
    assert [each["role"] for each in second["messages"]] == ["system", "user", "assistant", "tool"]
    called = second["messages"][2]["tool_calls"][0]
    assert called["function"] == {"name": "diagnose", "arguments": '{"service": "auth", "mode": "crashed"}'}
    assert second["messages"][3]["tool_call_id"] == called["id"]
    assert "last action: diagnose(auth, crashed): diagnosis noted" in second["messages"][3]["content"]


def test_an_incident_is_solved_in_writing(tmp_path: Path) -> None:
    with session(in_turn(*WRITTEN), tmp_path, tools=False) as played:
        result = played.play()
    assert result.report.clean
    first, second, *_ = played.stub.requests
    assert "tools" not in first
    assert "Answer with one action, alone on the last line." in first["messages"][0]["content"]
    assert [each["role"] for each in second["messages"]] == ["system", "user", "assistant", "user"]
    assert second["messages"][2] == {"role": "assistant", "content": "It is down.\ndiagnose(auth, crashed)"}


def test_an_endpoint_that_refuses_tools_is_asked_in_writing_from_then_on(tmp_path: Path) -> None:
    written = in_turn(*WRITTEN)

    def script(request: dict[str, Any]) -> Answer:
        return refusal(400, "this model has no tools") if "tools" in request else written(request)

    with session(script, tmp_path) as played:
        result = played.play()
    assert result.report.clean
    assert ["tools" in request for request in played.stub.requests] == [True] + [False] * result.report.steps
    assert [step["tries"] for step in played.steps] == [2] + [1] * (result.report.steps - 1)
    assert played.time.slept_s == []


def test_an_action_in_writing_counts_although_tools_were_offered(tmp_path: Path) -> None:
    with session(in_turn(*WRITTEN), tmp_path) as played:
        assert played.play().report.clean
    assert all("tools" in request for request in played.stub.requests)


def test_an_endpoint_that_wants_the_newer_name_of_the_limit_gets_it(tmp_path: Path) -> None:
    def script(request: dict[str, Any]) -> Answer:
        if "max_tokens" in request:
            return refusal(400, "Unsupported parameter: use 'max_completion_tokens' instead")
        return call("wait")

    with session(script, tmp_path) as played:
        played.play()
    assert [request.get("max_completion_tokens") for request in played.stub.requests[:3]] == [None, 1024, 1024]
    assert all("tools" in request for request in played.stub.requests)


def test_a_rate_limit_is_waited_for_as_the_endpoint_asks(tmp_path: Path) -> None:
    limited = refusal(429, "slow down", Retry_After="7")
    precise = refusal(429, "slow down", retry_after_ms="1500")
    with session(in_turn(limited, precise, refusal(503, "overloaded"), *SOLVED), tmp_path) as played:
        assert played.play().report.clean
    assert played.time.slept_s == [7.0, 1.5, 4.0]
    assert (played.steps[0]["tries"], played.steps[0]["paused_s"]) == (4, 12.5)


def test_a_rate_limit_for_longer_than_the_episode_has_costs_a_step_at_once(tmp_path: Path) -> None:
    script = in_turn(refusal(429, "slow down", Retry_After="3600"), *SOLVED)
    with session(script, tmp_path, limits=Limits(episode_s=100.0)) as played:
        result = played.play()
    assert actions(result)[:3] == ["wait", "diagnose(auth, crashed)", "restart(auth)"]
    assert result.report.outcome is Outcome.RESOLVED
    assert played.time.slept_s == []
    assert (played.steps[0]["loss"], played.steps[0]["detail"]) == (
        Loss.BUSY,
        "HTTP 429: 'slow down'; the next try is in 3600 s, and the episode has 100.0 s left",
    )
    told = played.stub.requests[1]["messages"]
    assert [each["role"] for each in told] == ["system", "user", "assistant", "user"]
    assert told[3]["content"].startswith("No answer came in time. The step passed with wait.\nservice ")


def test_an_answer_that_does_not_come_in_time_costs_a_step(tmp_path: Path) -> None:
    script = in_turn(Answer(body=b"", hangs=True), *SOLVED)
    with session(script, tmp_path, limits=Limits(answer_s=0.2)) as played:
        result = played.play()
    assert actions(result)[:2] == ["wait", "diagnose(auth, crashed)"]
    assert (played.steps[0]["loss"], played.steps[0]["detail"]) == (Loss.LATE, "no answer within 0.2 s")


@pytest.mark.parametrize(
    ("answer", "loss", "detail"),
    [
        (Answer(body=b"<html>"), Loss.NO_ANSWER, "not JSON: '<html>'"),
        (Answer(body=b"\xff\xfe"), Loss.NO_ANSWER, "not JSON: '��'"),
        (Answer(body=b""), Loss.NO_ANSWER, "not JSON: ''"),
        (Answer(body=b"[1]"), Loss.NO_ANSWER, "not a JSON object: [1]"),
        (Answer(body=b'{"choices": []}'), Loss.NO_ANSWER, "no message in {'choices': []}"),
        (Answer(body=b'{"choices": [{"message": {}}]}'), Loss.NO_ACTION, "there is no action in the answer ''"),
        (message("Let me think."), Loss.NO_ACTION, "there is no action in the answer 'Let me think.'"),
        (call("restart", service="shop"), Loss.NO_ACTION, "restart cannot take the arguments {'service': 'shop'}"),
        (
            refusal(400, "Failed to call a function. See 'failed_generation' for more details."),
            Loss.NO_ACTION,
            "HTTP 400: \"Failed to call a function. See 'failed_generation' for more details.\"",
        ),
        (call("sudo"), Loss.NO_ACTION, "there is no tool 'sudo' with the arguments {}"),
        (
            Answer(body=b"{}", headers={"Content-Encoding": "gzip"}),
            Loss.UNREACHABLE,
            "DecodingError: 'Error -3 while decompressing data: incorrect header check'",
        ),
    ],
)
def test_nonsense_costs_a_step(answer: Answer, loss: Loss, detail: str, tmp_path: Path) -> None:
    tries = asking.TRIES if loss is Loss.UNREACHABLE else 1
    with session(in_turn(*[answer] * tries, *SOLVED), tmp_path) as played:
        result = played.play()
    assert actions(result)[:2] == ["wait", "diagnose(auth, crashed)"]
    assert played.steps[0]["loss"] == loss
    assert played.steps[0]["detail"].startswith(detail)


def test_a_model_hears_that_its_answer_was_no_action(tmp_path: Path) -> None:
    with session(in_turn(message("Hm."), *SOLVED), tmp_path) as played:
        played.play()
    told = played.stub.requests[1]["messages"]
    assert told[2] == {"role": "assistant", "content": "Hm."}
    assert told[3]["content"].startswith("There was no action in your answer. The step passed with wait.\n")


def test_of_a_long_answer_the_end_is_kept(tmp_path: Path) -> None:
    with session(in_turn(message("so " * 5000 + "\nrestart(auth)"), *WRITTEN), tmp_path, tools=False) as played:
        assert actions(played.play())[0] == "restart(auth)"
    told = played.stub.requests[1]["messages"][2]["content"]
    assert (len(told), told[-14:]) == (2000, "\nrestart(auth)")


def test_an_endpoint_that_is_gone_is_retried_in_the_first_step_only(tmp_path: Path) -> None:
    with session(in_turn(*SOLVED), tmp_path) as played:
        pass
    result = played.play()
    assert set(actions(result)) == {"wait"}
    assert {step["loss"] for step in played.steps} == {Loss.UNREACHABLE}
    assert [step["tries"] for step in played.steps[:3]] == [4, 1, 1]
    assert played.time.slept_s == [1.0, 2.0, 4.0]


def test_a_wrong_key_is_said_once_and_not_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        session(in_turn(refusal(401, "wrong key")), tmp_path) as played,
        caplog.at_level(logging.WARNING, "mirr.agents.llm.asking"),
    ):
        result = played.play()
    assert set(actions(result)) == {"wait"}
    assert len(played.stub.requests) == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{played.stub.url} refuses every question: HTTP 401: 'wrong key'"
    ]
    assert {(step["loss"], step["detail"]) for step in played.steps} == {(Loss.REFUSED, "HTTP 401: 'wrong key'")}


def test_an_unknown_model_is_not_taken_for_one_without_tools(tmp_path: Path) -> None:
    with session(in_turn(refusal(404, "no such model")), tmp_path) as played:
        played.play()
        played.play()
    assert ["tools" in request for request in played.stub.requests] == [True, False, True, False]


def test_when_the_tokens_are_spent_the_rest_is_waited_out(tmp_path: Path) -> None:
    spends = message("check_logs(auth)", tokens=(4000, 10))
    with session(in_turn(spends), tmp_path, limits=Limits(episode_tokens=9000)) as played:
        result = played.play()
    assert len(played.stub.requests) == 2
    assert actions(result)[:4] == ["check_logs(auth)", "check_logs(auth)", "wait", "wait"]
    assert played.steps[2]["loss"] == Loss.TOKENS_SPENT
    assert played.steps[2]["detail"] == "the 9000 tokens of the episode are spent"
    assert played.steps[2]["usage"] == {"prompt_tokens": 0, "answer_tokens": 0, "counted": False}


def test_an_answer_may_only_be_as_long_as_the_tokens_that_are_left(tmp_path: Path) -> None:
    with session(in_turn(message("wait", tokens=None)), tmp_path, limits=Limits(episode_tokens=1000)) as played:
        played.play()
    first = played.stub.requests[0]
    assert first["max_tokens"] == 1000 - len(json.dumps(first["messages"])) // 4
    assert not played.steps[0]["usage"]["counted"]


def test_when_the_time_is_spent_the_rest_is_waited_out(tmp_path: Path) -> None:
    script = in_turn(refusal(429, "slow down", Retry_After="9"), message("check_logs(auth)"))
    with session(script, tmp_path, limits=Limits(episode_s=10.0)) as played:
        policy = LlmPolicy(played.line, none_diagnosis=False)
        environment = Environment(SimulatedWorld())
        seen, _ = environment.reset(seed=3, fault=FAULT)
        policy.reset(np.random.default_rng(0))
        assert action_text(policy.act(seen)) == "check_logs(auth)"
        played.time.now_s += 1.0
        seen, *_ = environment.step(policy.act(replace_step(seen)))
    assert played.steps[1]["loss"] == Loss.TIME_SPENT
    assert played.steps[1]["detail"] == "the 10 s of the episode are spent"


def replace_step(seen: Observation) -> Observation:
    return replace(seen, step=1, steps_left=29)


def test_each_episode_has_its_own_budget_and_its_own_conversation(tmp_path: Path) -> None:
    spends = message("wait", tokens=(8900, 10))
    with session(in_turn(spends), tmp_path, limits=Limits(episode_tokens=9000)) as played:
        played.play()
        played.play()
    assert [len(request["messages"]) for request in played.stub.requests] == [2, 2]


def test_a_prompt_holds_only_the_last_turns(tmp_path: Path) -> None:
    with session(in_turn(call("wait")), tmp_path, limits=Limits(turns=2)) as played:
        played.play()
    roles = [each["role"] for each in played.stub.requests[5]["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]


def test_a_transcript_has_everything_but_the_key(tmp_path: Path) -> None:
    with session(in_turn(*SOLVED), tmp_path, prices=Prices(prompt=1.0, answer=10.0)) as played:
        result = played.play()
    header, first, second, *_ = played.lines
    assert (header["model"], header["base_url"], header["seed"], header["tier"]) == ("tiny", played.stub.url, 3, "easy")
    assert len(header["tools"]) == 6
    assert [each["role"] for each in first["messages"]] == ["system", "user"]
    assert [each["role"] for each in second["messages"]] == ["assistant", "tool"]
    assert first["answer"]["tool_calls"][0]["function"]["name"] == "diagnose"
    assert first["usage"] == {"prompt_tokens": 100, "answer_tokens": 5, "counted": True}
    assert (first["action"], first["loss"], first["cost_usd"]) == ("diagnose(auth, crashed)", None, 0.00015)
    assert len(played.steps) == result.report.steps
    assert "secret" not in played.file.read_text(encoding="utf-8")


def test_a_prompt_shows_no_seed_and_no_tier(tmp_path: Path) -> None:
    with session(in_turn(call("wait")), tmp_path) as played:
        LlmPolicyOfSeed(played).play()
    assert "31337" not in json.dumps(played.stub.requests)
    assert played.lines[0]["seed"] == 31337


@dataclass
class LlmPolicyOfSeed:
    """An episode of a seed that would be seen in a prompt."""

    session: Session

    def play(self) -> None:
        policy = LlmPolicy(self.session.line, none_diagnosis=False, seed=31337, tier="easy")
        play(Environment(SimulatedWorld()), policy, seed=31337)
