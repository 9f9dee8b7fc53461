"""What a module in this folder says of its form."""

from __future__ import annotations

from dataclasses import dataclass

from mirr.env.vocabulary import FaultMode


@dataclass(frozen=True, kw_only=True)
class Form:
    """One form of a fault mode. The module's name is the form's."""

    mode: FaultMode
    place: int  # among the mode's forms, from 0; the first is the one that the base task plays
