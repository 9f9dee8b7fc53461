"""The audit finds planted leaks: one of each kind, with the exact text of the finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mirr.env.environment import Environment, Info, Observation
from mirr.env.scenario import Scheduled, draw
from mirr.env.vocabulary import (
    ALL_FAULTS,
    Action,
    CheckLogs,
    Deploys,
    Diagnose,
    Fault,
    FaultMode,
    Reason,
    Service,
    Wait,
)
from mirr.env.world import Level, LogLine
from tests.audit.auditor import findings
from tests.audit.channels import AROUND, odd_shapes, probe, revealing_channels
from tests.audit.planted import Change, LeakyEnvironment, LeakyWorld
from tests.audit.transcript import Transcript, record, without_fault

FAULT = Fault.parse("overloaded:orders")
LOGS = CheckLogs(Service.ORDERS)


def played(
    world: LeakyWorld | None = None,
    *,
    fault: Fault | None = FAULT,
    seed: int = 1,
    change: Change | None = None,
    actions: Sequence[Action] = (Wait(), LOGS),
) -> Transcript:
    def wrap(plain: Environment) -> Environment:
        return plain if change is None or fault is None else LeakyEnvironment(plain, fault, change)

    scenario = without_fault(seed) if fault is None else draw(seed, fault)
    return record(world or LeakyWorld(), scenario, actions, name="sim", wrap=wrap, now=lambda: 0.0)


def with_line(level: Level, event: str, text: str) -> LeakyWorld:
    return LeakyWorld(line=lambda fault: LogLine(age_s=0.0, level=level, event=event, text=text.format(fault=fault)))


def test_without_a_planted_leak_there_are_no_findings() -> None:
    assert findings(played()) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("upstream=auth reason=flash_crowd is on route=/orders", "flash_crowd"),
        ("upstream=auth reason=campaign flash-crowd-orders route=/orders", "campaign"),
        ("upstream=auth reason=the lease ran out route=/orders", "lease"),
        ("upstream=auth reason=mirr_auth_1 is gone route=/orders", "mirr_auth_1"),
        ("upstream=auth reason=lab-auth-1 is gone route=/orders", "lab-auth-1"),
        ("upstream=auth reason=auth-net is gone route=/orders", "auth-net"),
        ("upstream=auth reason=image mirr/auth:1.5.0 is gone route=/orders", "mirr/auth"),
        ("upstream=auth reason=auth:1.5.0 is gone route=/orders", "auth:1.5.0"),
        ("upstream=auth reason=3f2a9c1b7d6e is gone route=/orders", "3f2a9c1b7d6e"),
        ("upstream=auth reason=a memory_leak route=/orders", "memory_leak"),
        ("upstream=auth reason=a burst is on route=/orders", "burst"),
        ("upstream=auth reason=traffic at 1.3 route=/orders", "traffic"),
        ("upstream=auth reason=runs 1.5.0-sound route=/orders", "1.5.0-sound"),
    ],
)
def test_a_log_line_with_a_word_of_the_injector_is_found(text: str, word: str) -> None:
    found = findings(played(with_line(Level.WARNING, "upstream_failed", text)))
    assert found[0] == (
        f"sim, overloaded:orders, step 2: a log line of orders holds {word!r}, a word of the injector's: "
        f"'upstream_failed {text}'"
    )


def test_words_that_only_contain_a_word_of_the_injector_are_no_finding() -> None:
    text = "upstream=auth reason=Cannot connect to host auth:8000 ssl:default, please try route=/orders"
    assert findings(played(with_line(Level.WARNING, "upstream_failed", text))) == []


def test_an_unknown_kind_of_log_line_is_found() -> None:
    assert findings(played(with_line(Level.INFO, "throttled", "requests=4"))) == [
        "sim, overloaded:orders, step 2: a log line of orders is of the kind 'throttled' at info, which no service "
        "writes: 'requests=4'"
    ]


def test_a_log_line_with_an_extra_field_is_found() -> None:
    text = "method=POST route=/orders code=201 client=c-17"
    assert findings(played(with_line(Level.INFO, "request", text))) == [
        f"sim, overloaded:orders, step 2: a log line of orders of the kind 'request' reads {text!r}, unlike any that "
        "a service writes"
    ]


def test_an_unknown_route_in_a_log_line_is_found() -> None:
    text = "method=POST route=/rush code=201 duration_s=0.01"
    assert findings(played(with_line(Level.INFO, "request", text))) == [
        "sim, overloaded:orders, step 2: a log line of orders names the route /rush, which orders does not have"
    ]


def test_a_result_that_names_the_mode_is_found() -> None:
    found = findings(played(LeakyWorld(result=lambda fault: f"waited, still {fault.mode}"), actions=[Wait()]))
    assert found == [
        "sim, overloaded:orders, step 1: the action's result holds 'overloaded', a word of the injector's: "
        "'waited, still overloaded'",
        "sim, overloaded:orders, step 1: the result of Wait() is 'waited, still overloaded'; one of: 'waited'",
    ]


def test_an_echoed_diagnosis_is_no_leak_but_a_corrected_diagnosis_is() -> None:
    wrong = Diagnose(Service.AUTH, FaultMode.CRASHED)
    assert findings(played(actions=[wrong])) == []
    corrected = LeakyWorld(result=lambda fault: f"diagnosis noted: {fault.mode} on {fault.service}")
    assert findings(played(corrected, actions=[wrong]))[-1] == (
        f"sim, overloaded:orders, step 1: the result of {wrong} is 'diagnosis noted: overloaded on orders'; "
        "one of: 'diagnosis noted: crashed on auth'"
    )


def test_an_extra_key_in_info_is_found() -> None:
    def change(fault: Fault, observation: Observation, info: Info) -> tuple[Observation, Info]:
        return observation, {**info, "hint": 3}

    assert findings(played(change=change, actions=[])) == [
        "sim, overloaded:orders, reset: info['hint'] is there; info holds step, overrun_s until the end"
    ]


def test_an_extra_attribute_of_the_observation_is_found() -> None:
    def change(fault: Fault, observation: Observation, info: Info) -> tuple[Observation, Info]:
        object.__setattr__(observation, "world", object())
        return observation, info

    assert findings(played(change=change, actions=[])) == [
        "sim, overloaded:orders, reset: observation.world is there, and is no field of Observation"
    ]


def test_a_text_of_another_class_is_found() -> None:
    class Tagged(str):
        __slots__ = ("fault",)

    def change(fault: Fault, observation: Observation, info: Info) -> tuple[Observation, Info]:
        return replace(observation, last_result=Tagged(observation.last_result)), info

    assert findings(played(change=change, actions=[])) == [
        "sim, overloaded:orders, reset: observation.last_result is a Tagged: no part of an observation"
    ]


def test_a_reason_that_does_not_fit_the_text_is_found() -> None:
    def change(fault: Fault, observation: Observation, info: Info) -> tuple[Observation, Info]:
        return replace(observation, last_reason=Reason.NOT_RUNNING), info

    assert findings(played(change=change, actions=[Wait()]))[-1] == (
        "sim, overloaded:orders, step 1: last_reason is not_running where the result of Wait() is 'waited'"
    )


def test_features_with_a_wrong_type_a_shared_memory_or_a_gap_are_found() -> None:
    def wider(fault: Fault, observation: Observation, info: Info) -> tuple[Observation, Info]:
        return replace(observation, features=observation.features.astype(np.float64)), info

    def sharing(fault: Fault, observation: Observation, info: Info) -> tuple[Observation, Info]:
        return replace(observation, features=observation.features[:]), info

    def partly(fault: Fault, observation: Observation, info: Info) -> tuple[Observation, Info]:
        features = np.full_like(observation.features, 1.0)
        features[2, 4] = np.nan
        return replace(observation, features=features), info

    assert findings(played(change=wider, actions=[])) == [
        "sim, overloaded:orders, reset: features are float64 of shape (5, 7); always float32 of shape (5, 7)"
    ]
    assert findings(played(change=sharing, actions=[])) == [
        "sim, overloaded:orders, reset: features share their memory with something behind them"
    ]
    assert findings(played(change=partly, actions=[])) == [
        "sim, overloaded:orders, reset: row 2 is missing in part, [1.0, 1.0, 1.0, 1.0, nan, 1.0, 1.0]: "
        "a service is seen or it is not"
    ]


def test_a_step_counter_that_jumps_is_found() -> None:
    def change(fault: Fault, observation: Observation, info: Info) -> tuple[Observation, Info]:
        return replace(observation, steps_left=observation.steps_left - 1), info

    assert findings(played(change=change, actions=[])) == [
        "sim, overloaded:orders, reset: step 0 with 79 left is not what 0 steps come to"
    ]


def test_log_lines_out_of_order_are_found() -> None:
    def change(fault: Fault, observation: Observation, info: Info) -> tuple[Observation, Info]:
        return replace(observation, logs=observation.logs[::-1]), info

    assert findings(played(change=change, actions=[LOGS])) == [
        "sim, overloaded:orders, step 1: the log of orders is not in the order in which it was written"
    ]


def test_a_field_that_exists_for_only_one_fault_is_found() -> None:
    def change(fault: Fault, observation: Observation, info: Info) -> tuple[Observation, Info]:
        return observation, {**info, "retries": 1} if fault.mode is FaultMode.OVERLOADED else info

    faults = [Fault.parse("crashed:auth"), FAULT]
    usual = played(fault=None)
    found = odd_shapes([usual, *(played(fault=fault, change=change) for fault in faults)])
    assert len(found) == 3
    assert all(one.startswith("sim, overloaded:orders: after ") and "'retries'" in one for one in found)


def all_played(world: LeakyWorld, seeds: range = range(5)) -> list[Transcript]:
    actions = [Wait(), Wait()]
    return [played(world, fault=fault, actions=actions, seed=seed) for fault in ALL_FAULTS for seed in seeds]


def test_an_overrun_that_differs_between_modes_is_found() -> None:
    slow = LeakyWorld(overrun_s=lambda fault: 0.2 if fault.mode is FaultMode.OVERLOADED else 0.1)
    assert revealing_channels(all_played(slow)) == [
        f"info['overrun_s'] of {when} tells the mode: bad_deploy 0.1, crashed 0.1, memory_leak 0.1, "
        "overloaded 0.2 (p = 0.00025)"
        for when in ("reset", "steps")
    ]


def test_a_reset_that_takes_longer_for_one_mode_is_found() -> None:
    def resets(longer_s: float) -> list[Transcript]:
        dice = np.random.default_rng(0)
        found = []
        for one in all_played(LeakyWorld(), range(2)):
            leak = one.fault is not None and one.fault.mode is FaultMode.MEMORY_LEAK
            took_s = 6.0 + float(dice.normal(0.0, 0.05)) + (longer_s if leak else 0.0)
            found.append(replace(one, seen=(replace(one.seen[0], took_s=took_s), *one.seen[1:])))
        return found

    assert revealing_channels(resets(0.0)) == []
    assert revealing_channels(resets(2.0)) == [
        "how long reset takes in s tells the mode: bad_deploy 6, crashed 6, memory_leak 7.99, overloaded 6.01 "
        "(p = 0.00025)"
    ]


def test_an_overrun_that_differs_with_the_number_of_deploys_is_found() -> None:
    found = []
    for one in all_played(LeakyWorld(), range(2)):
        deploys = one.scenario.seed % 2 + 1
        info = dict(one.seen[0].info) | {"overrun_s": 0.5 * deploys}
        timeline = tuple(Scheduled(0, Deploys(service)) for service in list(Service)[:deploys])
        scenario = replace(one.scenario, timeline=(*timeline, *one.scenario.timeline))
        found.append(replace(one, scenario=scenario, seen=(replace(one.seen[0], info=info), *one.seen[1:])))
    assert revealing_channels(found) == []
    assert revealing_channels(found, AROUND) == [
        "info['overrun_s'] of reset tells the number of deploys: 1 0.5, 2 1 (p = 0.00025)"
    ]


def test_the_probe_learns_a_planted_leak() -> None:
    leaky = LeakyWorld(overrun_s=lambda fault: float(ALL_FAULTS.index(fault)))
    accuracy, interval = probe(all_played(leaky))
    assert (accuracy, interval[0] > 0.9) == (1.0, True)
