"""The leak audit over the simulator: all 20 faults, several seeds, all 41 actions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mirr.env.rendering import render
from mirr.env.scenario import Scenario, Scheduled, draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    ACTIONS,
    ALL_FAULTS,
    PACK_ACTIONS,
    REMEDY,
    Action,
    Breaks,
    CheckLogs,
    DiagnoseNone,
    Fault,
    Service,
    Wait,
)
from mirr.scenarios.packs import Pack, all_packs
from tests.audit.auditor import findings
from tests.audit.tells import odd_shapes, probe, tells
from tests.audit.transcript import Transcript, record, without_fault

SEEDS = range(2)
CHANCE = 1 / len(ALL_FAULTS)


def everything(scenario: Scenario) -> list[Action]:
    """Every action and then every log again; the remedies, which end the episode, come last, and so does saying that
    there is nothing to remedy."""
    fixes: list[Action] = [REMEDY[fault.mode](fault.service) for fault in scenario.faults]
    remedies = fixes or [DiagnoseNone()]
    logs = [CheckLogs(service) for service in Service]
    return [*(action for action in PACK_ACTIONS if action not in remedies), *logs, *remedies, *logs, Wait()]


def sim(scenario: Scenario, actions: Sequence[Action]) -> Transcript:
    # How fast a model computes says nothing of what it models, so there is no clock.
    return record(SimulatedWorld(), scenario, actions, name="sim", now=lambda: 0.0)


@pytest.fixture(scope="module")
def transcripts() -> list[Transcript]:
    scenarios = [
        *(draw(seed, fault) for fault in ALL_FAULTS for seed in SEEDS),
        *(without_fault(seed) for seed in SEEDS),
    ]
    return [sim(scenario, everything(scenario)) for scenario in scenarios]


def test_nothing_that_an_agent_reads_shows_the_truth(transcripts: list[Transcript]) -> None:
    assert [finding for one in transcripts for finding in findings(one)] == []


def test_every_action_was_audited_on_every_fault(transcripts: list[Transcript]) -> None:
    for one in transcripts:
        if one.fault is not None:
            assert {seen.action for seen in one.seen} >= set(PACK_ACTIONS), one.name


def test_observations_and_infos_look_alike_whatever_is_broken(transcripts: list[Transcript]) -> None:
    assert odd_shapes(transcripts) == []


def test_no_channel_but_symptoms_tells_a_mode_or_a_service(transcripts: list[Transcript]) -> None:
    assert tells(transcripts) == []


def test_a_probe_taught_on_what_is_no_symptom_names_faults_no_better_than_chance() -> None:
    actions = [Wait(), ACTIONS[6], CheckLogs(Service.AUTH), ACTIONS[25], Wait()]
    played = [sim(draw(seed, fault), actions) for fault in ALL_FAULTS for seed in range(20)]
    accuracy, interval = probe(played)
    assert len(played) == 400
    assert interval[0] <= CHANCE, f"{accuracy:.3f} of faults named, 95% {interval}"


def test_with_the_same_seed_the_noise_is_the_same_whatever_is_broken() -> None:
    # A healthy service's memory is the same in both, so what differs would be the noise.
    first = sim(draw(3, Fault.parse("crashed:auth")), [Wait()]).seen
    other = sim(draw(3, Fault.parse("crashed:payments")), [Wait()]).seen
    for one, two in zip(first, other, strict=True):
        row = list(Service).index(Service.INVENTORY)
        assert one.observation.features[row, 5] == two.observation.features[row, 5]


def test_until_something_breaks_the_same_seed_shows_the_same() -> None:
    actions: list[Action] = [*(CheckLogs(service) for service in Service), Wait(), Wait(), Wait()]
    breaks_at = 6

    def shown(fault: str) -> list[tuple[list[list[float]], str, object, object]]:
        later = Scenario(seed=5, timeline=(Scheduled(breaks_at, Breaks(Fault.parse(fault))),))
        seen = [(one.observation, one.info) for one in sim(later, actions).seen]
        return [(o.features.tolist(), render(o), (o.last_result, o.logs), info) for o, info in seen]

    told = {fault: shown(str(fault)) for fault in ALL_FAULTS}
    first = told[ALL_FAULTS[0]]
    for fault, own in told.items():
        assert own[:breaks_at] == first[:breaks_at], fault
        assert fault == ALL_FAULTS[0] or own != first, fault


@pytest.mark.parametrize("pack", all_packs(), ids=lambda pack: pack.id)
def test_no_pack_shows_the_truth(pack: Pack) -> None:
    scenario = pack.scenario()
    assert findings(sim(scenario, everything(scenario))) == []
