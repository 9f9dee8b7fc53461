"""The leak audit of the simulator, with every form on every service, several seeds and all actions."""

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
from tests.audit.channels import AROUND, BY_FORM, odd_shapes, probe, revealing_channels
from tests.audit.faults import EVERY_FAULT
from tests.audit.hard import SEEDS as HARD_SEEDS
from tests.audit.hard import hard
from tests.audit.transcript import Transcript, record, without_fault

SEEDS = range(2)
CHANCE = 1 / len(ALL_FAULTS)


def everything(scenario: Scenario) -> list[Action]:
    """Every action, and then every log again. The remedies come last because they end the episode. Without a fault, the
    diagnosis that nothing is broken comes last."""
    fixes: list[Action] = [REMEDY[fault.mode](fault.service) for fault in scenario.faults]
    remedies = fixes or [DiagnoseNone()]
    logs = [CheckLogs(service) for service in Service]
    return [*(action for action in PACK_ACTIONS if action not in remedies), *logs, *remedies, *logs, Wait()]


def sim(scenario: Scenario, actions: Sequence[Action]) -> Transcript:
    # The computing time of the simulator is not part of the episode, so the clock stands still.
    return record(SimulatedWorld(), scenario, actions, name="sim", now=lambda: 0.0)


@pytest.fixture(scope="module")
def transcripts() -> list[Transcript]:
    scenarios = [
        *(draw(seed, fault) for fault in ALL_FAULTS for seed in SEEDS),
        *(draw(SEEDS[0], fault) for fault in EVERY_FAULT if fault.form),
        *(without_fault(seed) for seed in SEEDS),
    ]
    return [sim(scenario, everything(scenario)) for scenario in scenarios]


@pytest.mark.thorough
def test_nothing_that_an_agent_can_read_reveals_the_truth(transcripts: list[Transcript]) -> None:
    assert [finding for one in transcripts for finding in findings(one)] == []


@pytest.mark.thorough
def test_every_action_was_audited_on_every_fault(transcripts: list[Transcript]) -> None:
    for one in transcripts:
        if one.fault is not None:
            assert {seen.action for seen in one.seen} >= set(PACK_ACTIONS), one.name


@pytest.mark.thorough
def test_observations_and_infos_have_the_same_shape_for_every_fault(transcripts: list[Transcript]) -> None:
    assert odd_shapes(transcripts) == []


@pytest.mark.thorough
def test_only_symptoms_reveal_a_mode_or_a_service(transcripts: list[Transcript]) -> None:
    assert revealing_channels(transcripts, BY_FORM) == []


@pytest.mark.thorough
def test_a_probe_without_symptoms_names_faults_no_better_than_chance() -> None:
    actions = [Wait(), ACTIONS[6], CheckLogs(Service.AUTH), ACTIONS[25], Wait()]
    played = [sim(draw(seed, fault), actions) for fault in ALL_FAULTS for seed in range(20)]
    accuracy, interval = probe(played)
    assert len(played) == 400
    assert interval[0] <= CHANCE, f"{accuracy:.3f} of faults named, 95% {interval}"


def test_the_same_seed_gives_the_same_noise_for_every_fault() -> None:
    # The memory of a healthy service is the same in both worlds, so a difference could come only from the noise.
    first = sim(draw(3, Fault.parse("crashed:auth")), [Wait()]).seen
    other = sim(draw(3, Fault.parse("crashed:payments")), [Wait()]).seen
    for one, two in zip(first, other, strict=True):
        row = list(Service).index(Service.INVENTORY)
        assert one.observation.features[row, 5] == two.observation.features[row, 5]


def test_the_same_seed_gives_the_same_episode_until_the_fault_is_injected() -> None:
    actions: list[Action] = [*(CheckLogs(service) for service in Service), Wait(), Wait(), Wait()]
    breaks_at = 6

    def shown(fault: str) -> list[tuple[list[list[float]], str, object, object]]:
        later = Scenario(seed=5, timeline=(Scheduled(breaks_at, Breaks(Fault.parse(fault))),))
        seen = [(one.observation, one.info) for one in sim(later, actions).seen]
        return [(o.features.tolist(), render(o), (o.last_result, o.logs), info) for o, info in seen]

    shown_for = {fault: shown(str(fault)) for fault in EVERY_FAULT}
    first = shown_for[EVERY_FAULT[0]]
    for fault, own in shown_for.items():
        assert own[:breaks_at] == first[:breaks_at], fault
        assert fault == EVERY_FAULT[0] or own != first, fault


@pytest.fixture(scope="module")
def among_surroundings() -> list[Transcript]:
    """Episodes of `hard`."""
    return [sim(scenario, everything(scenario)) for scenario in map(hard, HARD_SEEDS)]


def test_nothing_that_an_agent_can_read_reveals_the_surroundings(among_surroundings: list[Transcript]) -> None:
    assert [finding for one in among_surroundings for finding in findings(one)] == []


def test_only_symptoms_reveal_the_surroundings(among_surroundings: list[Transcript]) -> None:
    assert revealing_channels(among_surroundings, AROUND) == []


@pytest.mark.thorough
def test_observations_and_infos_have_the_same_shape_among_surroundings(
    transcripts: list[Transcript], among_surroundings: list[Transcript]
) -> None:
    assert odd_shapes([*transcripts, *among_surroundings]) == []


@pytest.mark.parametrize("pack", all_packs(), ids=lambda pack: pack.id)
def test_no_pack_reveals_the_truth(pack: Pack) -> None:
    scenario = pack.scenario()
    assert findings(sim(scenario, everything(scenario))) == []
