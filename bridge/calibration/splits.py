"""Which plays a fit may see. What it has not seen shows whether it holds elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from mirr.bridge.recording import Play, PlayKind, Recording
from mirr.env.forms import all_forms, form_name, severity_of
from mirr.env.scenario import draw
from mirr.env.vocabulary import Fault, Service

HELD_OUT_SERVICE = Service.PAYMENTS
"""Nothing that breaks this service is fitted to. Its ordinary requests are: they are in every steady window."""

HELD_OUT_SEVERITY_FROM = 2.0 / 3.0
"""Faults in the upper third of the range of their form's severity are held out."""


class Split(StrEnum):
    """What a play is for."""

    TRAINING = "training"
    HELD_OUT = "held_out"


def split_of(play: Play) -> Split:
    """Held out are one whole service, one severity of each form, and the policies."""
    match play.kind:
        case PlayKind.STEADY:
            return Split.TRAINING
        case PlayKind.POLICY:
            return Split.HELD_OUT
        case PlayKind.PROBE:
            faults: tuple[Fault, ...] = () if play.fault is None else (play.fault,)
        case PlayKind.RANDOMISED:
            faults = draw(play.seed, tier=play.tier).faults if play.tier is not None else ()
    return Split.HELD_OUT if any(_is_held_out(fault) for fault in faults) else Split.TRAINING


def _is_held_out(fault: Fault) -> bool:
    if fault.service is HELD_OUT_SERVICE:
        return True
    severity = all_forms()[fault.mode][form_name(fault.mode, fault.form)].severity
    if severity is None or fault.severity is None:  # the usual one
        return False
    return severity_of(fault) >= severity.drawn(HELD_OUT_SEVERITY_FROM, users_vary=False)


def in_split(recordings: Iterable[Recording], split: Split) -> list[Recording]:
    """The recordings of one split, in order."""
    return [one for one in recordings if split_of(one.play) is split]
