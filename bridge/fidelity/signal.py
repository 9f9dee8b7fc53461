"""The first level: do the numbers look alike?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mirr.bridge.fidelity import timing as times
from mirr.bridge.fidelity.bootstrap import bootstrapped
from mirr.bridge.fidelity.classifier import Boosting
from mirr.bridge.fidelity.distances import kolmogorov_smirnov, wasserstein
from mirr.bridge.fidelity.figure import Figure
from mirr.bridge.fidelity.pairs import Pair, of_kinds
from mirr.bridge.fidelity.samples import Cell, Sides, cell_distances, mean_distance, missing_gap, sides
from mirr.bridge.fidelity.targets import Measure
from mirr.bridge.fidelity.telling_apart import observations, told_apart
from mirr.bridge.fidelity.timing import Timing
from mirr.bridge.fidelity.tracks import Tracks, mean_rmse, tracks
from mirr.bridge.recording import PlayKind
from mirr.env.vocabulary import Feature


@dataclass(frozen=True, kw_only=True)
class Distances:
    """One cell in detail."""

    wasserstein: float
    kolmogorov_smirnov: float
    itself: float | None  # the Wasserstein distance of the lab against itself


@dataclass(frozen=True, kw_only=True)
class Signal:
    """The figures of this level, and what they are made from."""

    figures: Mapping[Measure, Figure]
    cells: Mapping[Cell, Distances]
    auc_of: Mapping[Feature, Figure]  # each metric alone
    ratio_of: Mapping[str, float]  # for each form: the Wasserstein distance / that of the lab itself


def signal(
    pairs: Sequence[Pair],
    itself: Sequence[Pair],
    scale: Mapping[str, float],
    *,
    draws: int,
    rng: np.random.Generator,
    boosting: Boosting | None = None,
) -> Signal:
    """Compare the windows of both worlds, and beside it those of the lab with themselves."""
    compared, own = sides(pairs, scale), sides(itself, scale)
    figures = _distances(compared, own, draws, rng) | _courses(pairs, itself, scale, draws, rng)
    auc, auc_of = _auc(pairs, itself, draws, rng, boosting)
    cells = _cells(compared, own)
    ratios = form_ratios(cells)
    worst = Figure(value=max(ratios.values(), default=None), itself=1.0 if ratios else None, of=len(ratios))
    return Signal(
        figures=figures | {Measure.AUC: auc, Measure.WORST_FORM_RATIO: worst},
        cells=cells,
        auc_of=auc_of,
        ratio_of=ratios,
    )


def _distances(compared: list[Sides], own: list[Sides], draws: int, rng: np.random.Generator) -> dict[Measure, Figure]:
    statistics = {
        Measure.WASSERSTEIN: lambda some: mean_distance(some, wasserstein),
        Measure.KOLMOGOROV_SMIRNOV: lambda some: mean_distance(some, kolmogorov_smirnov),
        Measure.MISSING_GAP: missing_gap,
    }
    found = {}
    for measure, statistic in statistics.items():
        figure = bootstrapped(
            compared, statistic, cluster_of=lambda one: one.pair.name, draws=draws, rng=rng, distance=True
        )
        found[measure] = figure.beside(Figure(value=statistic(own) if own else None))
    found[Measure.WASSERSTEIN_RATIO] = _ratio(found[Measure.WASSERSTEIN])
    return found


def _ratio(figure: Figure) -> Figure:
    """The figure as a multiple of what the lab gives against itself."""
    if figure.value is None or not figure.itself:
        return Figure(value=None, of=figure.of)
    low, high = (None if end is None else end / figure.itself for end in (figure.low, figure.high))
    return Figure(value=figure.value / figure.itself, low=low, high=high, itself=1.0, of=figure.of)


def _courses(
    pairs: Sequence[Pair], itself: Sequence[Pair], scale: Mapping[str, float], draws: int, rng: np.random.Generator
) -> dict[Measure, Figure]:
    probes, own = of_kinds(pairs, PlayKind.PROBE), of_kinds(itself, PlayKind.PROBE)

    def name_of(one: Timing | Tracks) -> str:
        return one.name if isinstance(one, Timing) else one.pair.name

    apart, own_apart = [times.timing(pair) for pair in probes], [times.timing(pair) for pair in own]
    seen, own_seen = tracks(probes, scale), tracks(own, scale)
    onset = bootstrapped(apart, times.median_onset, cluster_of=name_of, draws=draws, rng=rng)
    recovery = bootstrapped(apart, times.median_recovery, cluster_of=name_of, draws=draws, rng=rng)
    rmse = bootstrapped(seen, mean_rmse, cluster_of=name_of, draws=draws, rng=rng, distance=True)
    return {
        Measure.ONSET_ERROR_STEPS: onset.beside(Figure(value=times.median_onset(own_apart))),
        Measure.RECOVERY_ERROR_STEPS: recovery.beside(Figure(value=times.median_recovery(own_apart))),
        Measure.TRACK_RMSE: rmse.beside(Figure(value=mean_rmse(own_seen))),
    }


def _auc(
    pairs: Sequence[Pair],
    itself: Sequence[Pair],
    draws: int,
    rng: np.random.Generator,
    boosting: Boosting | None,
) -> tuple[Figure, dict[Feature, Figure]]:
    """The AUC of a classifier that sees everything, and of one for each metric."""
    kinds = (PlayKind.STEADY, PlayKind.PROBE, PlayKind.RANDOMISED)
    seen, own = observations(of_kinds(pairs, *kinds), rng), observations(of_kinds(itself, *kinds), rng)

    def figure(features: Sequence[Feature]) -> Figure:
        ceiling = told_apart(own, features, draws=0, rng=rng, boosting=boosting)
        return told_apart(seen, features, draws=draws, rng=rng, boosting=boosting).beside(ceiling)

    return figure(list(Feature)), {feature: figure([feature]) for feature in Feature}


def _cells(compared: list[Sides], own: list[Sides]) -> dict[Cell, Distances]:
    far, largest, itself = (
        cell_distances(compared, wasserstein),
        cell_distances(compared, kolmogorov_smirnov),
        cell_distances(own, wasserstein),
    )
    return {
        cell: Distances(wasserstein=value, kolmogorov_smirnov=largest[cell], itself=itself.get(cell))
        for cell, value in far.items()
    }


def form_ratios(cells: Mapping[Cell, Distances]) -> dict[str, float]:
    """For each form, the mean Wasserstein distance of its cells as a multiple of the lab itself. A mean over all forms
    hides one that is wrong. Forms that the lab has only once are left out."""
    grouped: dict[str, list[tuple[float, float]]] = {}
    for cell, one in cells.items():
        if one.itself is not None:
            grouped.setdefault(cell.form, []).append((one.wasserstein, one.itself))
    found = {}
    for form, distances in grouped.items():
        far, itself = (sum(values) for values in zip(*distances, strict=True))
        if itself > 0.0:
            found[form] = far / itself
    return found
