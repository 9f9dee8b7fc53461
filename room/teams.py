"""A team, its episode, and its stay in a world."""

from __future__ import annotations

import re
import unicodedata
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum

from mirr.agents.registry import PolicyName
from mirr.env.reward import Outcome
from mirr.room.entries import RoomError
from mirr.room.episodes import Episode

LONGEST_NAME = 40
ALL_TEAMS = "all teams"
"""Who plays where teams vote, as the scoreboard names it. No team can have this name."""


class Doing(StrEnum):
    """What a thread does in a world just now."""

    OPENING = "opening"  # steady state, then the incident: on a lab, this takes 10 to 30 s
    ACTING = "acting"  # a step: on a lab, two seconds or more
    LEAVING = "leaving"  # what is broken is reverted


@dataclass(kw_only=True, eq=False)
class Stay:
    """The time that a team has a world, from its opening until it was given back."""

    team: str
    holds: ExitStack = field(default_factory=ExitStack)
    doing: Doing | None = None
    request: str = ""  # the id of the request for which a thread is in the world
    unwanted: bool = False  # whoever is in the world gives it back when they come out


@dataclass(kw_only=True)
class Team:
    """A team, and its episode in this round."""

    name: str
    key: str  # of its token
    episode: Episode | None = None
    attempts: int = 0  # how many episodes it has begun
    hints: int = 0
    requests: dict[str, str] = field(default_factory=dict)  # request id: the action that was taken for it
    acted_at_s: list[float] = field(default_factory=list)  # on the round's clock, of each step
    trouble: str = ""  # why its world failed
    stay: Stay | None = None
    late: bool = False  # it joined when the round was being played: it sees the answer when the round is over
    here: bool = True  # whether somebody of it is connected: a vote waits only for those who are

    @property
    def over(self) -> bool:
        """Whether it has played its episode to the end."""
        return self.episode is not None and self.episode.over

    @property
    def void(self) -> bool:
        """Whether its world failed. It may begin again."""
        result = None if self.episode is None else self.episode.result
        return bool(self.trouble) or (result is not None and result.report.outcome is Outcome.VOID)

    def forget(self) -> None:
        """What it did is not kept: a new round or another attempt begins. It knows its hints all the same."""
        self.episode = None
        self.trouble = ""
        self.requests.clear()
        self.acted_at_s.clear()


def checked_name(name: str) -> str:
    """A team's name, in its usual form and without what cannot be seen. Raises RoomError."""
    usual = _UNSEEN.sub("", unicodedata.normalize("NFKC", name))
    shown = " ".join("".join(each if each.isprintable() else " " for each in usual).split())
    if not 1 <= len(shown) <= LONGEST_NAME:
        raise RoomError(f"a team's name has 1 to {LONGEST_NAME} letters")
    if not any(each.isalnum() for each in shown):
        raise RoomError("a team's name has a letter or a digit")
    if name_key(shown) in _RESERVED or "(agent)" in name_key(shown):
        raise RoomError("no team can have that name: the scoreboard has it for others; next: choose another one")
    return shown


def name_key(name: str) -> str:
    """What two names have in common if they are one name: the size of letters does not matter."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What Python calls printable, and nobody sees: fillers, and selectors of variants."""

_RESERVED = frozenset({ALL_TEAMS, "trainer", "the trainer", *map(str, PolicyName)})
