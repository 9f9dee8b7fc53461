"""What agents believe, beside each step: for the trainer, and for teams once they may see the agents."""

from __future__ import annotations

import numpy as np

from mirr.agents.belief.belief import CALM, fault_of_answer
from mirr.agents.belief.policy import told
from mirr.agents.registry import PolicyName
from mirr.env.scenario import draw
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Diagnose, Fault, FaultMode, Service, Tier
from mirr.room.commands import WITHOUT_ROOM
from mirr.room.episodes import agent_episode
from tests.room.rooms import seats

EASY = {"tier": "easy", "seed": 16}  # bad_deploy on payments


def test_the_detective_names_the_cases_that_are_open_until_one_is_left() -> None:
    episode = agent_episode(PolicyName.DETECTIVE, draw(16, tier=Tier.EASY), TIERS[Tier.EASY].config)
    told = {frame.seen.step: frame.thoughts for frame in episode.frames}
    actions = [frame.seen.last_action for frame in episode.frames]
    diagnosed = actions.index(Diagnose(Service.PAYMENTS, FaultMode.BAD_DEPLOY))
    open_then = told[diagnosed - 1]
    assert open_then
    assert all("payments: " in line and "crashed/" not in line for line in open_then[:1])
    assert told[diagnosed] == ("bad_deploy on payments: proved, or the last guess left",)
    assert told[diagnosed + 1][-1] == f"bad_deploy on payments: fixed at step {diagnosed}, not judged yet"
    assert told[len(actions) - 1] == ()  # it was over


def test_an_agent_that_says_nothing_has_no_thoughts() -> None:
    episode = agent_episode(PolicyName.HEURISTIC, draw(16, tier=Tier.EASY), TIERS[Tier.EASY].config)
    assert {frame.thoughts for frame in episode.frames} == {()}


def test_the_belief_policy_tells_its_likeliest_answers_and_how_likely_each_is() -> None:
    odds = np.zeros(CALM + 1)
    answers = [
        next(answer for answer in range(CALM) if fault_of_answer(answer) == Fault(FaultMode.CRASHED, service))
        for service in (Service.AUTH, Service.ORDERS)
    ]
    odds[[*answers, CALM]] = 0.62, 0.004, 0.376
    assert told(odds) == ("crashed on auth: 62%", "nothing is broken now: 38%")


def test_the_trainer_gets_what_an_agent_believed_at_each_step() -> None:
    found = seats("Owls", incident=EASY)
    tape = found.ask(found.trainer, "play_agent", agent="detective", incident=EASY)["tape"]
    assert isinstance(tape, dict)
    assert all(frame.get("thoughts") for frame in tape["frames"][:-1])
    assert "thoughts" not in tape["frames"][-1]
    assert {"play_agent", "choices"} == set(WITHOUT_ROOM)
