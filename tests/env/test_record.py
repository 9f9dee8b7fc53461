"""Rollouts on disk, written and read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.registry import PolicyName, make_policy
from env.environment import Environment
from env.record import RecordError, RolloutWriter, read_rollout
from env.rollout import play
from env.scenario import draw
from env.simulator.world import SimulatedWorld
from env.vocabulary import Fault
from tests.env.fakes import FakeWorld

FAULT = Fault.parse("crashed:payments")


def test_what_was_played_is_what_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    with RolloutWriter(path) as writer:
        result = play(
            Environment(SimulatedWorld()),
            make_policy(PolicyName.ORACLE, draw(0, FAULT)),
            seed=3,
            fault=FAULT,
            world_name="sim",
            policy_name="oracle",
            record=writer,
        )
    rollout = read_rollout(path)
    assert rollout.header["policy"] == "oracle"
    assert rollout.header["scenario"] == {"faults": [{"mode": "crashed", "service": "payments"}]}
    assert rollout.header["config"] == {
        "step_s": 2.0,
        "max_steps": 30,
        "noise": 0.15,
        "none_diagnosis": False,
    }
    assert [step["step"] for step in rollout.steps] == list(range(result.report.steps + 1))
    assert [step["action"] for step in rollout.steps][:3] == [
        None,
        "diagnose(payments, crashed)",
        "restart(payments)",
    ]
    assert rollout.steps[0]["observation"][4] == [0.0, *[None] * 6]
    assert rollout.steps[0]["journeys"]["check_out"]["failed"] > 0
    assert rollout.end is not None
    assert rollout.end["report"] == result.to_json()


def test_a_void_episode_has_a_reason_and_an_end(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    world = FakeWorld()
    world.fails_with = "Prometheus is gone; see: mirr status"
    with RolloutWriter(path) as writer:
        result = play(Environment(world), make_policy(PolicyName.WAIT, draw(0, FAULT)), seed=3, record=writer)
    end = read_rollout(path).end
    assert end is not None
    assert end["report"]["outcome"] == "void"
    assert result.to_json()["reason"] == "Prometheus is gone; see: mirr status"


def test_a_recording_that_was_cut_off_has_no_end(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_text('{"kind": "header", "schema": "mirr-rollout", "version": 1}\n', encoding="utf-8")
    assert read_rollout(path).end is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{path} is not a rollout: its first line is no mirr-rollout header"),
        ("{\n", "{path}, line 1: not JSON (Expecting property name enclosed in double quotes)"),
        ("[1]\n", "{path}, line 1: not a line of a rollout (no kind)"),
        (
            '{"kind": "header", "schema": "mirr-rollout", "version": 9}\n',
            "{path} has schema version 9; this reads 1",
        ),
    ],
)
def test_what_is_no_rollout_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        read_rollout(path)
    assert str(caught.value) == message.format(path=path)


def test_a_record_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        RolloutWriter(tmp_path / "missing" / "rollout.jsonl")
    assert str(caught.value) == (
        f"cannot write the record {tmp_path / 'missing' / 'rollout.jsonl'}: No such file or directory"
    )
