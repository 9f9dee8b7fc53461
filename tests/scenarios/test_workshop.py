"""The packs of the workshop: each can be resolved, each tells a trainer what to say, and they look alike in pairs."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment
from mirr.env.rollout import EpisodeResult, play
from mirr.env.simulator.world import SimulatedWorld
from mirr.scenarios.packs import PACK_CONFIG, PACKS, Pack, PackError, all_packs, load_pack, workshop_packs
from tests.paths import ROOT

SEEDS = range(10)

packs = pytest.mark.parametrize("pack", workshop_packs(), ids=lambda pack: pack.id)


def played(pack: Pack, policy: PolicyName, seeds: range) -> list[EpisodeResult]:
    environment = Environment(SimulatedWorld(), PACK_CONFIG)
    scenarios = [pack.scenario(seed) for seed in seeds]
    return [play(environment, make_policy(policy, scenario), scenario=scenario) for scenario in scenarios]


def test_there_are_ten_and_the_tasks_of_agents_have_none_of_them() -> None:
    ids = [pack.id for pack in workshop_packs()]
    assert [name.split("-")[1] for name in ids] == [f"{number:02}" for number in range(1, 11)]
    assert {pack.id for pack in all_packs()} & set(ids) == set()


def test_the_first_is_one_crash_and_the_last_is_two_faults_in_turn() -> None:
    first, *_, last = workshop_packs()
    assert [(str(entry.played), entry.at_step) for entry in first.faults] == [("crashed:payments", 0)]
    assert [(str(entry.played), entry.at_step) for entry in last.faults] == [
        ("crashed/hung:auth", 0),
        ("bad_deploy/leaky:payments", 8),
    ]


@packs
def test_who_knows_resolves_it_with_the_seed_of_the_pack(pack: Pack) -> None:
    environment = Environment(SimulatedWorld(), PACK_CONFIG)
    for policy in (PolicyName.ORACLE, PolicyName.DETECTIVE):
        scenario = pack.scenario()
        report = play(environment, make_policy(policy, scenario), scenario=scenario).report
        assert (str(report.outcome), report.diagnosis_correct) == ("resolved", True), policy


@pytest.mark.thorough
@packs
def test_who_does_not_look_earns_far_less(pack: Pack) -> None:
    rewards = {
        policy: mean(result.report.total_reward for result in played(pack, policy, SEEDS))
        for policy in (PolicyName.DETECTIVE, PolicyName.WAIT, PolicyName.RANDOM, PolicyName.BRUTE_FORCE)
    }
    honest = rewards.pop(PolicyName.DETECTIVE)
    assert max(rewards.values()) < honest - 15.0


@packs
def test_no_title_symptom_or_hint_gives_away_the_answer(pack: Pack) -> None:
    visible = " ".join([pack.title, pack.symptom, *(hint.text for hint in pack.hints)]).lower()
    assert not [
        mode for mode in ("crash", "leak", "overload", "bad deploy", "bad_deploy", "false alarm") if mode in visible
    ]


@packs
def test_the_guide_says_what_to_say_at_each_pack(pack: Pack) -> None:
    assert pack.debrief
    assert len(pack.hints) >= 2
    assert pack.id in (ROOT / "docs" / "workshop.md").read_text()


def test_a_hint_that_costs_too_much_is_refused(tmp_path: Path) -> None:
    text = (PACKS / "workshop" / "workshop-01-first-call.yaml").read_text()
    path = tmp_path / "workshop-01-first-call.yaml"
    path.write_text(text.replace("cost: 2", "cost: 200"))
    with pytest.raises(PackError, match=r"hints\[1\]\.cost \(line \d+\): Input should be less than or equal to 20"):
        load_pack(path)
