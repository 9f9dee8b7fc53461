"""What each entry does to a room. Its rules were checked before, in `rooms.py`, or when the entry was first done.

A world that all share takes seconds for a step, and up to half a minute to begin. Meanwhile the room is open for others
(`Room.outside`). So a function that comes back from a world looks again at what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mirr.env.vocabulary import parse_action
from mirr.env.world import WorldError
from mirr.room.clock import RoundClock
from mirr.room.entries import Entry, Kind, Phase, RoomError
from mirr.room.episodes import Episode
from mirr.room.incidents import incident_of, parse_choice
from mirr.room.teams import Doing, Stay, Team
from mirr.room.votes import AllTeams, Way
from mirr.room.worlds import NotOpened

if TYPE_CHECKING:
    from mirr.room.rooms import Room

MOST_REQUESTS_KEPT = 64  # of a team: a client repeats only what it sent last


def do(room: Room, entry: Entry) -> None:
    """Let an entry have its effect. Raises RoomError or WorldError; then it had none, except on the world."""
    _EFFECTS[entry.kind](room, entry)


def give_back(room: Room, stay: Stay | None) -> None:
    """Give a world back. If a thread is in it, that thread does it when it comes out."""
    if stay is None:
        return
    if stay.doing is not None:
        stay.unwanted = True
        return
    try:
        with _inside(room, stay, Doing.LEAVING):
            stay.holds.close()
    except WorldError:
        pass  # what is still broken is in the lab's journal, and whoever uses the lab next begins with it
    finally:
        room.stays.remove(stay)


def number_in(entry: Entry, name: str) -> float:
    """A number of an entry. It was checked before the entry was stored."""
    value = entry.body[name]
    assert isinstance(value, int | float)
    return float(value)


def _on_chosen(room: Room, entry: Entry) -> None:
    room.round = int(number_in(entry, "round"))
    room.incident = incident_of(parse_choice(entry.body))
    room.agents = {}
    room.revealed = False
    room.phase = Phase.LOBBY
    room.clock = RoundClock(limit_s=number_in(entry, "limit_s"))
    for team in room.players:
        team.forget()
        team.hints = 0
        team.late = False
        _leave(room, team)
    by_vote = entry.body.get("way", Way.TURNS) == Way.VOTE
    room.everybody = AllTeams(number_in(entry, "vote_s")) if by_vote else None


def _on_joined(room: Room, entry: Entry) -> None:
    team = Team(name=str(entry.body["name"]), key=str(entry.body["key"]))
    room.teams[team.name] = team
    if room.phase in (Phase.RUNNING, Phase.PAUSED):
        team.late = True
        _begin_own(room, team)


def _on_removed(room: Room, entry: Entry) -> None:
    team = room.teams.pop(str(entry.body["name"]))
    team.forget()
    _leave(room, team)
    if room.everybody is not None:
        room.everybody.ballot.cast.pop(team.name, None)


def _on_started(room: Room, entry: Entry) -> None:
    room.clock.start(entry.at)
    room.phase = Phase.RUNNING
    for team in list(room.teams.values()):
        _begin_own(room, team)
    if room.everybody is not None and room.everybody.needs_start:
        room.everybody.wants_world, room.everybody.refusal = True, ""


def _on_paused(room: Room, entry: Entry) -> None:
    room.clock.stop(entry.at)
    if room.everybody is not None:
        room.everybody.ballot.clock.stop(entry.at)
    room.phase = Phase.PAUSED


def _on_over(room: Room, entry: Entry) -> None:
    room.clock.stop(entry.at)
    room.phase = Phase.OVER
    for team in room.players:
        _leave(room, team)


def _on_turn(room: Room, entry: Entry) -> None:
    team = room.player(str(entry.body["name"]))
    assert team is not None  # it was checked before
    if isinstance(team, AllTeams):
        team.wants_world = False
    _begin(room, team)


def _on_voted(room: Room, entry: Entry) -> None:
    assert room.everybody is not None  # it was checked before
    room.everybody.ballot.put(str(entry.body["name"]), str(entry.body["action"]))


def _on_closed(room: Room, _: Entry) -> None:
    assert room.everybody is not None  # it was checked before
    room.everybody.ballot.closed = True


def _on_acted(room: Room, entry: Entry) -> None:
    team = room.player(str(entry.body["name"]))
    assert team is not None  # it was checked before
    episode, stay = team.episode, team.stay
    assert episode is not None  # it was checked before
    assert stay is not None  # an episode that goes on has a world
    text, request = str(entry.body["action"]), str(entry.body["request"])
    if isinstance(team, AllTeams):
        team.fell.append(team.ballot.sides())  # before the step is there, so that nobody sees it without its votes
    try:
        with _inside(room, stay, Doing.ACTING, request):
            episode.act(parse_action(text))
    except WorldError as error:
        if team.episode is episode:
            team.trouble = str(error)
            _leave(room, team)
        raise
    finally:
        if stay.unwanted:
            give_back(room, stay)
    if team.episode is not episode:
        raise RoomError("this round ended before your step did, so it does not count")
    team.acted_at_s.append(round(room.clock.elapsed_s(entry.at), 1))
    team.requests[request] = text
    while len(team.requests) > MOST_REQUESTS_KEPT:
        del team.requests[next(iter(team.requests))]
    if isinstance(team, AllTeams):
        team.open_ballot()
    if team.over:
        _leave(room, team)


def _on_hint(room: Room, entry: Entry) -> None:
    room.teams[str(entry.body["name"])].hints += 1


def _on_revealed(room: Room, _: Entry) -> None:
    room.revealed = True


def _begin_own(room: Room, team: Team) -> None:
    if not room.source.shared and team.episode is None:
        _begin(room, team)


def _begin(room: Room, team: Team) -> None:
    """Take a world, and begin the team's episode in it."""
    incident = room.incident
    assert incident is not None  # a round has one
    team.stay = stay = Stay(team=team.name)
    room.stays.append(stay)
    episode: Episode | None = None
    begun = False
    try:
        with _inside(room, stay, Doing.OPENING):
            world = stay.holds.enter_context(room.source.open())
            episode = Episode(world, incident.config, incident.scenario, player=team.name, world_name=room.source.name)
            episode.begin()
        begun = not stay.unwanted
    except NotOpened as error:
        raise RoomError(f"nobody can play there now: {error}") from error
    except WorldError as error:
        if not stay.unwanted:
            team.forget()
            team.episode, team.trouble = episode, str(error)
        raise
    finally:
        if not begun:
            team.stay = None if team.stay is stay else team.stay
            give_back(room, stay)
    if not begun:
        raise RoomError("this round ended before your incident began")
    team.forget()
    team.episode = episode
    team.attempts += 1


def _leave(room: Room, team: Team) -> None:
    stay, team.stay = team.stay, None
    give_back(room, stay)


@contextmanager
def _inside(room: Room, stay: Stay, doing: Doing, request: str = "") -> Iterator[None]:
    """Be in a world. Others can use the room meanwhile, if all share the world."""
    stay.doing, stay.request = doing, request
    room.changes += 1
    try:
        with room.outside():
            yield
    finally:
        stay.doing = None


_EFFECTS: dict[Kind, Callable[[Room, Entry], None]] = {
    Kind.CHOSEN: _on_chosen,
    Kind.JOINED: _on_joined,
    Kind.REMOVED: _on_removed,
    Kind.STARTED: _on_started,
    Kind.PAUSED: _on_paused,
    Kind.OVER: _on_over,
    Kind.TURN: _on_turn,
    Kind.VOTED: _on_voted,
    Kind.CLOSED: _on_closed,
    Kind.ACTED: _on_acted,
    Kind.HINT: _on_hint,
    Kind.REVEALED: _on_revealed,
}
