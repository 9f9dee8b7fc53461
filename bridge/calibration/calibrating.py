"""The steps of a calibration: closed forms, then what stays coupled, then how good it is on what it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mirr.bridge.calibration.closed_form import Evidence, evidence, intervals, solved
from mirr.bridge.calibration.coupled import coupled_intervals, needed_cma, search, simulated_moments, simulation_of
from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.fitters import COUPLED, FITTERS, Kind, kinds
from mirr.bridge.calibration.machine import Machine, machine_of
from mirr.bridge.calibration.moments import Group, gaps, loss, moments, reference
from mirr.bridge.calibration.splits import Split, in_split
from mirr.bridge.calibration.values import value_of
from mirr.bridge.fidelity.pairs import within
from mirr.bridge.fidelity.samples import spreads
from mirr.bridge.recording import PlayKind, Recording, Recordings
from mirr.env.simulator.parameters import Parameters

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How thoroughly to fit."""

    draws: int = 100  # samples of the plays, for the intervals
    evaluations: int = 100  # candidates of the search; 0 leaves it out
    most_plays: int = 120  # that a candidate plays
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """One fitted parameter."""

    value: float
    before: float
    low: float | None  # of its 95% interval
    high: float | None
    kind: Kind
    probe: str


@dataclass(frozen=True, kw_only=True)
class Losses:
    """How far the simulator is from the lab in the plays of one split, in spreads of a metric; None without plays."""

    plays: int
    untuned: float | None
    tuned: float | None
    itself: float | None  # one round of the lab against the other


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a calibration found."""

    parameters: Parameters
    machine: Machine
    fitted: Mapping[str, Fitted]
    losses: Mapping[Split, Losses]
    plays: Mapping[Split, tuple[str, ...]]  # their keys
    evaluations: int
    settings: Settings

    @property
    def system(self) -> Parameters:
        """The parameters without what the machine makes of them."""
        return self.machine.system_of(self.parameters)


def calibrate(
    lab: Recordings, base: Parameters, settings: Settings | None = None, *, say: Say = lambda text: None
) -> Calibration:
    """Fit the parameters to the training plays. Raises CalibrationError if these tell nothing, or if cma is missing."""
    settings = settings or Settings()
    if settings.evaluations:
        needed_cma()  # before anything takes long
    recordings = list(lab.by_key.values())
    training = [one for one in in_split(recordings, Split.TRAINING) if one.play.kind is not PlayKind.POLICY]
    found = evidence(training)
    first = solved(found, base)
    if not first.values:
        raise CalibrationError("the recordings have no probe that tells a parameter; next: mirr collect --part probes")
    say(f"closed forms: {len(first.values)} parameters from {len(training)} plays")
    coupled, own_intervals, evaluations = _coupled(lab, training, found, base, first.parameters, settings, say)
    final = solved(found, base, fixed=coupled)
    rng = np.random.default_rng(settings.seed)
    ends = intervals(found, base, fixed=coupled, draws=settings.draws, rng=rng) | own_intervals
    say("losses")
    return Calibration(
        parameters=final.parameters,
        machine=machine_of(final.parameters, base, final.values),
        fitted=_fitted(final.values, base, ends),
        losses=_losses(lab, base, final.parameters),
        plays={split: tuple(one.play.key for one in in_split(recordings, split)) for split in Split},
        evaluations=evaluations,
        settings=settings,
    )


def _coupled(
    lab: Recordings,
    training: Sequence[Recording],
    found: Evidence,
    base: Parameters,
    first: Parameters,
    settings: Settings,
    say: Say,
) -> tuple[dict[str, float], dict[str, tuple[float, float]], int]:
    """The coupled values with their intervals, and how many candidates were played."""
    if not settings.evaluations:
        return {}, {}, 0
    chosen = spread_out(training, settings.most_plays)
    start = {name: value_of(first, name) for name in COUPLED}
    simulation = simulation_of(
        [one.play for one in chosen],
        reference(chosen, spreads(lab.by_key.values())),
        lambda values: solved(found, base, fixed=values).parameters,
        start,
    )
    result = search(
        simulation,
        start,
        evaluations=settings.evaluations,
        seed=settings.seed,
        say=lambda number, best: say(f"simulated moments: {number} of {settings.evaluations}, misfit {best:.4f}"),
    )
    rng = np.random.default_rng(settings.seed + 1)
    ends = coupled_intervals(simulation, result.values, draws=settings.draws, rng=rng)
    return dict(result.values), ends, result.evaluations


def spread_out(recordings: Iterable[Recording], most: int) -> list[Recording]:
    """At most so many plays: from every group in turn, so that none is left out that fits."""
    groups: dict[Group, list[Recording]] = {}
    for one in recordings:
        groups.setdefault(Group.of(one), []).append(one)
    turns = max((len(group) for group in groups.values()), default=0)
    ordered = [group[turn] for turn in range(turns) for group in groups.values() if turn < len(group)]
    return ordered[:most]


def _fitted(
    values: Mapping[str, float], base: Parameters, ends: Mapping[str, tuple[float, float]]
) -> dict[str, Fitted]:
    probes = {name: fitter.probe for fitter in FITTERS for name in fitter.names}
    probes |= dict.fromkeys(COUPLED, "all of them: simulated moments") if set(COUPLED) <= set(values) else {}
    found = {}
    for name, kind in kinds().items():
        if name in values:
            low, high = ends.get(name, (None, None))
            found[name] = Fitted(
                value=values[name],
                before=value_of(base, name),
                low=low,
                high=high,
                kind=kind,
                probe=probes[name],
            )
    return found


def _losses(lab: Recordings, base: Parameters, tuned: Parameters) -> dict[Split, Losses]:
    """Before and after, on both splits. Policies are left out: `mirr fidelity` compares what they reach.

    Means are those of each culprit alone. So both splits have about as many plays in a mean, and as much chance."""
    scale = spreads(lab.by_key.values())
    twice = within(lab)
    found = {}
    for split in Split:
        some = [one for one in in_split(lab.by_key.values(), split) if one.play.kind is not PlayKind.POLICY]
        plays, here = [one.play for one in some], reference(some, scale, each_service=True)
        keys = set(here.keys)
        pairs = [pair for pair in twice if pair.reference.play.key in keys]
        once = reference([pair.reference for pair in pairs], scale, each_service=True)
        again = np.stack([moments(pair.other, scale) for pair in pairs]) if pairs else None
        found[split] = Losses(
            plays=len(some),
            untuned=loss(gaps(here, simulated_moments(plays, base, here))) if some else None,
            tuned=loss(gaps(here, simulated_moments(plays, tuned, here))) if some else None,
            itself=None if again is None else loss(gaps(once, again)),
        )
    return found
