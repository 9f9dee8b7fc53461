"""Rooms for tests: a hall whose time stands still, and a room with a trainer and a team that plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirr.cli.postmortem_command import explain
from mirr.room.commands import Answer, Who, run, who_is
from mirr.room.hall import Hall
from mirr.room.store import Store
from mirr.room.worlds import SIMULATED, WorldSource

PACK = {"pack": "two-in-turn"}


class Time:
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@dataclass(kw_only=True)
class Seats:
    """A hall with one room, and everybody's token."""

    hall: Hall
    time: Time
    code: str
    trainer: str
    teams: dict[str, str]

    def ask(self, token: str | None, what: str, **fields: object) -> Answer:
        """What a room answers. Raises Refused."""
        with self.hall.inside(self.code) as room:
            assert room is not None
            who = who_is(room, token)
            assert who is not None
            return run(room, who, what, fields, self.hall.now())

    def act(self, team: str, action: str, step: int, request: str = "") -> Answer:
        """An action of a team."""
        return self.ask(self.teams[team], "act", action=action, step=step, id=request or f"{team}-{step}")

    def who(self, token: str | None) -> Who | None:
        """Who has that token."""
        with self.hall.inside(self.code) as room:
            assert room is not None
            return who_is(room, token)


def seats(
    *teams: str, path: Path | None = None, source: WorldSource = SIMULATED, incident: Mapping[str, object] | None = None
) -> Seats:
    """A room with these teams. With an `incident`, its round runs."""
    time = Time()
    hall = Hall(Store(path), explain=explain, source=source, now=time)
    opened = hall.open()
    found = Seats(hall=hall, time=time, code=opened.code, trainer=opened.token, teams={})
    for name in teams:
        found.teams[name] = f"token of {name}"
        with hall.inside(opened.code) as room:
            assert room is not None
            room.join(name, found.teams[name], time())
    if incident is not None:
        found.ask(opened.token, "choose", incident=incident)
        found.ask(opened.token, "start")
    return found
