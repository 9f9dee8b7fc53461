"""Simulators that are wrong on purpose: each is caught, and by the level that it is wrong on.

The lab is the simulator with other users. So a right simulator is as near to it as it is to itself.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mirr.agents.baselines import OraclePolicy, WaitPolicy
from mirr.agents.heuristic import HeuristicPolicy
from mirr.bridge.collect_plan import Design, Part, plan
from mirr.bridge.collect_plays import MakePolicy
from mirr.bridge.fidelity.classifier import Boosting
from mirr.bridge.fidelity.compare import Fidelity, compare
from mirr.bridge.fidelity.distrust import distrusted
from mirr.bridge.fidelity.health import OutcomeClass
from mirr.bridge.fidelity.pairs import across, within
from mirr.bridge.fidelity.policy import policies
from mirr.bridge.fidelity.samples import spreads
from mirr.bridge.fidelity.signal import Signal, signal
from mirr.bridge.fidelity.targets import TARGETS, Level, Measure, Verdict
from mirr.bridge.fidelity.transition import Deed, Transitions, transitions
from mirr.bridge.recording import Recordings
from mirr.env.environment import Observation
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.simulator.randomisation import default_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action, Ends, Fault, FaultMode, Feature, Restart, Rollback, ScaleUp, Service, Tier, Wait
from mirr.env.world import ActionResult, Snapshot, World
from tests.bridge.collected import collected, lab_of
from tests.worlds import Altered

pytestmark = pytest.mark.thorough

BLOCKS = 4  # waiting, the right fix on the culprit and on a neighbour, and another fix on the culprit
PLAYS = plan(Design(parts=(Part.PROBES,), passes=1))[: 2 * BLOCKS * 10]
DRAWS = 10
QUICK = Boosting(trees=10, folds=2)


@pytest.fixture(scope="module")
def lab() -> Recordings:
    return lab_of(PLAYS)


def signal_of(lab: Recordings, sim: Recordings) -> Signal:
    rng = np.random.default_rng(0)
    return signal(across(lab, sim), within(lab), spreads(lab.by_key.values()), draws=DRAWS, rng=rng, boosting=QUICK)


def transitions_of(lab: Recordings, world: World) -> Transitions:
    pairs = across(lab, collected(world, PLAYS))
    return transitions(pairs, within(lab), draws=DRAWS, rng=np.random.default_rng(0))


def verdict(measure: Measure, found: Signal | Transitions | Fidelity) -> Verdict:
    return TARGETS[measure].verdict(found.figures[measure])


def test_a_right_simulator_is_as_near_as_the_lab_is_to_itself(lab: Recordings) -> None:
    found = compare(lab, collected(SimulatedWorld(), PLAYS), draws=DRAWS, boosting=QUICK)
    missed = [measure for measure, said in found.verdicts.items() if said is Verdict.MISSED]
    unknown = {TARGETS[measure].level for measure, said in found.verdicts.items() if said is Verdict.TOO_FEW}
    assert missed == []
    assert unknown == {Level.POLICY}
    assert found.transitions.different == []
    assert distrusted(found)[-1].startswith("not known, for want of recordings: Pearson of success, ")


def test_a_leak_that_is_twice_as_fast_is_caught_by_the_signals(lab: Recordings) -> None:
    usual = default_parameters()
    fast = replace(usual, leak_requests_per_s=2.0 * usual.leak_requests_per_s)
    found = signal_of(lab, collected(SimulatedWorld(fast), PLAYS))
    assert verdict(Measure.WORST_FORM_RATIO, found) is Verdict.MISSED
    assert [form for form, ratio in found.ratio_of.items() if ratio > 3.0] == ["memory_leak/leak"]
    worst = sorted(found.cells, key=lambda cell: -found.cells[cell].wasserstein)[:3]
    assert {cell.form for cell in worst} == {"memory_leak/leak"}
    others = [one.wasserstein for cell, one in found.cells.items() if cell.form != "memory_leak/leak"]
    assert np.mean(others) < 0.03


def test_latencies_that_are_halved_are_caught_by_the_signals_and_change_no_outcome(lab: Recordings) -> None:
    usual = default_parameters()
    halved = replace(
        usual,
        services={name: replace(own, latency_p50_s=own.latency_p50_s / 2.0) for name, own in usual.services.items()},
    )
    found = signal_of(lab, collected(SimulatedWorld(halved), PLAYS))
    assert verdict(Measure.AUC, found) is Verdict.MISSED
    alone = {feature: figure.value or 0.0 for feature, figure in found.auc_of.items()}
    assert max(alone, key=lambda feature: alone[feature]) is Feature.LATENCY_P95_S
    assert alone[Feature.LATENCY_P95_S] > 0.75
    assert alone[Feature.MEMORY_SHARE] < 0.65
    outcomes = transitions_of(lab, SimulatedWorld(halved))
    assert verdict(Measure.KAPPA, outcomes) is Verdict.MET
    assert outcomes.different == []


class HealingRestart(Altered):
    """A simulator in which a restart ends an overload of the service."""

    def __init__(self) -> None:
        self._sim = SimulatedWorld()
        self._fault: Fault | None = None
        super().__init__(self._sim, injects=self._inject_and_note, applies=self._apply_and_heal)

    def _inject_and_note(self, fault: Fault) -> None:
        self._fault = fault
        self._sim.inject(fault)

    def _apply_and_heal(self, action: Action) -> ActionResult:
        fault = self._fault
        if fault is not None and fault.mode is FaultMode.OVERLOADED and action == Restart(fault.service):
            self._sim.happen(Ends(fault))
        return self._sim.apply(action)


def test_a_restart_that_heals_an_overload_is_caught_by_the_outcomes(lab: Recordings) -> None:
    found = transitions_of(lab, HealingRestart())
    assert verdict(Measure.DIFFERENT_CELLS, found) is Verdict.MISSED
    assert verdict(Measure.SIGN_AGREEMENT, found) is Verdict.MISSED
    assert found.different == [
        Deed("overloaded/costly", "restart", "culprit"),
        Deed("overloaded/crowd", "restart", "culprit"),
    ]
    cell = found.grid[found.different[0]]
    assert set(cell.other) == {OutcomeClass.RESOLVED}
    assert OutcomeClass.RESOLVED not in cell.reference


class Telltale(Altered):
    """A simulator that shows in one metric which service is broken."""

    def __init__(self) -> None:
        self._sim = SimulatedWorld()
        self._culprit: Service | None = None
        super().__init__(self._sim, injects=self._inject_and_note)

    def _inject_and_note(self, fault: Fault) -> None:
        self._culprit = fault.service
        self._sim.inject(fault)

    def observe(self) -> Snapshot:
        snapshot = super().observe()
        assert self._culprit is not None
        features = snapshot.features.copy()
        features[SERVICE_ROW[self._culprit], FEATURE_COLUMN[Feature.IN_FLIGHT]] = 1000.0
        return replace(snapshot, features=features)


class Exploiter:
    """Fixes the service with the telltale metric in every way. Without it, it does nothing."""

    def __init__(self) -> None:
        self._left: list[Action] = []

    def reset(self, rng: np.random.Generator) -> None:
        self._left = []

    def act(self, observation: Observation) -> Action:
        if observation.step == 0:
            shown = [one for one in Service if observation.value(one, Feature.IN_FLIGHT) > 500.0]
            self._left = [kind(one) for one in shown for kind in (Rollback, ScaleUp, Restart)]
        return self._left.pop(0) if self._left else Wait()


def test_a_policy_that_exploits_the_simulator_is_caught_by_the_policies() -> None:
    panel: dict[str, MakePolicy] = {
        "wait": lambda scenario: WaitPolicy(),
        "heuristic": lambda scenario: HeuristicPolicy(),
        "oracle": OraclePolicy,
        "exploiter": lambda scenario: Exploiter(),
    }
    design = Design(
        parts=(Part.POLICIES,), policies=tuple(panel), policy_seeds=range(8), policy_tier=Tier.MEDIUM, rounds=1
    )
    plays = plan(design)
    lab = lab_of(plays, panel)
    honest = across(lab, collected(SimulatedWorld(), plays, policies=panel))
    exploited = across(lab, collected(Telltale(), plays, policies=panel))
    before, after = (policies(pairs, [], draws=DRAWS, rng=np.random.default_rng(0)) for pairs in (honest, exploited))
    assert TARGETS[Measure.MEAN_GAP].verdict(before.figures[Measure.MEAN_GAP]) is Verdict.MET
    for measure in (Measure.PEARSON, Measure.RANK_VIOLATION, Measure.MEAN_GAP):
        assert TARGETS[measure].verdict(after.figures[measure]) is Verdict.MISSED
    (exploiter,) = [point for point in after.points if point.policy == "exploiter"]
    assert (exploiter.real, exploiter.scenarios) == (0.0, 8)
    assert exploiter.sim > 0.7
