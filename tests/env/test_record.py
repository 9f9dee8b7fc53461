"""Rollouts are written to disk and read from disk."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment
from mirr.env.objectives import OBJECTIVES
from mirr.env.record import RecordError, RolloutWriter, read_rollout
from mirr.env.record_fields import FIELDS, LineKind
from mirr.env.record_values import Line
from mirr.env.rollout import play
from mirr.env.scenario import EpisodeConfig, Scenario, Scheduled, draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Breaks, Deploys, Diagnose, Ends, Fault, FaultMode, Journey, Reason, Restart, Service
from tests.env.fakes import FakeWorld, write_version_1
from tests.paths import ROOT

FAULT = Fault.parse("crashed:payments")


def test_a_record_is_read_as_it_was_played(tmp_path: Path) -> None:
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
    assert rollout.header["timeline"] == [{"step": 0, "event": "breaks", "fault": "crashed:payments"}]
    assert rollout.scenario == draw(3, FAULT)
    assert (rollout.config, rollout.objectives) == (EpisodeConfig(), OBJECTIVES)
    assert [step.step for step in rollout.steps] == list(range(result.report.steps + 1))
    assert [step.action for step in rollout.steps][:3] == [
        None,
        Diagnose(Service.PAYMENTS, FaultMode.CRASHED),
        Restart(Service.PAYMENTS),
    ]
    np.testing.assert_array_equal(rollout.steps[0].observation[4], [0.0, *[np.nan] * 6])
    assert rollout.steps[0].journeys[Journey.CHECK_OUT].failed > 0
    assert [step.accepted for step in rollout.steps][:3] == [None, True, True]
    assert [step.reason for step in rollout.steps][:3] == [None, Reason.DONE, Reason.DONE]
    assert rollout.end is not None
    assert rollout.end["report"] == result.to_json()


def test_a_void_episode_has_a_reason_and_an_end(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    world = FakeWorld()
    world.fails_with = "Prometheus is gone; see: mirr status"
    with RolloutWriter(path) as writer:
        result = play(Environment(world), make_policy(PolicyName.WAIT, draw(0, FAULT)), seed=3, record=writer)
    rollout = read_rollout(path)
    assert rollout.end is not None
    assert rollout.end["report"]["outcome"] == "void"
    assert (rollout.steps, rollout.attempted) == ((), None)
    assert result.to_json()["reason"] == "Prometheus is gone; see: mirr status"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The record of an episode in which the policy only waits."""
    path = tmp_path / "whole.jsonl"
    with RolloutWriter(path) as writer:
        play(Environment(FakeWorld()), make_policy(PolicyName.WAIT, draw(0, FAULT)), seed=3, record=writer)
    return path


@pytest.mark.parametrize("left", [-1, -40])
def test_a_cut_recording_is_read_up_to_its_last_complete_line(whole: Path, left: int) -> None:
    lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    whole.write_text("".join(lines[:4]) + lines[4][:left], encoding="utf-8")
    rollout = read_rollout(whole)
    assert rollout.end is None
    assert len(rollout.steps) == (4 if left == -1 else 3)


def test_a_byte_order_mark_at_the_beginning_is_no_part_of_a_record(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    with RolloutWriter(path) as writer:
        play(Environment(FakeWorld()), make_policy(PolicyName.WAIT, draw(0)), seed=0, record=writer)
    before = read_rollout(path)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert read_rollout(path).header == before.header


def test_a_record_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    path.write_text("{}", encoding="utf-16")
    with pytest.raises(RecordError) as caught:
        read_rollout(path)
    assert str(caught.value) == f"cannot read the record {path}: it is not UTF-8 text; next: save it as UTF-8"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{path} is not a rollout: its first line is not a mirr-rollout header"),
        ("{\n", "{path}, line 1: not JSON (Expecting property name enclosed in double quotes)"),
        ("[1]\n", "{path}, line 1: not a line of a rollout (no kind)"),
        ("[" * 100_000, "{path}, line 1: not JSON that can be read (nested too deeply)"),
        ('{"kind": NaN}\n', "{path}, line 1: not JSON that can be read (NaN is not a JSON number)"),
        (
            '{"kind": "header", "schema": "mirr-rollout", "version": 9}\n',
            "{path} has schema version 9; this reads 1, 2, 3, 4 and 5",
        ),
        (
            '{"kind": "header", "schema": "mirr-rollout", "version": 1}\n',
            "{path}, line 1: the header has no world",
        ),
    ],
)
def test_the_error_for_a_wrong_file_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        read_rollout(path)
    assert str(caught.value) == message.format(path=path)


