"""Everything that is measured about two folders of recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mirr.bridge.fidelity.classifier import Boosting
from mirr.bridge.fidelity.figure import Figure
from mirr.bridge.fidelity.pairs import Pair, across, within
from mirr.bridge.fidelity.policy import Policies, policies
from mirr.bridge.fidelity.samples import spreads
from mirr.bridge.fidelity.signal import Signal, signal
from mirr.bridge.fidelity.targets import TARGETS, Measure, Verdict, verdicts
from mirr.bridge.fidelity.transition import Transitions, transitions
from mirr.bridge.recording import Recordings
from mirr.env.record import RecordError

DRAWS = 200  # of each bootstrap


@dataclass(frozen=True, kw_only=True, eq=False)
class Fidelity:
    """How far two worlds are apart."""

    lab: Recordings
    sim: Recordings
    pairs: tuple[Pair, ...]  # the plays that both have
    itself: tuple[Pair, ...]  # the plays that the lab has twice
    signal: Signal
    transitions: Transitions
    policies: Policies

    @property
    def figures(self) -> dict[Measure, Figure]:
        """Every measure with its figure, in the order of the table of targets."""
        found: Mapping[Measure, Figure] = {
            **self.signal.figures,
            **self.transitions.figures,
            **self.policies.figures,
        }
        return {measure: found.get(measure, Figure(value=None)) for measure in TARGETS}

    @property
    def verdicts(self) -> dict[Measure, Verdict]:
        """The verdict on each measure."""
        return verdicts(self.figures)


def compare(
    lab: Recordings,
    sim: Recordings,
    *,
    again: Recordings | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    boosting: Boosting | None = None,
) -> Fidelity:
    """Compare two folders, play by play. `again` are recordings of the lab at another time, which the lab is compared
    with in place of its own second round.

    Raises RecordError if the folders have no play in common."""
    pairs = across(lab, sim)
    if not pairs:
        raise RecordError("the two folders have no play in common; next: mirr collect the same parts of both worlds")
    itself = within(lab) if again is None else across(lab, again)
    scale = spreads(lab.by_key.values())
    signals, outcomes, ranked = np.random.default_rng(seed).spawn(3)
    return Fidelity(
        lab=lab,
        sim=sim,
        pairs=tuple(pairs),
        itself=tuple(itself),
        signal=signal(pairs, itself, scale, draws=draws, rng=signals, boosting=boosting),
        transitions=transitions(pairs, itself, draws=draws, rng=outcomes),
        policies=policies(pairs, itself, draws=draws, rng=ranked),
    )
