"""Alerts: the same rules as Prometheus', of what a team sees, and of what was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from ruamel.yaml import YAML

from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.vocabulary import Feature, Journey, Service
from mirr.env.world import FEATURES_SHAPE, JourneyCount, Snapshot
from mirr.room.alerts import BUDGET, CPU_SATURATED, FAST_BURN, RULES, Alarms, AlertName
from tests.paths import ROOT
from tests.room.rooms import seats

STEADY = {
    Feature.UP: 1.0,
    Feature.REQUEST_RATE: 20.0,
    Feature.ERROR_RATIO: 0.0,
    Feature.LATENCY_P95_S: 0.02,
    Feature.CPU_SHARE: 0.3,
    Feature.MEMORY_SHARE: 0.3,
}


def window(**of_payments: float) -> NDArray[np.float64]:
    """A window in which all is well, but for payments."""
    features = np.zeros(FEATURES_SHAPE)
    for feature, value in STEADY.items():
        features[:, FEATURE_COLUMN[feature]] = value
    for name, value in of_payments.items():
        features[SERVICE_ROW[Service.PAYMENTS], FEATURE_COLUMN[Feature(name)]] = value
    return features


def down() -> NDArray[np.float64]:
    return window(**{str(feature): 0.0 if feature is Feature.UP else math.nan for feature in Feature})


def states(windows: list[NDArray[np.float64]]) -> list[list[str]]:
    alarms = Alarms(2.0)
    return [[f"{each.name} {each.service} {each.state}" for each in alarms.after(one)] for one in windows]


def users(requests: int, failed: int) -> Snapshot:
    return Snapshot(features=window(), journeys={next(iter(Journey)): JourneyCount(requests, failed)})


def test_in_steady_state_there_is_no_alert() -> None:
    assert states([window()] * 4) == [[], [], [], []]


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        ({"error_ratio": 0.5}, "HighErrorRatio"),
        ({"latency_p95_s": 0.9}, "HighLatency"),
        ({"cpu_share": 0.95}, "CpuSaturated"),
    ],
)
def test_an_alert_is_pending_for_five_seconds_and_then_fires(bad: dict[str, float], name: str) -> None:
    assert states([window(**bad)] * 4) == [[f"{name} payments pending"]] * 3 + [[f"{name} payments firing"]]


def test_memory_near_its_limit_fires_after_two_seconds() -> None:
    high = window(memory_share=0.7)
    assert states([high, high]) == [["MemoryNearLimit payments pending"], ["MemoryNearLimit payments firing"]]


def test_one_bad_window_of_many_requests_is_not_forgotten_at_once() -> None:
    found = states([window(error_ratio=0.6), window(), window()])
    assert found == [["HighErrorRatio payments pending"]] * 3


def test_a_service_that_is_down_has_no_other_alert() -> None:
    found = states([window(error_ratio=0.9), down(), down(), down()])
    assert found[2:] == [["ServiceDown payments pending"], ["ServiceDown payments firing"]]


def test_the_alert_of_the_users_is_of_the_truth_alone() -> None:
    alarms = Alarms(2.0)
    assert [each.name for each in alarms.after(window(), users(100, 20))] == [AlertName.USERS]
    assert Alarms(2.0).after(window()) == ()
    assert Alarms(2.0).after(window(), users(100, 14)) == ()


def test_the_rules_are_those_of_prometheus() -> None:
    groups = YAML(typ="safe").load((ROOT / "prometheus" / "rules" / "alerts.yml").read_text())["groups"]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    for name, rule in RULES.items():
        theirs = rules[str(name)]
        assert theirs["labels"]["severity"] == rule.severity
        assert theirs["for"] == f"{rule.for_s:g}s"
    assert rules["CpuSaturated"]["expr"].endswith(f"> {CPU_SATURATED}")
    users_rule = rules[str(AlertName.USERS)]
    assert users_rule["expr"].count(f"> {FAST_BURN} * {BUDGET}") == 2
    assert users_rule["labels"]["severity"] == "critical"


def test_a_team_gets_the_alerts_of_its_own_noisy_view_and_the_truth_only_later() -> None:
    found = seats("Owls", incident={"tier": "easy", "seed": 16})
    for step in range(4):
        found.act("Owls", "wait", step)
    before = found.ask(found.teams["Owls"], "own_tape")["tape"]["frames"]  # type: ignore[index]
    assert all("alerts_measured" not in frame for frame in before)
    with found.hall.inside(found.code) as room:
        assert room is not None
        episode = room.teams["Owls"].episode
    assert episode is not None
    alarms = Alarms(episode.config.step_s)
    assert [frame["alerts"] for frame in before] == [
        [alert.to_json() for alert in alarms.after(frame.seen.features)] for frame in episode.frames
    ]
    assert {"name": "HighErrorRatio", "service": "payments", "severity": "warning", "state": "firing"} in (
        before[-1]["alerts"]
    )
    found.ask(found.trainer, "end")
    after = found.ask(found.teams["Owls"], "own_tape")["tape"]["frames"]  # type: ignore[index]
    assert AlertName.USERS in [alert["name"] for alert in after[-1]["alerts_measured"]]
