"""What can be asked of a room over its connection, and who may ask it. No web is here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mirr.agents.llm.settings import BadSettings
from mirr.agents.registry import parse_policy
from mirr.env.quoting import quoted
from mirr.env.scenario import BadScenario
from mirr.env.vocabulary import UnknownName
from mirr.env.world import WorldError
from mirr.room.entries import RoomError
from mirr.room.episodes import Episode, agent_episode, tape_json
from mirr.room.incidents import incident_of, parse_choice
from mirr.room.papers import NoPaper, document_json, postmortem_of, record_of
from mirr.room.rooms import Room
from mirr.room.teams import Team
from mirr.room.views import agent_tape, choices, team_tape
from mirr.room.votes import VOTE_S, Way

Fields = Mapping[str, object]
Answer = dict[str, object]


class Role(StrEnum):
    """Who somebody is in a room."""

    PUBLIC = "public"  # has the join code
    PLAYER = "player"  # has a team's token
    TRAINER = "trainer"  # has the trainer's token


class Refused(Exception):
    """A request that was not done. The message says why."""


@dataclass(frozen=True, kw_only=True)
class Who:
    """Somebody in a room, as the room knows them now."""

    role: Role
    team: Team | None = None  # of a player


def who_is(room: Room, token: str | None) -> Who | None:
    """Who has that token. None if nobody has it. Without a token, it is the public."""
    if token is None:
        return Who(role=Role.PUBLIC)
    if room.is_trainer(token):
        return Who(role=Role.TRAINER)
    team = room.team_of(token)
    return None if team is None else Who(role=Role.PLAYER, team=team)


@dataclass(frozen=True)
class _Command:
    role: Role  # who alone may do it
    do: Callable[[Room, Who, Fields, float], Answer]


def run(room: Room, who: Who, name: object, fields: Fields, at: float) -> Answer:
    """Do what was asked. Raises Refused."""
    command = COMMANDS.get(name) if isinstance(name, str) else None
    if command is None:
        raise Refused(f"unknown request {quoted(name)}; one of: {', '.join(COMMANDS)}")
    if who.role is not command.role:
        raise Refused(not_for(str(name), command.role, who.role))
    try:
        return command.do(room, who, fields, at)
    except (RoomError, BadScenario, BadSettings, UnknownName, NoPaper) as error:
        raise Refused(str(error)) from error
    except WorldError as error:
        # The error may name what is broken. The trainer reads it in their view.
        raise Refused("the world failed, so this incident is void; next: tell your trainer") from error


def not_for(name: str, role: Role, asked_by: Role) -> str:
    """Why somebody may not make the request of that name, which is for `role`."""
    return f"{name} is only for {_FOR[role]}; you are {_YOU_ARE[asked_by]}"


_FOR = {Role.PUBLIC: "everybody", Role.PLAYER: "teams", Role.TRAINER: "the trainer"}
_YOU_ARE = {Role.PUBLIC: "here to look", Role.PLAYER: "in a team", Role.TRAINER: "the trainer"}


def _text(fields: Fields, name: str, longest: int = 64) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise Refused(f"{name} is a text of 1 to {longest} characters")
    return value


def _number(fields: Fields, name: str, default: float) -> float:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{name} is a number")
    try:
        return float(value)
    except OverflowError as error:
        raise Refused(f"{name} is too large") from error


def _team(who: Who) -> Team:
    assert who.team is not None  # a player has one
    return who.team


def _choose(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    way = _text(fields, "way") if "way" in fields else Way.TURNS
    vote_s = _number(fields, "vote_s", VOTE_S)
    room.choose(fields.get("incident"), _number(fields, "limit_s", 0.0), at, way=way, vote_s=vote_s)
    return {}


def _start(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    room.start(at)
    return {}


def _pause(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    room.pause(at)
    return {}


def _end(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    room.end(at)
    return {}


def _close_vote(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    room.close_vote(at)
    return {}


def _reveal(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    room.reveal(at)
    return {}


def _remove(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    room.remove(_text(fields, "team"), at)
    return {}


def _choices(*_: object) -> Answer:
    return choices()


def _play_agent(_: Room, __: Who, fields: Fields, ___: float) -> Answer:
    incident = incident_of(parse_choice(fields.get("incident")))
    episode = agent_episode(parse_policy(_text(fields, "agent")), incident.scenario, incident.config)
    return {"tape": tape_json(episode, with_truth=True), "title": incident.title, "symptom": incident.symptom}


def _act(room: Room, who: Who, fields: Fields, at: float) -> Answer:
    step = _number(fields, "step", -1.0)
    room.act(_team(who), _text(fields, "action"), step=int(step), request_id=_text(fields, "id"), at=at)
    return {}


def _vote(room: Room, who: Who, fields: Fields, at: float) -> Answer:
    step = _number(fields, "step", -1.0)
    room.vote(_team(who), _text(fields, "action"), step=int(step), at=at)
    return {}


def _turn(room: Room, who: Who, fields: Fields, at: float) -> Answer:
    room.take_turn(_team(who), at)
    return {}


def _hint(room: Room, who: Who, fields: Fields, at: float) -> Answer:
    room.buy_hint(_team(who), at)
    return {}


def _team_tape(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    team = room.player(_text(fields, "team"))
    return {"tape": None if team is None else team_tape(team, with_truth=True)}


def _own_tape(room: Room, who: Who, fields: Fields, at: float) -> Answer:
    team = room.plays_for(_team(who))
    return {"tape": team_tape(team, with_truth=room.may_see_answer(team))}


def _team_paper(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    return _paper(room, room.player(_text(fields, "team")))


def _own_paper(room: Room, who: Who, fields: Fields, at: float) -> Answer:
    team = room.plays_for(_team(who))
    if not room.may_see_answer(team):
        raise Refused(f"the post-mortem is written when {_over(team)}")
    return _paper(room, team)


def _over(team: Team) -> str:
    return "the round is over: your team joined while it was played" if team.late else "your incident is over"


def _paper(room: Room, team: Team | None) -> Answer:
    document = postmortem_of(_episode(team), room.explain)
    return {"document": document_json(document), "markdown": document.markdown(), "html": document.html()}


def _team_record(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    return {"record": record_of(_episode(room.player(_text(fields, "team"))))}


def _own_record(room: Room, who: Who, fields: Fields, at: float) -> Answer:
    # A record is a file that goes from hand to hand, so it waits until nobody plays this incident any more.
    if not room.may_see_answer(None):
        raise Refused("a record holds the truth; next: wait until the trainer reveals it or ends the round")
    return {"record": record_of(_episode(room.plays_for(_team(who))))}


def _episode(team: Team | None) -> Episode:
    if team is None or team.episode is None:
        raise Refused("that team has not played in this round")
    return team.episode


def _agent_tape(room: Room, who: Who, fields: Fields, at: float) -> Answer:
    if not room.may_see_answer(who.team):
        raise Refused(f"the agents are shown when {_over(room.plays_for(_team(who)))}")
    return {"tape": agent_tape(room, parse_policy(_text(fields, "agent")))}


def _any_agent_tape(room: Room, _: Who, fields: Fields, at: float) -> Answer:
    return {"tape": agent_tape(room, parse_policy(_text(fields, "agent")))}


COMMANDS: dict[str, _Command] = {
    "choices": _Command(Role.TRAINER, _choices),
    "choose": _Command(Role.TRAINER, _choose),
    "start": _Command(Role.TRAINER, _start),
    "pause": _Command(Role.TRAINER, _pause),
    "end": _Command(Role.TRAINER, _end),
    "close_vote": _Command(Role.TRAINER, _close_vote),
    "reveal": _Command(Role.TRAINER, _reveal),
    "remove": _Command(Role.TRAINER, _remove),
    "team_tape": _Command(Role.TRAINER, _team_tape),
    "team_paper": _Command(Role.TRAINER, _team_paper),
    "team_record": _Command(Role.TRAINER, _team_record),
    "any_agent_tape": _Command(Role.TRAINER, _any_agent_tape),
    "play_agent": _Command(Role.TRAINER, _play_agent),
    "act": _Command(Role.PLAYER, _act),
    "vote": _Command(Role.PLAYER, _vote),
    "take_turn": _Command(Role.PLAYER, _turn),
    "hint": _Command(Role.PLAYER, _hint),
    "own_tape": _Command(Role.PLAYER, _own_tape),
    "own_paper": _Command(Role.PLAYER, _own_paper),
    "own_record": _Command(Role.PLAYER, _own_record),
    "agent_tape": _Command(Role.PLAYER, _agent_tape),
}
"""Every request, and the one role that may make it. A test holds that the others are refused."""

WITHOUT_ROOM = frozenset({"choices", "play_agent"})
"""Requests that look at nothing in the room, so that the room goes on while a slow agent plays."""
