"""Tests of the tasks, and of the messages between client and server."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

import mirr
from mirr.env.environment import Observation
from mirr.env.scenario import draw
from mirr.env.vocabulary import ALL_FAULTS, PACK_ACTIONS, CheckLogs, Feature, Service, Tier, action_text
from mirr.env.world import Level, LogLine
from mirr.interfaces.openenv.models import MirrAction, MirrObservation, from_wire, to_wire
from mirr.interfaces.openenv.rubric import IncidentRubric
from mirr.interfaces.openenv.tasks import NoSuchTask, Split, UnknownSplit, task_at, tasks_of
from mirr.scenarios.packs import all_packs
from tests.paths import ROOT


def openenv_yaml() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "openenv.yaml").read_text())
    return content


def seen() -> Observation:
    features = np.arange(35, dtype=np.float32).reshape(5, 7) / np.float32(3)
    features[2, 1:] = np.nan
    return Observation(features=features, step=3, steps_left=27)


@pytest.mark.parametrize("number", range(len(PACK_ACTIONS)))
def test_the_number_and_the_text_of_an_action_give_the_same_action(number: int) -> None:
    action = PACK_ACTIONS[number]
    by_number = MirrAction.model_validate({"action": number})
    assert by_number == MirrAction(action=action_text(action)) == MirrAction.of(action)
    assert by_number.taken() == action


@pytest.mark.parametrize("given", [-1, 42, 10**30, 1.5, True, None, "", "reboot", "restart(mars)", [], {}, math.inf])
def test_the_error_for_a_wrong_action_shows_how_to_write_an_action(given: object) -> None:
    with pytest.raises(ValidationError) as refused:
        MirrAction.model_validate({"action": given})
    assert refused.value.errors()[0]["msg"] == (
        f"unknown action {given!r}; an action is a number from 0 to 41, or written as in: "
        "wait, check_logs(auth), diagnose(payments, bad_deploy), restart(auth)"
    )
    json.dumps(refused.value.errors(include_url=False, include_input=False))  # can be sent to a client


def test_the_schema_of_an_action_lists_every_action() -> None:
    texts, numbers = MirrAction.model_json_schema()["properties"]["action"]["anyOf"]
    assert texts["enum"] == [action_text(action) for action in PACK_ACTIONS]
    assert (numbers["minimum"], numbers["maximum"]) == (0, len(PACK_ACTIONS) - 1)


def test_an_observation_is_the_same_after_writing_and_reading_json() -> None:
    line = LogLine(age_s=1.25, level=Level.ERROR, event="request_failed", text="POST /charges 500")
    before = replace(
        seen(), last_action=CheckLogs(Service.ORDERS), last_result="1 line", logs=(line,), logs_of=Service.ORDERS
    )
    wire = json.dumps(to_wire(before, choices=41).model_dump(), allow_nan=False)
    after = from_wire(MirrObservation.model_validate_json(wire))
    np.testing.assert_array_equal(after.features, before.features)
    assert (after.logs, after.logs_of, after.last_action) == (before.logs, before.logs_of, before.last_action)
    assert (after.step, after.steps_left, after.last_result) == (3, 27, "1 line")


def test_features_of_a_service_that_was_not_scraped_are_null_and_not_zero() -> None:
    row = to_wire(seen(), choices=41).features[2]
    assert row[0] is not None
    assert row[1:] == [None] * (len(Feature) - 1)


def test_every_fault_and_every_pack_is_in_both_splits_equally_often() -> None:
    for split in (Split.TRAIN, Split.TEST):
        faults: dict[str, int] = {}
        for task in tasks_of(split):
            name = task.scenario.name or str(task.scenario.faults[0])
            faults[name] = faults.get(name, 0) + 1
        assert faults.keys() == {str(fault) for fault in ALL_FAULTS} | {pack.id for pack in all_packs()}
        assert len(set(faults.values())) == 1


@pytest.mark.thorough
def test_the_tasks_of_medium_are_what_their_seeds_draw_there() -> None:
    for split in (Split.TRAIN_MEDIUM, Split.TEST_MEDIUM):
        tasks = tasks_of(split)
        assert [task.scenario for task in tasks] == [draw(task.scenario.seed, tier=Tier.MEDIUM) for task in tasks]
        named = {(fault.mode, fault.service) for task in tasks for fault in task.scenario.faults}
        assert named == {(fault.mode, fault.service) for fault in ALL_FAULTS}


@pytest.mark.thorough
def test_the_tasks_of_hard_are_what_their_seeds_draw_there() -> None:
    for split in (Split.TRAIN_HARD, Split.TEST_HARD):
        tasks = tasks_of(split)
        assert [task.scenario for task in tasks] == [draw(task.scenario.seed, tier=Tier.HARD) for task in tasks]
        assert all(task.config.none_diagnosis for task in tasks)


def test_no_seed_is_in_two_tasks() -> None:
    seeds = [task.scenario.seed for split in Split for task in tasks_of(split)]
    assert len(seeds) == len(set(seeds))


def test_any_slice_of_tasks_mixes_their_kinds() -> None:
    for split in Split:
        assert len({task.scenario.timeline for task in tasks_of(split)[:54]}) > 15


def test_a_task_hides_its_faults_seed_and_pack() -> None:
    names_of_truth = {"crashed", "memory_leak", "overloaded", "bad_deploy", *(pack.id for pack in all_packs())}
    for split in Split:
        for task in tasks_of(split):
            visible = json.dumps(task.to_json())
            assert not [word for word in names_of_truth if word in visible]
            assert str(task.scenario.seed) not in visible


def test_the_same_index_always_gives_the_same_task() -> None:
    task = task_at("test", 12)
    assert task.id == "test-00012"
    assert task.scenario == tasks_of(Split.TEST)[12].scenario


def test_an_unknown_split_or_index_is_refused() -> None:
    with pytest.raises(
        UnknownSplit,
        match=r"^unknown split 'validation'; one of: train, test, train_medium, test_medium, train_hard, test_hard$",
    ):
        task_at("validation", 0)
    with pytest.raises(NoSuchTask, match=r"^no task 540 in test; its tasks go from 0 to 539$"):
        task_at("test", 540)
    with pytest.raises(NoSuchTask, match=r"^no task -1 in train; its tasks go from 0 to 2699$"):
        task_at("train", -1)


def test_the_manifest_declares_the_right_number_of_tasks() -> None:
    declared = openenv_yaml()["validation"]["capabilities"]["declared_task_count"]
    assert declared == {str(split): len(tasks_of(split)) for split in Split}


def test_the_manifest_has_the_version_of_the_project() -> None:
    assert openenv_yaml()["version"] == mirr.__version__


def test_the_page_about_the_environment_agrees_with_the_code() -> None:
    page = (ROOT / "interfaces" / "openenv" / "README.md").read_text()
    for name, description in IncidentRubric().descriptions().items():
        assert f"| {name} | {description} |" in page
    assert f"{len(tasks_of(Split.TRAIN))} tasks in `train`, {len(tasks_of(Split.TEST))} in `test`" in page
