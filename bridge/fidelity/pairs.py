"""The same play twice: in both worlds, or in two rounds of one world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mirr.bridge.recording import PlayKind, Recording, Recordings


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """One play, recorded twice."""

    reference: Recording  # of the lab
    other: Recording
    stratum: int  # only pairs of one stratum are pooled, so that figures compare samples of the same size

    @property
    def name(self) -> str:
        """What was played. Pairs of the same name depend on each other."""
        return self.reference.play.name

    @property
    def kind(self) -> PlayKind:
        """The kind of the play."""
        return self.reference.play.kind


def across(lab: Recordings, other: Recordings) -> list[Pair]:
    """The plays that both folders have, round by round."""
    return [
        Pair(reference=recording, other=other.by_key[key], stratum=recording.play.round)
        for key, recording in lab.by_key.items()
        if key in other.by_key
    ]


def within(lab: Recordings) -> list[Pair]:
    """The lab against itself: the first round with the second, the third with the fourth, and so on."""
    found = []
    by_place = {(one.play.name, one.play.round): one for one in lab.by_key.values()}
    for (name, played_round), recording in by_place.items():
        again = by_place.get((name, played_round + 1))
        if played_round % 2 == 0 and again is not None:
            found.append(Pair(reference=recording, other=again, stratum=played_round // 2))
    return found


def of_kinds(pairs: Iterable[Pair], *kinds: PlayKind) -> list[Pair]:
    """The pairs of these kinds of plays."""
    return [pair for pair in pairs if pair.kind in kinds]
