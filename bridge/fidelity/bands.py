"""What the charts of a form show: how its metrics go in both worlds, as a mean and a band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.fidelity.pairs import Pair, of_kinds
from mirr.bridge.fidelity.samples import USER_SLI, USERS
from mirr.bridge.fidelity.tracks import COLUMNS, track
from mirr.bridge.recording import Phase, PlayKind, Recording, Role
from mirr.env.forms import all_forms
from mirr.env.vocabulary import REMEDY, Feature, Wait

INNER = (10.0, 90.0)  # percentiles: the ends of a band

PANELS: tuple[tuple[str, str], ...] = (
    (USERS, USER_SLI),
    *((str(Role.CULPRIT), str(feature)) for feature in Feature),
)
"""Role and metric of each panel: what the users have, and the service that is broken."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """One metric over the steps of a play; NaN where nothing was measured."""

    mean: NDArray[np.float64]  # (steps,)
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """One metric in both worlds."""

    role: str
    metric: str
    lab: Band
    sim: Band


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """The panels of one form and one deed."""

    form: str
    deed: str  # "wait", or the right fix on the culprit
    plays: int
    injected: int  # the step of the first window with the fault
    acted: int  # the step of the first window after the action
    panels: tuple[Panel, ...]


def rows(pairs: Sequence[Pair]) -> Iterator[Row]:
    """For each form: what happens if nobody acts, and after the right fix."""
    probes = of_kinds(pairs, PlayKind.PROBE)
    for mode, forms in all_forms().items():
        for name in forms:
            own = [pair for pair in probes if pair.reference.form == f"{mode}/{name}"]
            waited = [pair for pair in own if isinstance(pair.reference.play.action, Wait)]
            fixed = [
                pair
                for pair in own
                if isinstance(pair.reference.play.action, REMEDY[mode])
                and pair.reference.play.target_role is Role.CULPRIT
            ]
            yield from (_row(group) for group in (waited, fixed) if group)


def _row(group: Sequence[Pair]) -> Row:
    first = group[0].reference
    lab, sim = _stacked([pair.reference for pair in group]), _stacked([pair.other for pair in group])
    return Row(
        form=first.form,
        deed=first.play.deed,
        plays=len(group),
        injected=first.first(Phase.FAULT),
        acted=first.first(Phase.RESPONSE),
        panels=tuple(
            Panel(role=role, metric=metric, lab=_band(lab[:, :, at]), sim=_band(sim[:, :, at]))
            for role, metric in PANELS
            for at in [COLUMNS.index((role, metric))]
        ),
    )


def _stacked(recordings: Sequence[Recording]) -> NDArray[np.float64]:  # (plays, steps, columns)
    return np.stack([track(recording) for recording in recordings])


def _band(values: NDArray[np.float64]) -> Band:  # from (plays, steps)
    found = np.full((3, values.shape[1]), np.nan)
    for step, column in enumerate(values.T):
        defined = column[~np.isnan(column)]
        if defined.size:
            found[:, step] = defined.mean(), *np.percentile(defined, INNER)
    return Band(mean=found[0], low=found[1], high=found[2])