def _set(line: int, **fields: object) -> Callable[[list[Line]], None]:
    def change(lines: list[Line]) -> None:
        lines[line].update(fields)

    return change


def _swap(lines: list[Line]) -> None:
    lines[2], lines[3] = lines[3], lines[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(0, seed=-1), "line 1: seed: -1 is not a whole number from 0 up"),
        (_set(0, seed=True), "line 1: seed: True is not a whole number from 0 up"),
        (_set(0, scenario={}), "line 1: scenario: no faults"),
        (_set(0, rewards={"recovery_steps": 2, "collapse_steps": 3}), "line 1: rewards: no correct_diagnosis"),
        (
            _set(0, rewards={"recovery_steps": 0, "collapse_steps": 3}),
            "line 1: rewards: recovery_steps and collapse_steps are at least 1",
        ),
        (
            _set(0, config={"max_steps": 10**9}),
            "line 1: config: EpisodeConfig(max_steps=...) is a whole number from 1 to 100000; got 1000000000",
        ),
        (
            _set(0, timeline=[{"step": 2, "event": "heals", "fault": "crashed:auth"}]),
            "line 1: timeline: crashed:auth ends at step 2 and has not begun",
        ),
        (
            _set(0, timeline=[{"step": 2, "event": "rests"}]),
            "line 1: timeline: 'rests' is not an event; one of: breaks, heals, deploys, traffic_changes, bursts",
        ),
        (
            _set(3, action="dance"),
            "line 4: action: unknown action 'dance'; written as in: wait, check_logs(auth), restart(auth)",
        ),
        (_set(3, action="diagnose(none)"), "line 4: diagnose(none) is not an action of this episode"),
        (_set(3, action=None), "line 4: step 0 has no action, and every other step has one"),
        (_set(3, accepted=False), "line 4: accepted is False, and reason is done"),
        (_set(3, reason="tired"), "line 4: reason: 'tired' is not a reason; one of: " + ", ".join(Reason)),
        (_set(3, accepted=None), "line 4: accepted is null at step 0, and true or false at others"),
        (_set(3, reward="much"), "line 4: reward: 'much' is not a number"),
        (_set(3, reward=10**400), "line 4: reward: the number is too large"),
        (_set(3, measured=[[1.0]]), "line 4: measured: not 5 rows of 7 numbers"),
        (_set(3, measured=[[1e300] * 7] * 5), "line 4: measured: the number is too large"),
        (_set(0, scenario={"faults": [], "deploys": [3]}), "line 1: scenario: 3 is not an object"),
        (
            _set(3, action="x" * 90_000),
            f"line 4: action: unknown action '{'x' * 60}'... (90000 characters); written as in: wait, "
            "check_logs(auth), restart(auth)",
        ),
        (_set(3, journeys={}), "line 4: journeys: not one count each of browse, sign_in, check_out"),
        (_set(3, logs=[{"age_s": 1.0}]), "line 4: logs: no level"),
        (
            _set(3, degraded={"cellar": "wet"}),
            "line 4: degraded: unknown service 'cellar'; one of: gateway, auth, inventory, orders, payments",
        ),
        (_set(3, kind="scene"), "line 4: 'scene' is not a kind of line here; one of: step, end"),
        (_swap, "line 3: this is step 2; the one that follows is step 1"),
        (
            _set(-1, report={"outcome": "fine"}),
            "line 8: report: 'fine' is not an outcome; one of: resolved, collapsed, exhausted, void",
        ),
        (lambda lines: lines.append(lines[-1]), "line 9: there is something after the end of the episode"),
    ],
)
def test_the_error_for_a_wrong_field_names_its_line(
    whole: Path, change: Callable[[list[Line]], None], message: str
) -> None:
    lines = [json.loads(text) for text in whole.read_text(encoding="utf-8").splitlines()]
    # The record is cut, so the number of its last line does not depend on the length of the episode.
    lines = [lines[0], *lines[1:7], lines[-1]]
    change(lines)
    whole.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        read_rollout(whole)
    assert str(caught.value) == f"{whole}, {message}"


