"""A round that is played by vote: one episode of all teams, in a world that all share."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mirr.cli.postmortem_command import explain
from mirr.room.commands import Refused
from mirr.room.entries import RoomError
from mirr.room.hall import Hall
from mirr.room.rooms import Room
from mirr.room.store import Store
from mirr.room.views import player_view, public_view, trainer_view
from mirr.room.votes import AllTeams
from tests.room.rooms import Seats, seats
from tests.room.test_shared_world import EASY, PATIENCE_S, SlowLab

Json = dict[str, Any]
Beside = Callable[[Callable[[], None]], "Future[None]"]


@pytest.fixture
def lab() -> SlowLab:
    return SlowLab()


@pytest.fixture
def found(lab: SlowLab) -> Seats:
    """Three teams whose round runs, and a lab that is ready."""
    return voting(lab)


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Do something in another thread, as the server does."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit


def voting(lab: SlowLab, path: Path | None = None, **choice: object) -> Seats:
    found = seats("Owls", "Cats", "Dogs", source=lab.source, path=path)
    found.ask(found.trainer, "choose", incident=EASY, way="vote", **choice)
    found.ask(found.trainer, "start")
    go_on(found)
    go_on(found)  # the first vote counts down
    return found


def room_of(found: Seats) -> Room:
    with found.hall.inside(found.code) as room:
        assert room is not None
        return room


def everybody(found: Seats) -> AllTeams:
    all_teams = room_of(found).everybody
    assert all_teams is not None
    return all_teams


def go_on(found: Seats) -> None:
    """What the server does now and then."""
    with found.hall.inside(found.code) as room:
        assert room is not None
        room.go_on(found.time())


def vote(found: Seats, team: str, action: str, step: int = 0) -> None:
    found.ask(found.teams[team], "vote", action=action, step=step)


def played(found: Seats) -> list[str]:
    """The actions of the episode."""
    return [frame["action"] for frame in seen_by(found, "Owls")["team"]["frames"][1:]]


def seen_by(found: Seats, who: str) -> Json:
    with found.hall.inside(found.code) as room:
        assert room is not None
        if who == "trainer":
            return trainer_view(room, found.time(), "all teams")
        return public_view(room, found.time()) if who == "public" else player_view(room, room.teams[who], found.time())


def test_the_action_with_the_most_votes_is_played_and_everybody_sees_the_same(found: Seats) -> None:
    vote(found, "Owls", "restart(auth)")
    vote(found, "Cats", "check_logs(payments)")
    go_on(found)
    assert played(found) == []
    vote(found, "Dogs", "check_logs(payments)")
    go_on(found)
    assert played(found) == ["check_logs(payments)"]
    owls, cats, trainer = (seen_by(found, who) for who in ("Owls", "Cats", "trainer"))
    assert owls["team"] == cats["team"]
    assert owls["team"]["frames"][1]["votes"] == trainer["team"]["frames"][1]["votes"]
    assert owls["team"]["frames"][1]["votes"] == [
        {"action": "check_logs(payments)", "teams": ["Cats", "Dogs"]},
        {"action": "restart(auth)", "teams": ["Owls"]},
    ]
    assert [(row["name"], row["state"], row["steps"]) for row in owls["board"]] == [("all teams", "playing", 1)]


def test_of_actions_with_as_many_votes_the_one_that_was_voted_for_first_is_played(found: Seats) -> None:
    for team, action in [("Cats", "restart(auth)"), ("Owls", "wait"), ("Dogs", "check_logs(auth)")]:
        vote(found, team, action)
    go_on(found)
    for team, action in [("Dogs", "check_logs(auth)"), ("Owls", "wait"), ("Cats", "restart(auth)")]:
        vote(found, team, action, 1)
    go_on(found)
    assert played(found) == ["restart(auth)", "check_logs(auth)"]


def test_a_vote_can_be_changed_until_it_is_closed_and_counts_as_cast_then(found: Seats) -> None:
    vote(found, "Owls", "restart(auth)")
    vote(found, "Cats", "wait")
    vote(found, "Owls", "check_logs(auth)")
    assert seen_by(found, "Owls")["ballot"] == {
        "counts": [{"action": "wait", "votes": 1}, {"action": "check_logs(auth)", "votes": 1}],
        "own": "check_logs(auth)",
    }
    found.time.s += 20
    go_on(found)
    assert played(found) == ["wait"]
    assert seen_by(found, "Owls")["ballot"] == {"counts": [], "own": None}


def test_if_nobody_votes_in_time_a_step_is_waited(found: Seats) -> None:
    found.time.s += 19.9
    go_on(found)
    assert played(found) == []
    assert seen_by(found, "Owls")["room"]["vote"] == {
        "open": True,
        "voted": 0,
        "of": 3,
        "left_s": 0.1,
        "needs_start": False,
    }
    found.time.s += 0.1
    go_on(found)
    assert played(found) == ["wait"]
    assert seen_by(found, "Owls")["team"]["frames"][1]["votes"] == []


def test_the_trainer_says_how_long_a_vote_lasts_and_with_0_it_lasts_until_all_have_voted(lab: SlowLab) -> None:
    quick = voting(lab, vote_s=5)
    quick.time.s += 5
    go_on(quick)
    assert played(quick) == ["wait"]
    quick.ask(quick.trainer, "end")
    patient = voting(lab, vote_s=0)
    patient.time.s += 100_000
    go_on(patient)
    assert played(patient) == []
    assert seen_by(patient, "Owls")["room"]["vote"]["left_s"] is None


def test_a_vote_counts_down_from_when_it_can_be_cast_and_not_in_a_pause(found: Seats) -> None:
    found.time.s += 15
    found.ask(found.trainer, "pause")
    with pytest.raises(Refused, match=r"^nobody can act now: this round is paused$"):
        vote(found, "Owls", "wait")
    found.time.s += 1000
    go_on(found)
    found.ask(found.trainer, "start")
    go_on(found)
    assert (played(found), seen_by(found, "Owls")["room"]["vote"]["left_s"]) == ([], 5.0)
    found.time.s += 5
    go_on(found)
    found.time.s += 2  # the step
    go_on(found)
    assert (played(found), seen_by(found, "Owls")["room"]["vote"]["left_s"]) == (["wait"], 20.0)


def test_the_trainer_closes_a_vote_before_its_time(found: Seats) -> None:
    vote(found, "Dogs", "restart(orders)")
    found.ask(found.trainer, "close_vote")
    with pytest.raises(Refused, match=r"^this vote is closed; next: wait until its step ends$"):
        vote(found, "Owls", "wait")
    go_on(found)
    assert played(found) == ["restart(orders)"]


def test_a_vote_that_comes_too_late_is_refused_and_one_that_is_repeated_is_not(found: Seats) -> None:
    vote(found, "Owls", "restart(auth)")
    vote(found, "Owls", "restart(auth)")
    found.time.s += 20
    vote(found, "Owls", "restart(auth)")
    with pytest.raises(Refused, match=r"^this vote is closed; next: wait until its step ends$"):
        vote(found, "Cats", "wait")
    go_on(found)
    vote(found, "Owls", "restart(auth)")  # its answer was lost
    with pytest.raises(Refused, match=r"^that vote is closed, and it is step 1 now; look again$"):
        vote(found, "Cats", "wait")
    assert everybody(found).ballot.cast == {}


def test_a_team_cannot_vote_for_another_one(found: Seats) -> None:
    found.ask(found.teams["Owls"], "vote", action="restart(auth)", step=0, team="Cats", name="Cats")
    assert everybody(found).ballot.cast == {"Owls": "restart(auth)"}


def test_an_open_vote_tells_the_public_not_what_it_is_for_and_a_team_not_who_is_for_what(found: Seats) -> None:
    vote(found, "Cats", "diagnose(payments, bad_deploy)")
    public, owls = seen_by(found, "public"), seen_by(found, "Owls")
    assert (public["room"]["vote"]["voted"], "ballot" in public) == (1, False)
    assert owls["ballot"] == {"counts": [{"action": "diagnose(payments, bad_deploy)", "votes": 1}], "own": None}
    assert "Cats" not in json.dumps(owls)
    assert "answer" not in owls


def test_a_vote_does_not_wait_for_a_team_that_is_not_there(found: Seats) -> None:
    room = room_of(found)
    room.attend({room.teams["Owls"].key, room.teams["Cats"].key})
    vote(found, "Owls", "wait")
    assert seen_by(found, "Cats")["room"]["vote"]["of"] == 2
    vote(found, "Cats", "wait")
    go_on(found)
    assert played(found) == ["wait"]
    room.attend(set())  # nobody: only the time closes it
    go_on(found)
    assert played(found) == ["wait"]


def test_the_vote_of_a_team_that_is_removed_does_not_count(found: Seats) -> None:
    vote(found, "Owls", "restart(auth)")
    found.ask(found.trainer, "remove", team="Owls")
    assert everybody(found).ballot.cast == {}


def test_where_teams_vote_nobody_acts_or_takes_the_lab_alone_or_buys_a_hint_for_all(found: Seats) -> None:
    with pytest.raises(Refused, match=r"^teams vote in this round; next: vote$"):
        found.act("Owls", "wait", 0)
    with pytest.raises(Refused, match=r"^teams vote in this round, and nobody takes the lab alone$"):
        found.ask(found.teams["Owls"], "take_turn")
    with pytest.raises(Refused, match=r"^there are no hints where teams vote: one team would pay for all$"):
        found.ask(found.teams["Owls"], "hint")
    with pytest.raises(Refused, match=r"^something is broken in this incident; next: diagnose a service$"):
        vote(found, "Owls", "diagnose(none)")
    with pytest.raises(Refused, match=r"^unknown action 'dance'; "):
        vote(found, "Owls", "dance")


def test_in_a_round_in_turn_nobody_votes(lab: SlowLab) -> None:
    found = seats("Owls", source=lab.source, incident=EASY)
    with pytest.raises(Refused, match=r"^nobody votes in this round$"):
        vote(found, "Owls", "wait")
    with pytest.raises(Refused, match=r"^nobody votes in this round$"):
        found.ask(found.trainer, "close_vote")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"way": "lot"}, "unknown way 'lot'; one of: turns, vote"),
        ({"way": 1}, "way is a text of 1 to 64 characters"),
        ({"way": "vote", "vote_s": -1}, "a vote lasts at most 3600 s, or has no limit with 0"),
        ({"way": "vote", "vote_s": float("nan")}, "a vote lasts at most 3600 s, or has no limit with 0"),
        ({"way": "vote", "vote_s": "20"}, "vote_s is a number"),
    ],
)
def test_a_way_to_play_that_does_not_exist_is_refused(lab: SlowLab, choice: Json, message: str) -> None:
    found = seats("Owls", source=lab.source)
    with pytest.raises(Refused) as refused:
        found.ask(found.trainer, "choose", incident=EASY, **choice)
    assert str(refused.value) == message


def test_nobody_has_to_vote_where_every_team_has_a_world() -> None:
    found = seats("Owls")
    with pytest.raises(Refused, match=r"^every team has a world of its own here; nobody has to vote$"):
        found.ask(found.trainer, "choose", incident=EASY, way="vote")


def test_no_team_can_have_the_name_of_all(found: Seats) -> None:
    with pytest.raises(RoomError, match=r"^no team can have that name: "):
        room_of(found).join("All Teams", "a token", 0.0)


def test_a_team_that_comes_later_votes_with_the_others(found: Seats) -> None:
    found.teams["Late"] = "token of Late"
    room_of(found).join("Late", "token of Late", found.time())
    vote(found, "Late", "check_logs(gateway)")
    found.ask(found.trainer, "close_vote")
    go_on(found)
    assert played(found) == ["check_logs(gateway)"]


def test_all_teams_look_back_at_the_episode_that_they_played(found: Seats) -> None:
    actions = ["diagnose(payments, bad_deploy)", "rollback(payments)"]
    for step in range(30):
        if not everybody(found).over:
            vote(found, "Owls", actions[step] if step < len(actions) else "wait", step)
            found.ask(found.trainer, "close_vote")
            go_on(found)
    assert seen_by(found, "Dogs")["answer"]["seed"] == 16
    assert seen_by(found, "Dogs")["board"][0]["state"] == "resolved"
    with pytest.raises(Refused, match=r"^this incident is over$"):
        vote(found, "Owls", "wait", len(everybody(found).fell))
    own: Json = found.ask(found.teams["Cats"], "own_tape")
    assert own["tape"]["frames"][1]["votes"] == [{"action": actions[0], "teams": ["Owls"]}]
    assert found.ask(found.trainer, "team_tape", team="all teams") == own
    paper: Json = found.ask(found.teams["Cats"], "own_paper")
    assert "On call was all teams" in str(paper["markdown"])
    assert found.ask(found.trainer, "team_paper", team="all teams") == paper
    found.ask(found.trainer, "end")
    record = found.ask(found.teams["Dogs"], "own_record")
    assert json.loads(str(record["record"]).splitlines()[0])["policy"] == "all teams"
    assert found.ask(found.trainer, "team_record", team="all teams") == record


def test_a_round_by_vote_is_in_the_file_and_begins_anew_after_a_restart(tmp_path: Path, lab: SlowLab) -> None:
    path = tmp_path / "rooms.sqlite"
    found = voting(lab, path, vote_s=7)
    vote(found, "Owls", "restart(auth)")
    found.ask(found.trainer, "close_vote")
    go_on(found)
    found.hall.close()
    assert lab.open_now == 0
    with sqlite3.connect(path) as file:
        kinds = [kind for (kind,) in file.execute("SELECT kind FROM entry ORDER BY number")]
    file.close()
    assert kinds[3:] == ["chosen", "started", "turn", "voted", "closed", "acted"]
    found.hall = Hall(Store(path), explain=explain, source=lab.source, now=found.time)
    again = everybody(found)
    assert (str(room_of(found).phase), again.episode, again.fell, again.vote_s) == ("lobby", None, [], 7.0)
    found.ask(found.trainer, "start")
    go_on(found)
    vote(found, "Cats", "wait")


def test_the_room_is_open_while_the_lab_is_prepared_and_while_a_step_goes_on(lab: SlowLab, beside: Beside) -> None:
    lab.opening.shut()
    found = seats("Owls", "Cats", source=lab.source)
    found.ask(found.trainer, "choose", incident=EASY, way="vote")
    found.ask(found.trainer, "start")
    done = beside(lambda: go_on(found))
    lab.opening.somebody_waits()
    room = seen_by(found, "Owls")["room"]
    assert (room["holder"], room["doing"], room["vote"]["open"]) == ("all teams", "opening", False)
    with pytest.raises(Refused, match=r"^nobody can vote yet; next: wait until the lab is ready$"):
        vote(found, "Owls", "wait")
    found.ask(found.trainer, "pause")
    found.ask(found.trainer, "start")
    lab.opening.open.set()
    done.result(PATIENCE_S)
    go_on(found)
    assert everybody(found).attempts == 1

    lab.acting.shut()
    vote(found, "Owls", "restart(auth)")
    vote(found, "Cats", "restart(auth)")
    done = beside(lambda: go_on(found))
    lab.acting.somebody_waits()
    go_on(found)  # nothing is due while a step goes on
    with pytest.raises(Refused, match=r"^this vote is closed; next: wait until its step ends$"):
        vote(found, "Owls", "wait")
    with pytest.raises(Refused, match=r"^no vote is open now$"):
        found.ask(found.trainer, "close_vote")
    found.ask(found.trainer, "end")
    assert lab.open_now == 1
    lab.acting.open.set()
    done.result(PATIENCE_S)
    assert (lab.open_now, played(found)) == (0, ["restart(auth)"])


def test_a_lab_that_is_in_use_is_taken_when_the_trainer_starts_again(lab: SlowLab) -> None:
    lab.away = "lab mirr is in use by `mirr episode` (process 7); wait for it or end it"
    found = voting(lab)
    trainer = seen_by(found, "trainer")
    assert trainer["troubles"] == {"all teams": f"nobody can play there now: {lab.away}"}
    assert trainer["room"]["vote"]["needs_start"]
    assert trainer["board"][0]["state"] == "waiting"
    lab.away = ""
    go_on(found)
    assert lab.open_now == 0  # nobody asked for it
    found.ask(found.trainer, "start")
    go_on(found)
    assert (lab.open_now, seen_by(found, "trainer")["troubles"]) == (1, {})
    with pytest.raises(Refused, match=r"^this round runs already$"):
        found.ask(found.trainer, "start")


def test_a_world_that_fails_makes_the_incident_void_and_the_trainer_can_start_it_again(
    lab: SlowLab, found: Seats
) -> None:
    lab.fails = True
    found.ask(found.trainer, "close_vote")
    go_on(found)
    assert (lab.open_now, seen_by(found, "Owls")["team"]["void"]) == (0, True)
    assert seen_by(found, "trainer")["troubles"] == {"all teams": "payments-1 does not answer"}
    lab.fails = False
    found.ask(found.trainer, "start")
    go_on(found)
    vote(found, "Owls", "check_logs(auth)")
    found.ask(found.trainer, "close_vote")
    go_on(found)
    assert (played(found), seen_by(found, "Owls")["team"]["void"]) == (["check_logs(auth)"], False)


def test_a_new_round_in_turn_gives_back_what_was_played_by_vote(lab: SlowLab, found: Seats) -> None:
    found.ask(found.trainer, "choose", incident=EASY)
    assert (lab.open_now, room_of(found).everybody) == (0, None)
    found.ask(found.trainer, "start")
    found.ask(found.teams["Owls"], "take_turn")
    found.act("Owls", "wait", 0)
