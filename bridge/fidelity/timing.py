"""When it hurts and when it is over: errors of onset and recovery, in steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mirr.bridge.fidelity.health import course, onset, recovery
from mirr.bridge.fidelity.pairs import Pair


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How far two recordings of a probe are apart. None: it happened in neither."""

    name: str
    onset_steps: int | None
    recovery_steps: int | None


def timing(pair: Pair) -> Timing:
    """The errors of one pair. What happened in one recording alone is off by all the windows that could show it."""
    one, two = course(pair.reference), course(pair.other)
    return Timing(
        name=pair.name,
        onset_steps=_apart(onset(one), onset(two), most=one.acted - one.injected),
        recovery_steps=_apart(recovery(one), recovery(two), most=len(one.good) - one.acted),
    )


def _apart(one: int | None, two: int | None, *, most: int) -> int | None:
    if one is None and two is None:
        return None
    return most if one is None or two is None else abs(one - two)


def median_onset(timings: Sequence[Timing]) -> float | None:
    """The median error of the onset, in steps."""
    return _median([one.onset_steps for one in timings])


def median_recovery(timings: Sequence[Timing]) -> float | None:
    """The median error of the recovery, in steps."""
    return _median([one.recovery_steps for one in timings])


def _median(errors: Sequence[int | None]) -> float | None:
    defined = [error for error in errors if error is not None]
    return float(np.median(defined)) if defined else None
