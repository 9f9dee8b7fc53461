"""What a module in this folder says about its tier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mirr.env.scenario import EpisodeConfig, Scheduled
from mirr.env.vocabulary import Fault


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the seeds of one tier stand for.

    What happens is drawn in two places, with the same result: by `timeline`, and by `choose` in compiled code for a
    batch. Both draw from the key of the seed's scenario stream, by counting: each draw has a number of its own, so a
    tier that draws more shifts no draw of another tier.
    """

    says: str  # what is drawn, for people
    timeline: Callable[[int, Fault | None], tuple[Scheduled, ...]]
    """What happens, from the stream's key. A given fault replaces the drawn one, and is played as it is."""
    choose: Callable[[Any, Any, int], None]
    """`choose(s, key, i)`, compiled: the plan of a lane's row `s` has no event yet and one fault, on service `i`. That
    is the base task's, or a given one. Draws the rest, and adds the events. Compiled code holds only the address of
    `s`: read and write single places, counted from the beginning."""
    config: EpisodeConfig = EpisodeConfig()  # noqa: RUF009 - it is frozen
    """How its episodes are played unless somebody says otherwise."""
