"""A room's rounds: who may do what and when, hints, the clock, and teams that do not disturb each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mirr.env.environment import Environment
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action, parse_action
from mirr.env.world import ActionResult, World, WorldError
from mirr.room.commands import Refused
from mirr.room.effects import MOST_REQUESTS_KEPT
from mirr.room.entries import RoomError
from mirr.room.episodes import AGENTS, play_agents
from mirr.room.rooms import MOST_TEAMS, Room
from mirr.room.teams import LONGEST_NAME, Team
from mirr.room.worlds import WorldSource
from tests.room.rooms import PACK, Seats, seats

EASY = {"tier": "easy", "seed": 7}
TAKEN = "that name is taken; next: choose another one, or ask your team for its link"
RESERVED = "no team can have that name: the scoreboard has it for others; next: choose another one"


def room_of(found: Seats) -> Room:
    with found.hall.inside(found.code) as room:
        assert room is not None
        return room


def team_of(found: Seats, name: str) -> Team:
    return room_of(found).teams[name]


def test_a_team_plays_what_an_agent_plays_with_the_same_seed() -> None:
    found = seats("Owls", incident=EASY)
    environment = Environment(SimulatedWorld())
    first, _ = environment.reset(seed=7)
    episode = team_of(found, "Owls").episode
    assert episode is not None
    assert (episode.frames[0].seen.features == first.features).all()
    for step, action in enumerate(["check_logs(payments)", "wait", "restart(auth)"]):
        found.act("Owls", action, step)
        seen, reward, *_ = environment.step(parse_action(action))
        assert (episode.frames[-1].seen.features == seen.features).all()
        assert episode.frames[-1].seen.logs == seen.logs
        assert episode.frames[-1].reward == reward


def test_two_teams_do_not_touch_each_other() -> None:
    found = seats("Owls", "Cats", incident=EASY)
    found.act("Owls", "restart(gateway)", 0)
    owls, cats = team_of(found, "Owls"), team_of(found, "Cats")
    assert owls.episode is not None
    assert cats.episode is not None
    assert (owls.episode.step, cats.episode.step) == (1, 0)
    assert room_of(found).score(owls) == -2.0
    assert room_of(found).score(cats) == 0.0


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ([], "nobody can act now: this round is not started yet"),
        (["start", "pause"], "nobody can act now: this round is paused"),
        (["start", "end"], "nobody can act now: this round is over"),
    ],
)
def test_nobody_acts_unless_the_round_runs(before: list[str], message: str) -> None:
    found = seats("Owls")
    found.ask(found.trainer, "choose", incident=EASY)
    for what in before:
        found.ask(found.trainer, what)
    with pytest.raises(Refused) as refused:
        found.act("Owls", "wait", 0)
    assert str(refused.value) == message


def test_a_repeated_request_is_done_once() -> None:
    found = seats("Owls", incident=EASY)
    found.act("Owls", "wait", 0, "one")
    found.act("Owls", "wait", 0, "one")
    episode = team_of(found, "Owls").episode
    assert episode is not None
    assert episode.step == 1
    with pytest.raises(Refused, match=r"^this request id was used for another action, so nothing was done$"):
        found.act("Owls", "restart(auth)", 1, "one")
    assert episode.step == 1


def test_of_two_teammates_who_act_at_once_the_second_looks_again() -> None:
    found = seats("Owls", incident=EASY)
    found.act("Owls", "wait", 0, "mine")
    with pytest.raises(Refused, match=r"^somebody of your team acted first, and it is step 1 now; look again$"):
        found.act("Owls", "restart(auth)", 0, "yours")


def test_only_the_last_requests_are_remembered() -> None:
    found = seats("Owls", incident={"pack": "two-in-turn"})
    for step in range(5):
        found.act("Owls", "wait", step)
    team = team_of(found, "Owls")
    assert list(team.requests) == [f"Owls-{step}" for step in range(5)]
    assert MOST_REQUESTS_KEPT > 5


def test_a_false_alarm_cannot_be_named_where_something_is_broken() -> None:
    found = seats("Owls", incident=EASY)
    with pytest.raises(Refused, match=r"^something is broken in this incident; next: diagnose a service$"):
        found.act("Owls", "diagnose(none)", 0)
    pack = seats("Owls", incident=PACK)
    pack.act("Owls", "diagnose(none)", 0)
    assert room_of(pack).score(team_of(pack, "Owls")) == -2.0


def test_hints_cost_points_and_come_in_their_order() -> None:
    found = seats("Owls", incident=EASY)
    token = found.teams["Owls"]
    incident = room_of(found).incident
    assert incident is not None
    service = incident.scenario.faults[0].service
    for _ in incident.hints:
        found.ask(token, "hint")
    assert room_of(found).score(team_of(found, "Owls")) == -12.0
    assert str(service) in incident.hints[0].text
    assert incident.hints[1].text == f"The trouble is in {service}."
    with pytest.raises(Refused, match=r"^there are no more hints$"):
        found.ask(token, "hint")


def test_a_round_ends_when_its_time_is_up_and_a_pause_takes_no_time() -> None:
    found = seats("Owls")
    found.ask(found.trainer, "choose", incident=EASY, limit_s=60)
    found.ask(found.trainer, "start")
    found.time.s += 50
    found.act("Owls", "wait", 0)
    found.ask(found.trainer, "pause")
    found.time.s += 1000
    found.ask(found.trainer, "start")
    found.time.s += 9
    found.act("Owls", "wait", 1)
    assert room_of(found).clock.elapsed_s(found.time.s) == 59.0
    assert team_of(found, "Owls").acted_at_s == [50.0, 59.0]
    found.time.s += 1
    with pytest.raises(Refused, match=r"^nobody can act now: this round is over$"):
        found.act("Owls", "wait", 2)
    with pytest.raises(Refused, match=r"^this round is over; next: choose an incident for another one$"):
        found.ask(found.trainer, "start")


def test_who_joins_a_running_round_begins_at_its_first_step() -> None:
    found = seats("Owls", incident=EASY)
    found.act("Owls", "wait", 0)
    room_of(found).join("Cats", "token of Cats", found.time())
    cats = team_of(found, "Cats").episode
    assert cats is not None
    assert cats.step == 0


def test_a_new_round_begins_anew_for_every_team() -> None:
    found = seats("Owls", incident=EASY)
    found.act("Owls", "restart(auth)", 0)
    found.ask(found.teams["Owls"], "hint")
    found.ask(found.trainer, "choose", incident={"tier": "medium", "seed": 3})
    room, owls = room_of(found), team_of(found, "Owls")
    assert (room.round, str(room.phase), owls.episode, owls.hints) == (2, "lobby", None, 0)
    assert room.score(owls) == 0.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", f"a team's name has 1 to {LONGEST_NAME} letters"),
        ("\n \t", f"a team's name has 1 to {LONGEST_NAME} letters"),
        ("x" * 41, f"a team's name has 1 to {LONGEST_NAME} letters"),
        ("oWLS", TAKEN),
        ("\uff2f\uff57\uff4c\uff53", TAKEN),  # full width
        ("Owl\ufe0fs\u3164", TAKEN),
        ("\u3164", f"a team's name has 1 to {LONGEST_NAME} letters"),
        ("\ufdfa" * 3, f"a team's name has 1 to {LONGEST_NAME} letters"),  # each is 18 letters
        ("?!", "a team's name has a letter or a digit"),
        ("ORACLE", RESERVED),
        ("trained_lm", RESERVED),
        ("Owls (Agent)", RESERVED),
        ("Trainer", RESERVED),
        ("all  Teams", RESERVED),
    ],
)
def test_a_name_that_cannot_be_shown_or_told_apart_is_refused(name: str, message: str) -> None:
    found = seats("Owls")
    with pytest.raises(RoomError) as refused:
        room_of(found).join(name, "a token", found.time())
    assert str(refused.value) == message


def test_what_cannot_be_seen_is_taken_out_of_a_name() -> None:
    found = seats()
    assert room_of(found).join("night\u202e\nowls ", "a token", 0.0).name == "night owls"


def test_a_room_has_an_end_of_teams() -> None:
    found = seats(*(f"team {number}" for number in range(MOST_TEAMS)))
    with pytest.raises(RoomError, match=f"^this room is full: it has {MOST_TEAMS} teams$"):
        room_of(found).join("one more", "a token", found.time())


def test_a_removed_team_is_nobody() -> None:
    found = seats("Owls", incident=EASY)
    found.ask(found.trainer, "remove", team="Owls")
    assert found.who(found.teams["Owls"]) is None


@pytest.mark.parametrize(
    ("incident", "message"),
    [
        (None, "an incident is an object with pack or tier, and seed; got None"),
        ({}, "an incident has either a pack or a tier"),
        ({"pack": "two-in-turn", "tier": "easy"}, "an incident has either a pack or a tier"),
        ({"tier": "easy", "seed": -1}, "a seed is a whole number from 0 up; got -1"),
        ({"tier": "easy"}, "a seed is a whole number from 0 up; got None"),
        ({"tier": "easy", "seed": 2**60}, f"a seed of a room is at most {2**53 - 1}; got {2**60}"),
        ({"tier": "tough", "seed": 1}, "unknown tier 'tough'; one of: easy, medium, hard"),
    ],
)
def test_an_incident_that_cannot_be_played_is_refused(incident: object, message: str) -> None:
    found = seats("Owls")
    with pytest.raises(Refused) as refused:
        found.ask(found.trainer, "choose", incident=incident)
    assert str(refused.value) == message
    assert room_of(found).incident is None


def test_the_agents_play_the_same_incident_on_the_same_seed() -> None:
    found = seats("Owls", incident=EASY)
    room = room_of(found)
    incident = room.agents_to_play()
    assert incident is not None
    room.take_agents(incident, play_agents(incident))
    assert tuple(room.agents) == AGENTS
    owls = team_of(found, "Owls").episode
    assert owls is not None
    for episode in room.agents.values():
        assert (episode.frames[0].seen.features == owls.frames[0].seen.features).all()
    assert room.agents_to_play() is None


def test_agents_that_come_too_late_are_not_taken() -> None:
    found = seats("Owls", incident=EASY)
    room = room_of(found)
    late = room.agents_to_play()
    assert late is not None
    found.ask(found.trainer, "choose", incident={"tier": "easy", "seed": 8})
    room.take_agents(late, play_agents(late))
    assert room.agents == {}


class FailingWorld(SimulatedWorld):
    """A simulator that fails at the first action."""

    def apply(self, action: Action) -> ActionResult:
        raise WorldError("the engine is gone: payments-1 does not answer")


class Turns:
    """A world that all share. It counts how often it is open."""

    def __init__(self, kind: type[SimulatedWorld] = SimulatedWorld) -> None:
        self.kind = kind
        self.open_now = 0

    @property
    def source(self) -> WorldSource:
        return WorldSource(name="docker", open=self.opened, shared=True)

    @contextmanager
    def opened(self) -> Iterator[World]:
        self.open_now += 1
        try:
            yield self.kind()
        finally:
            self.open_now -= 1


def test_teams_take_turns_in_a_world_that_all_share() -> None:
    turns = Turns()
    found = seats("Owls", "Cats", source=turns.source, incident=EASY)
    owls, cats = found.teams["Owls"], found.teams["Cats"]
    with pytest.raises(Refused, match=r"^your team does not play yet; next: take the lab when it is free$"):
        found.act("Owls", "wait", 0)
    found.ask(owls, "take_turn")
    with pytest.raises(Refused, match=r"^Owls has the lab; next: wait until they are done$"):
        found.ask(cats, "take_turn")
    for step in range(30):
        if not team_of(found, "Owls").over:
            found.act("Owls", "wait", step)
    assert turns.open_now == 0
    with pytest.raises(Refused, match=r"^your team has played this round$"):
        found.ask(owls, "take_turn")
    found.ask(cats, "take_turn")
    assert turns.open_now == 1
    found.ask(found.trainer, "end")
    assert turns.open_now == 0


def test_when_the_world_fails_the_team_does_not_learn_what_the_error_names() -> None:
    turns = Turns(FailingWorld)
    found = seats("Owls", source=turns.source, incident=EASY)
    found.ask(found.teams["Owls"], "take_turn")
    with pytest.raises(Refused, match=r"^the world failed, so this incident is void; next: tell your trainer$"):
        found.act("Owls", "wait", 0)
    owls = team_of(found, "Owls")
    assert owls.trouble == "the engine is gone: payments-1 does not answer"
    assert owls.over
    assert turns.open_now == 0
