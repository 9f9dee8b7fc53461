"""The second level: does an action come to the same in both worlds?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mirr.bridge.fidelity.agreement import cohens_kappa
from mirr.bridge.fidelity.bootstrap import bootstrapped
from mirr.bridge.fidelity.figure import Figure
from mirr.bridge.fidelity.health import SIGN, OutcomeClass, course, outcome
from mirr.bridge.fidelity.pairs import Pair, of_kinds
from mirr.bridge.fidelity.targets import Measure
from mirr.bridge.recording import PlayKind


@dataclass(frozen=True, order=True)
class Deed:
    """One cell of the grid: an action against a form."""

    form: str
    action: str  # its kind, as in `restart`
    role: str  # of the service that it is for; empty for waiting


@dataclass(frozen=True, kw_only=True)
class Transition:
    """What came of the same deed, twice."""

    name: str
    deed: Deed
    reference: OutcomeClass
    other: OutcomeClass


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """How often each outcome came of a deed."""

    reference: Mapping[OutcomeClass, int]
    other: Mapping[OutcomeClass, int]

    @property
    def different(self) -> bool:
        """Whether the usual outcome is another one. Where outcomes are equally frequent, each of them is usual."""
        return not set(usual(self.reference)) & set(usual(self.other))


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """The figures of this level, and the grid that they are made from."""

    figures: Mapping[Measure, Figure]
    grid: Mapping[Deed, GridCell]

    @property
    def different(self) -> list[Deed]:
        """The cells whose usual outcome is another one."""
        return sorted(deed for deed, cell in self.grid.items() if cell.different)


def usual(counts: Mapping[OutcomeClass, int]) -> list[OutcomeClass]:
    """The most frequent outcomes."""
    most = max(counts.values())
    return [one for one in OutcomeClass if counts.get(one) == most]


def transition(pair: Pair) -> Transition:
    """What came of a probe's action in both recordings."""
    play = pair.reference.play
    return Transition(
        name=pair.name,
        deed=Deed(pair.reference.form, play.deed, "" if play.target_role is None else str(play.target_role)),
        reference=outcome(course(pair.reference)),
        other=outcome(course(pair.other)),
    )


def kappa(some: Sequence[Transition]) -> float | None:
    """Cohen's kappa of the outcomes."""
    return cohens_kappa(reference=[one.reference for one in some], other=[one.other for one in some])


def sign_agreement(some: Sequence[Transition]) -> float | None:
    """The share of actions that help in both worlds, hurt in both, or do neither in both."""
    return sum(SIGN[one.reference] == SIGN[one.other] for one in some) / len(some) if some else None


def grid(some: Sequence[Transition]) -> dict[Deed, GridCell]:
    """How often each outcome came of each deed."""
    grouped: dict[Deed, list[Transition]] = {}
    for one in some:
        grouped.setdefault(one.deed, []).append(one)
    return {
        deed: GridCell(reference=Counter(one.reference for one in group), other=Counter(one.other for one in group))
        for deed, group in grouped.items()
    }


def different_cells(some: Sequence[Transition]) -> float | None:
    """How many cells have another usual outcome."""
    return float(sum(cell.different for cell in grid(some).values())) if some else None


def transitions(pairs: Sequence[Pair], itself: Sequence[Pair], *, draws: int, rng: np.random.Generator) -> Transitions:
    """Compare what came of every probe's action."""
    seen = [transition(pair) for pair in of_kinds(pairs, PlayKind.PROBE)]
    own = [transition(pair) for pair in of_kinds(itself, PlayKind.PROBE)]
    figures = {}
    for measure, statistic in {Measure.KAPPA: kappa, Measure.SIGN_AGREEMENT: sign_agreement}.items():
        figure = bootstrapped(seen, statistic, cluster_of=lambda one: one.name, draws=draws, rng=rng)
        figures[measure] = figure.beside(Figure(value=statistic(own)))
    agreed = figures[Measure.KAPPA]
    figures[Measure.KAPPA_LOW] = Figure(value=agreed.low, of=agreed.of)
    counted = Figure(value=different_cells(seen), of=len(grid(seen)))
    figures[Measure.DIFFERENT_CELLS] = replace(counted, itself=different_cells(own))
    return Transitions(figures=figures, grid=grid(seen))
