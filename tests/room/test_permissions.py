"""Who may ask what: each request has one role, and everybody else is refused. Nobody sees what they may not see."""

from __future__ import annotations

import json

import pytest

from mirr.env.vocabulary import FaultMode
from mirr.room.commands import COMMANDS, Refused, Role
from mirr.room.episodes import play_agents
from mirr.room.views import player_view, public_view, trainer_view
from tests.room.rooms import Seats, seats

EASY = {"tier": "easy", "seed": 7}

YOU_ARE = {Role.PLAYER: "in a team", Role.PUBLIC: "here to look"}

TRUTH = ("measured", "failed", "breaches", "answer", "seed", "debrief", "harm", "scenario", "troubles")
"""Names of fields that tell what was broken, or what it costs."""


def names_in(content: object) -> set[str]:
    """Every name of a field, at any depth."""
    if isinstance(content, dict):
        return set(content) | {name for value in content.values() for name in names_in(value)}
    if isinstance(content, list):
        return {name for value in content for name in names_in(value)}
    return set()


def views(found: Seats) -> dict[str, dict[str, object]]:
    with found.hall.inside(found.code) as room:
        assert room is not None
        return {
            "public": public_view(room, 0.0),
            "owls": player_view(room, room.teams["Owls"], 0.0),
            "cats": player_view(room, room.teams["Cats"], 0.0),
            "trainer": trainer_view(room, 0.0, "Owls"),
        }


def let_agents_play(found: Seats) -> None:
    with found.hall.inside(found.code) as room:
        assert room is not None
        incident = room.agents_to_play()
        assert incident is not None
        room.take_agents(incident, play_agents(incident))


def owls_are_done(found: Seats) -> bool:
    with found.hall.inside(found.code) as room:
        assert room is not None
        return room.teams["Owls"].over


def play_to_the_end(found: Seats) -> None:
    for step in range(30):
        if not owls_are_done(found):
            found.act("Owls", "wait", step)


@pytest.mark.parametrize("name", [name for name, each in COMMANDS.items() if each.role is Role.TRAINER])
@pytest.mark.parametrize("role", [Role.PLAYER, Role.PUBLIC])
def test_what_the_trainer_may_do_nobody_else_may(name: str, role: Role) -> None:
    found = seats("Owls", incident=EASY)
    token = found.teams["Owls"] if role is Role.PLAYER else None
    with pytest.raises(Refused) as refused:
        found.ask(token, name, incident=EASY, team="Owls", agent="oracle", limit_s=0)
    assert str(refused.value) == f"{name} is only for the trainer; you are {YOU_ARE[role]}"


@pytest.mark.parametrize("name", [name for name, each in COMMANDS.items() if each.role is Role.PLAYER])
def test_who_only_looks_can_do_nothing(name: str) -> None:
    found = seats("Owls", incident=EASY)
    with pytest.raises(Refused) as refused:
        found.ask(None, name, action="wait", step=0, id="one", agent="oracle")
    assert str(refused.value) == f"{name} is only for teams; you are here to look"


def test_an_unknown_request_is_refused() -> None:
    found = seats("Owls")
    with pytest.raises(Refused, match=r"^unknown request 'inject'; one of: choices, choose, start, "):
        found.ask(found.trainer, "inject")


@pytest.mark.parametrize("token", ["", "x", "token of Owls "])
def test_a_token_that_is_not_exact_is_nobodys(token: str) -> None:
    assert seats("Owls").who(token) is None


def test_while_they_play_teams_and_the_public_see_no_truth() -> None:
    found = seats("Owls", "Cats", incident=EASY)
    let_agents_play(found)
    found.act("Owls", "check_logs(payments)", 0)
    seen = views(found)
    for who in ("public", "owls", "cats"):
        assert names_in(seen[who]) & set(TRUTH) == set(), who
        # The mode is nowhere: not even in a text.
        assert not [mode for mode in FaultMode if f'"{mode}"' in json.dumps(seen[who])], who
        assert [row["name"] for row in seen[who]["board"]] == ["Owls", "Cats"], who  # type: ignore[attr-defined]
    assert set(TRUTH) <= names_in(seen["trainer"])


