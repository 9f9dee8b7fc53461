"""The third level: do policies do as well in both worlds, and in the same order?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.fidelity.bootstrap import percentile_interval
from mirr.bridge.fidelity.equivalence import tost
from mirr.bridge.fidelity.figure import Figure
from mirr.bridge.fidelity.pairs import Pair, of_kinds
from mirr.bridge.fidelity.ranks import (
    Ties,
    mean_gap,
    mean_maximum_rank_violation,
    pearson,
    regret,
    spearman,
)
from mirr.bridge.fidelity.targets import EQUIVALENCE_MARGIN, Measure
from mirr.bridge.fidelity.tracks import mean_of_defined
from mirr.bridge.recording import PlayKind, Recording
from mirr.env.reward import Outcome

LEAST_POLICIES = 3

Statistic = Callable[["Table"], float | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """The success of every policy in every scenario that both worlds played, 0..1; NaN where one did not."""

    policies: tuple[str, ...]
    real: NDArray[np.float64]  # (policies, scenarios)
    sim: NDArray[np.float64]

    @property
    def real_rates(self) -> NDArray[np.float64]:
        """(policies,)"""
        return mean_of_defined(self.real, axis=1)

    @property
    def sim_rates(self) -> NDArray[np.float64]:
        """(policies,)"""
        return mean_of_defined(self.sim, axis=1)

    def drawn(self, scenarios: Sequence[int]) -> Table:
        """The table of these scenarios. Policies that none of them has are left out."""
        real, sim = self.real[:, list(scenarios)], self.sim[:, list(scenarios)]
        rows = np.flatnonzero(~np.isnan(real).all(axis=1))
        names = tuple(self.policies[row] for row in rows)
        return Table(policies=names, real=real[rows], sim=sim[rows])


@dataclass(frozen=True, kw_only=True)
class Point:
    """One policy in both worlds."""

    policy: str
    real: float
    sim: float
    scenarios: int


@dataclass(frozen=True, kw_only=True)
class Policies:
    """The figures of this level, and the rates that they are made from."""

    figures: Mapping[Measure, Figure] = field(default_factory=dict)
    points: tuple[Point, ...] = ()


STATISTICS: dict[Measure, Statistic] = {
    Measure.PEARSON: lambda table: pearson(real=table.real_rates, sim=table.sim_rates),
    Measure.SPEARMAN: lambda table: spearman(real=table.real_rates, sim=table.sim_rates),
    Measure.RANK_VIOLATION: lambda table: mean_maximum_rank_violation(
        real=table.real_rates, sim=table.sim_rates, ties=Ties.VIOLATE
    ),
    Measure.REGRET: lambda table: regret(real=table.real_rates, sim=table.sim_rates),
    Measure.MEAN_GAP: lambda table: mean_gap(real=table.real_rates, sim=table.sim_rates),
}


def success_table(pairs: Sequence[Pair]) -> Table | None:
    """The successes of the pairs of policies, the mean over rounds. None with fewer policies than can be ranked."""
    played = of_kinds(pairs, PlayKind.POLICY)
    policies = tuple(dict.fromkeys(pair.reference.play.policy for pair in played))
    if len(policies) < LEAST_POLICIES:
        return None
    scenarios = {name: place for place, name in enumerate(dict.fromkeys(_scenario(pair) for pair in played))}
    shape = (len(policies), len(scenarios))
    times, real, sim = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for pair in played:
        cell = policies.index(pair.reference.play.policy), scenarios[_scenario(pair)]
        times[cell] += 1.0
        real[cell] += _resolved(pair.reference)
        sim[cell] += _resolved(pair.other)
    defined = times > 0.0
    means = [np.divide(one, times, out=np.full(shape, np.nan), where=defined) for one in (real, sim)]
    return Table(policies=policies, real=means[0], sim=means[1])


def _scenario(pair: Pair) -> str:
    play = pair.reference.play
    return f"{play.tier} {play.seed}"


def _resolved(recording: Recording) -> float:
    return float(recording.ending is not None and recording.ending.outcome is Outcome.RESOLVED)


def equivalence_p(table: Table) -> float | None:
    """The p-value of the test that the success of all policies together is not equal within the margin. A scenario
    counts once: what several policies do in it depends on each other."""
    by_scenario = mean_of_defined(table.sim - table.real, axis=0)
    return tost(by_scenario[~np.isnan(by_scenario)], margin=EQUIVALENCE_MARGIN)


def policies(pairs: Sequence[Pair], itself: Sequence[Pair], *, draws: int, rng: np.random.Generator) -> Policies:
    """Compare the success of policies. The intervals are those of a bootstrap over scenarios, drawn alike in both."""
    table, own = success_table(pairs), success_table(itself)
    if table is None:
        return Policies()
    count: int = table.real.shape[1]
    samples = [table.drawn([int(one) for one in rng.integers(count, size=count)]) for _ in range(draws)]
    figures = {}
    for measure, statistic in STATISTICS.items():
        low, high = percentile_interval(statistic(sample) for sample in samples) or (None, None)
        figures[measure] = Figure(
            value=statistic(table),
            low=low,
            high=high,
            itself=None if own is None else statistic(own),
            of=len(table.policies),
        )
    figures[Measure.EQUIVALENCE_P] = Figure(
        value=equivalence_p(table), itself=None if own is None else equivalence_p(own), of=len(table.policies)
    )
    return Policies(figures=figures, points=_points(table))


def _points(table: Table) -> tuple[Point, ...]:
    rates = zip(table.policies, table.real_rates, table.sim_rates, table.real, strict=True)
    return tuple(
        Point(policy=name, real=float(real), sim=float(sim), scenarios=int((~np.isnan(row)).sum()))
        for name, real, sim, row in rates
    )