def test_every_line_has_exactly_the_documented_fields(whole: Path) -> None:
    for text in whole.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        assert list(line) == ["kind", *(field.name for field in FIELDS[LineKind(line["kind"])])]


def test_the_documentation_has_every_field_with_type_unit_and_version() -> None:
    page = (ROOT / "docs" / "records.md").read_text(encoding="utf-8").splitlines()
    documented = [row for row in page if row.startswith(tuple(f"| {kind} |" for kind in LineKind))]
    assert documented == [
        f"| {kind} | `{field.name}` | {field.type} | {field.unit or '-'} | {field.since} | {field.says} |"
        for kind, described in FIELDS.items()
        for field in described
    ]


def test_version_1_is_read_and_its_missing_fields_are_none(tmp_path: Path) -> None:
    path = tmp_path / "v1.jsonl"
    write_version_1(path)
    rollout = read_rollout(path)
    assert rollout.version == 1
    assert rollout.scenario == Scenario(
        seed=3,
        timeline=(
            Scheduled(0, Breaks(FAULT)),
            Scheduled(4, Deploys(Service.AUTH)),
            Scheduled(9, Ends(FAULT)),
        ),
        name="a-pack",
    )
    assert (rollout.objectives, rollout.attempted) == (None, None)
    assert [(step.accepted, step.degraded) for step in rollout.steps] == [(None, None), (None, None)]


FULL = (
    "cannot write the record /dev/full: No space left on device; "
    "next: make room there, or choose another place with --record"
)


def test_a_full_disk_is_named_once_and_closing_adds_nothing() -> None:
    writer = RolloutWriter(Path("/dev/full"))
    with pytest.raises(RecordError) as caught, writer:
        writer.end({"outcome": "resolved"})
    assert str(caught.value) == FULL
    writer.close()


def test_a_line_that_gets_lost_only_when_the_file_is_closed_is_an_error_too() -> None:
    writer = RolloutWriter(Path("/dev/full"))
    writer._file.write("a line that a network disk took and then lost")
    with pytest.raises(RecordError) as caught:
        writer.close()
    assert str(caught.value) == FULL


def test_a_record_does_not_overwrite_another_file_but_an_empty_one_or_a_device(tmp_path: Path, whole: Path) -> None:
    before = whole.read_bytes()
    with pytest.raises(RecordError) as caught:
        RolloutWriter(whole)
    assert str(caught.value) == (
        f"the record {whole} exists already, and is not overwritten; next: another --record FILE, or --overwrite"
    )
    assert whole.read_bytes() == before
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    for path in (empty, Path("/dev/null")):
        RolloutWriter(path).close()
    RolloutWriter(whole, overwrite=True).close()
    assert whole.read_bytes() == b""


def test_a_folder_is_not_a_record(tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        read_rollout(tmp_path)
    assert str(caught.value) == f"cannot read the record {tmp_path}: it is a folder; next: name a file in it"


def test_the_error_for_a_record_that_cannot_be_written_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        RolloutWriter(tmp_path / "missing" / "rollout.jsonl")
    assert str(caught.value) == (
        f"cannot write the record {tmp_path / 'missing' / 'rollout.jsonl'}: No such file or directory"
    )