def test_a_team_never_sees_the_steps_of_another_one() -> None:
    found = seats("Owls", "Cats", incident=EASY)
    found.act("Owls", "check_logs(payments)", 0)
    assert "check_logs(payments)" not in json.dumps(views(found)["cats"]).replace(
        json.dumps(views(found)["cats"]["incident"]), ""
    )


def test_the_truth_comes_to_the_team_that_is_done_and_only_to_it() -> None:
    found = seats("Owls", "Cats", incident=EASY)
    let_agents_play(found)
    play_to_the_end(found)
    seen = views(found)
    assert {"answer", "measured"} <= names_in(seen["owls"])
    assert {row["name"] for row in seen["owls"]["board"] if row["agent"]} == {  # type: ignore[attr-defined]
        "heuristic",
        "detective",
        "trained_lm",
        "oracle",
    }
    assert names_in(seen["cats"]) & {"answer", "measured"} == set()
    with pytest.raises(Refused, match=r"^the agents are shown when your incident is over$"):
        found.ask(found.teams["Cats"], "agent_tape", agent="oracle")
    tape = found.ask(found.teams["Owls"], "agent_tape", agent="oracle")["tape"]
    assert isinstance(tape, dict)
    assert tape["report"]["outcome"] == "resolved"


def test_who_joins_a_round_that_is_played_sees_the_answer_when_it_is_over() -> None:
    found = seats("Owls", "Cats", incident=EASY)
    let_agents_play(found)
    with found.hall.inside(found.code) as room:
        assert room is not None
        room.join("Spy", "token of Spy", found.time())
        spy = room.teams["Spy"]
        for step in range(30):
            if not spy.over:
                room.act(spy, "wait", step=step, request_id=str(step), at=found.time())
        seen = player_view(room, spy, found.time())
    assert names_in(seen) & set(TRUTH) == set()
    assert seen["team"]["answer_waits"]  # type: ignore[index]
    assert seen["team"]["report"] is None  # type: ignore[index]
    tape = found.ask("token of Spy", "own_tape")["tape"]
    assert isinstance(tape, dict)
    assert (tape["report"], names_in(tape) & set(TRUTH)) == (None, set())
    for what, why in (
        ("agent_tape", "the agents are shown when the round is over: your team joined while it was played"),
        ("own_paper", "the post-mortem is written when the round is over: your team joined while it was played"),
    ):
        with pytest.raises(Refused) as refused:
            found.ask("token of Spy", what, agent="oracle")
        assert str(refused.value) == why
    found.ask(found.trainer, "end")
    with found.hall.inside(found.code) as room:
        assert room is not None
        assert {"answer", "measured"} <= names_in(player_view(room, room.teams["Spy"], found.time()))


def test_who_was_late_in_one_round_is_not_in_the_next() -> None:
    found = seats("Owls", incident=EASY)
    with found.hall.inside(found.code) as room:
        assert room is not None
        room.join("Cats", "token of Cats", found.time())
        assert room.teams["Cats"].late
    found.ask(found.trainer, "choose", incident=EASY)
    with found.hall.inside(found.code) as room:
        assert room is not None
        assert not room.teams["Cats"].late


def test_the_trainer_reveals_the_truth_to_everybody() -> None:
    found = seats("Owls", "Cats", incident=EASY)
    found.ask(found.trainer, "reveal")
    for who, seen in views(found).items():
        assert "answer" in seen, who


def test_the_trainer_sees_the_harm_that_the_report_will_have() -> None:
    found = seats("Owls", "Cats", incident=EASY)
    before: object = None
    for step in range(30):
        if not owls_are_done(found):
            before = views(found)["trainer"]["harm"]["Owls"]  # type: ignore[index]
            found.act("Owls", "wait", step)
    assert isinstance(before, dict)
    after = views(found)["trainer"]["harm"]["Owls"]  # type: ignore[index]
    assert after["objective_lost_s"] == before["objective_lost_s"] + 2.0
