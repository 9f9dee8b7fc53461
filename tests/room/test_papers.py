"""The record and the post-mortem of what a team played: the same as on the command line, and for whom they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirr.cli.postmortem_command import explain
from mirr.env.environment import Environment, Observation
from mirr.env.postmortem import postmortem
from mirr.env.record import RolloutWriter, parse_rollout
from mirr.env.rollout import play
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Action, parse_action
from mirr.room.commands import Refused
from tests.room.rooms import PACK, Seats, seats
from tests.room.test_rooms import FailingWorld, Turns

EASY = {"tier": "easy", "seed": 16}  # bad_deploy on payments
ACTIONS = ["check_logs(payments)", "diagnose(payments, bad_deploy)", "rollback(payments)", *["wait"] * 27]


class Script:
    """Does what a team did."""

    def reset(self, rng: np.random.Generator) -> None:
        self.left = list(ACTIONS)

    def act(self, observation: Observation) -> Action:
        return parse_action(self.left.pop(0))


def played(found: Seats, team: str = "Owls") -> int:
    """Play a team's incident to its end. Returns the steps."""
    for step, action in enumerate(ACTIONS):
        found.act(team, action, step)
        with found.hall.inside(found.code) as room:
            assert room is not None
            if room.teams[team].over:
                return step + 1
    raise AssertionError("it has more steps")


def test_a_teams_record_is_the_one_that_an_agent_would_have_left(tmp_path: Path) -> None:
    path = tmp_path / "agent.jsonl"
    with RolloutWriter(path) as writer:
        play(Environment(SimulatedWorld()), Script(), seed=16, world_name="sim", policy_name="Owls", record=writer)
    found = seats("Owls", incident=EASY)
    played(found)
    assert found.ask(found.trainer, "team_record", team="Owls")["record"] == path.read_text()


def test_a_teams_post_mortem_is_the_one_of_its_record() -> None:
    found = seats("Owls", incident=EASY)
    played(found)
    record = str(found.ask(found.trainer, "team_record", team="Owls")["record"])
    document = postmortem(parse_rollout(Path("x"), record.encode()), explain)
    paper = found.ask(found.teams["Owls"], "own_paper")
    assert paper == found.ask(found.trainer, "team_paper", team="Owls")
    assert (paper["markdown"], paper["html"]) == (document.markdown(), document.html())
    shown = paper["document"]
    assert isinstance(shown, dict)
    assert shown["title"] == "Post-mortem: bad_deploy on payments, seed 16"
    assert [each["heading"] for each in shown["sections"]] == [each.heading for each in document.sections]
    times = next(each for each in shown["sections"] if each["heading"] == "Times")
    assert times["blocks"][0]["headings"] == ["from", "to", "time", "steps"]
    assert times["blocks"][0]["rows"][1] == ["the alarm", "the diagnosis", "2 s", "1"]


def test_while_they_play_a_team_gets_neither() -> None:
    found = seats("Owls", incident=EASY)
    for what, why in (
        ("own_paper", "the post-mortem is written when your incident is over"),
        ("own_record", "a record holds the truth; next: wait until the trainer reveals it or ends the round"),
    ):
        with pytest.raises(Refused) as refused:
            found.ask(found.teams["Owls"], what)
        assert str(refused.value) == why


def test_a_team_that_is_done_gets_its_post_mortem_and_its_record_only_after_the_reveal() -> None:
    found = seats("Owls", "Cats", incident=EASY)
    played(found)
    assert "markdown" in found.ask(found.teams["Owls"], "own_paper")
    with pytest.raises(Refused, match=r"^a record holds the truth; "):
        found.ask(found.teams["Owls"], "own_record")
    with pytest.raises(Refused, match=r"^the post-mortem is written when your incident is over$"):
        found.ask(found.teams["Cats"], "own_paper")
    found.ask(found.trainer, "reveal")
    assert '"policy": "Owls"' in str(found.ask(found.teams["Owls"], "own_record")["record"])


def test_a_player_gets_the_own_teams_papers_whatever_team_is_asked_for() -> None:
    found = seats("Owls", "Cats", incident=EASY)
    played(found)
    played(found, "Cats")
    found.ask(found.trainer, "reveal")
    paper = found.ask(found.teams["Owls"], "own_paper", team="Cats")
    assert "On call was Owls" in str(paper["markdown"])
    record = found.ask(found.teams["Owls"], "own_record", team="Cats")["record"]
    assert '"policy": "Owls"' in str(record)


def test_what_was_not_played_to_its_end_has_a_record_and_no_post_mortem() -> None:
    found = seats("Owls", "Cats", incident=PACK)
    found.act("Owls", "wait", 0)
    found.ask(found.trainer, "end")
    rollout = parse_rollout(Path("x"), str(found.ask(found.teams["Owls"], "own_record")["record"]).encode())
    assert (rollout.end, rollout.last_seen) == (None, "after step 1")
    with pytest.raises(Refused) as refused:
        found.ask(found.teams["Owls"], "own_paper")
    assert str(refused.value) == "this incident was not played to its end, so there is no post-mortem of it"


def test_who_has_not_played_has_nothing() -> None:
    found = seats("Owls", incident=PACK)
    found.ask(found.trainer, "choose", incident=PACK)
    for what in ("team_paper", "team_record"):
        with pytest.raises(Refused, match=r"^that team has not played in this round$"):
            found.ask(found.trainer, what, team="Owls")


def test_a_void_incident_has_a_record_that_says_what_was_tried_and_no_post_mortem() -> None:
    found = seats("Owls", source=Turns(FailingWorld).source, incident=EASY)
    found.ask(found.teams["Owls"], "take_turn")
    with pytest.raises(Refused, match=r"^the world failed, "):
        found.act("Owls", "wait", 0)
    record = str(found.ask(found.trainer, "team_record", team="Owls")["record"])
    rollout = parse_rollout(Path("x"), record.encode())
    assert (rollout.attempted, rollout.header["world"]) == (parse_action("wait"), "docker")
    with pytest.raises(Refused) as refused:
        found.ask(found.trainer, "team_paper", team="Owls")
    assert str(refused.value) == "the world failed, so this incident is void and there is no post-mortem of it"
