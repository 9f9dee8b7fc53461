"""Playing by vote: all teams share one episode, and a vote chooses each of its actions. Times are handed in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from mirr.env.vocabulary import Wait, action_text
from mirr.room.clock import RoundClock
from mirr.room.teams import ALL_TEAMS, Team


class Way(StrEnum):
    """How teams share a world."""

    TURNS = "turns"  # one team after the other, each with an episode of its own
    VOTE = "vote"  # all at once: one episode


VOTE_S = 20.0
"""How long a vote lasts unless the trainer says otherwise."""


@dataclass(kw_only=True)
class Ballot:
    """The vote on one action."""

    clock: RoundClock
    cast: dict[str, str] = field(default_factory=dict)  # team: the action that it is for, the earliest first
    closed: bool = False  # by the trainer

    def put(self, team: str, action: str) -> None:
        """A team's vote. It takes the place of the one that it cast before, and counts as cast now."""
        self.cast.pop(team, None)
        self.cast[team] = action

    def sides(self) -> dict[str, list[str]]:
        """Each action with the teams that are for it: most votes first, and of as many the earliest cast."""
        found: dict[str, list[str]] = {}
        for team, action in self.cast.items():
            found.setdefault(action, []).append(team)
        return dict(sorted(found.items(), key=lambda side: -len(side[1])))  # sorting keeps the order of equals

    def chosen(self) -> str:
        """The action that is played: waiting, if nobody has voted."""
        return next(iter(self.sides()), action_text(Wait()))

    def is_over(self, at: float, present: Collection[str]) -> bool:
        """Whether it was closed, its time is up, or all teams that are present have voted."""
        return self.closed or self.clock.is_out(at) or (bool(present) and all(team in self.cast for team in present))


class AllTeams(Team):
    """All teams of a round that is played by vote. Nobody has a token of it."""

    def __init__(self, vote_s: float) -> None:
        """A vote lasts `vote_s`; 0: until all have voted."""
        super().__init__(name=ALL_TEAMS, key="")
        self.vote_s = vote_s
        self.wants_world = False  # the trainer has started, and the world is to be taken
        self.refusal = ""  # why it could not be taken
        self.fell: list[dict[str, list[str]]] = []  # of each step: the actions, with the teams that were for them
        self.ballot = self._ballot()

    def open_ballot(self) -> None:
        """A new vote. Its clock stands until somebody starts it."""
        self.ballot = self._ballot()

    def forget(self) -> None:
        """Another attempt begins."""
        super().forget()
        self.fell.clear()
        self.open_ballot()

    def _ballot(self) -> Ballot:
        return Ballot(clock=RoundClock(limit_s=self.vote_s))

    @property
    def needs_start(self) -> bool:
        """Whether nothing is played and nobody is about to: the trainer has to start."""
        return not self.wants_world and self.stay is None and (self.episode is None or self.void)

    @property
    def votes(self) -> bool:
        """Whether a vote is open as far as the episode goes: it is not over, and no step goes on."""
        return self.stay is not None and self.stay.doing is None and self.episode is not None and not self.over
