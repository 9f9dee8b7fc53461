"""The post-mortem of a record, word for word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mirr.env.environment import Environment, Observation
from mirr.env.hindsight import incident_of
from mirr.env.postmortem import JOURNEY_TEXTS, MERIT_TEXTS, PREVENTION, FaultText, postmortem
from mirr.env.record import RecordError, Rollout, RolloutWriter, read_rollout
from mirr.env.reward import Merit
from mirr.env.rollout import play
from mirr.env.scenario import EpisodeConfig, Scenario, Scheduled
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import (
    Action,
    Breaks,
    Deploys,
    Fault,
    FaultMode,
    Journey,
    Service,
    Wait,
    parse_action,
)
from mirr.env.world import World
from tests.env.fakes import FakeWorld

BAD_DEPLOY = Fault.parse("bad_deploy:payments")
CONFIG = EpisodeConfig(max_steps=8, none_diagnosis=True)


class Script:
    """Takes these actions, then waits."""

    def __init__(self, actions: Sequence[str]) -> None:
        self._actions: list[Action] = [parse_action(action) for action in actions]

    def reset(self, rng: np.random.Generator) -> None:
        """Nothing to forget: it plays one episode."""

    def act(self, observation: Observation) -> Action:
        return self._actions[observation.step] if observation.step < len(self._actions) else Wait()


def recorded(
    folder: Path, actions: Sequence[str], *scheduled: Scheduled, world: World | None = None, policy: str = "ada"
) -> Rollout:
    path = folder / "record.jsonl"
    scenario = Scenario(seed=7, timeline=scheduled, name="a-test")
    with RolloutWriter(path, overwrite=True) as writer:
        play(
            Environment(FakeWorld() if world is None else world, CONFIG),
            Script(actions),
            scenario=scenario,
            world_name="docker",
            policy_name=policy,
            record=writer,
        )
    return read_rollout(path)


def explain(fault: Fault) -> FaultText:
    return FaultText(happens=f"A bad thing happens to {fault.service}.", fix=f"{fault.service} is well again.")


def markdown(rollout: Rollout) -> str:
    return postmortem(rollout, explain).markdown()


def section(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n\n")[1].split("\n\n## ")[0].strip()


def test_the_whole_document_of_a_small_incident(tmp_path: Path) -> None:
    actions = ["check_logs(payments)", "diagnose(payments, bad_deploy)", "restart(payments)", "rollback(payments)"]
    assert markdown(recorded(tmp_path, actions, Scheduled(0, Breaks(BAD_DEPLOY)))) == (
        "# Post-mortem: bad_deploy on payments, seed 7\n\n"
        "## Summary\n\n"
        "What happened was bad_deploy on payments. On call was ada, in the world docker. It was resolved: every "
        "objective met for 2 steps running. 120 of 360 requests of users failed, and objectives were missed for 8 s."
        "\n\n"
        "## Impact\n\n"
        "|  | requests | failed | share |\n"
        "|---|---|---|---|\n"
        "| Users who wanted to browse the shop | 360 | 120 | 33.3% |\n"
        "| Users who wanted to sign in | 0 | 0 | - |\n"
        "| Users who wanted to check out | 0 | 0 | - |\n"
        "| All | 360 | 120 | 33.3% |\n\n"
        "The worst window was that of step 1: 30 of 60 requests failed (50.0%).\n\n"
        "## Cause and trigger\n\n"
        "- bad_deploy on payments: A bad thing happens to payments.\n\n"
        "- Before the alarm, bad_deploy on payments began.\n\n"
        "## Resolution\n\n"
        "The right fix: rollback(payments) at 6 s. payments is well again.\n\n"
        "## What helped\n\n"
        "- check_logs(payments) at 0 s: the log of the service that was broken, before the diagnosis.\n"
        "- diagnose(payments, bad_deploy) at 2 s: correct diagnosis.\n"
        "- rollback(payments) at 6 s: right fix.\n\n"
        "## What harmed\n\n"
        "- restart(payments) at 4 s: wrong fix.\n\n"
        "## Detection\n\n"
        "The first window that showed it was that of step 0: user SLI is 0.500, objective 0.95.\n\n"
        "## Times\n\n"
        "| from | to | time | steps |\n"
        "|---|---|---|---|\n"
        "| the fault began | the first window that showed it | at the alarm | 0 |\n"
        "| the alarm | the diagnosis | 2 s | 1 |\n"
        "| the alarm | the start of the recovery | 8 s | 4 |\n"
        "| the alarm | the end | 12 s | 6 |\n\n"
        "## Action items\n\n"
        "- Send a part of the traffic to a new release of payments first, and roll back by itself when errors, latency "
        "or memory rise.\n"
        "- Read the log of a service before it is touched: 1 fix was of the wrong kind or on the wrong service.\n\n"
        "## Timeline\n\n"
        "| time | step | what happened | failed requests | objectives missed |\n"
        "|---|---|---|---|---|\n"
        "| 0 s | 0 | the alarm; bad_deploy on payments began | 30 of 60 | user SLI is 0.500, objective 0.95 |\n"
        "| 0 s | 1 | check_logs(payments): done | 30 of 60 | user SLI is 0.500, objective 0.95 |\n"
        "| 2 s | 2 | diagnose(payments, bad_deploy) (correct diagnosis): done | 30 of 60 "
        "| user SLI is 0.500, objective 0.95 |\n"
        "| 4 s | 3 | restart(payments) (wrong fix): done | 30 of 60 | user SLI is 0.500, objective 0.95 |\n"
        "| 6 s | 4 | rollback(payments) (right fix): done | 30 of 60 | user SLI is 0.500, objective 0.95 |\n"
        "| 8 s | 5 | wait: waited | 0 of 60 |  |\n"
        "| 10 s | 6 | wait: waited | 0 of 60 |  |\n"
    )


def test_waiting_and_a_wrong_diagnosis_are_named_as_harm_with_what_to_do_about_them(tmp_path: Path) -> None:
    text = markdown(recorded(tmp_path, ["diagnose(auth, crashed)"], Scheduled(0, Breaks(BAD_DEPLOY))))
    assert section(text, "Resolution").startswith("There was none: no recovery within 8 steps: ")
    assert section(text, "What helped") == "Nothing that was done helped."
    assert section(text, "What harmed") == (
        "- diagnose(auth, crashed) at 0 s: wrong diagnosis.\n"
        "- 7 steps of waiting with a fault that nobody had fixed, in which 210 requests failed."
    )
    assert section(text, "Action items").splitlines()[1:] == [
        "- Write into the runbook what tells bad_deploy on payments from crashed on auth.",
        "- Rehearse this incident: ada did not resolve it in 8 steps.",
    ]
    assert "| the alarm | the start of the recovery | never | - |" in text


def test_a_fix_without_a_diagnosis_is_a_guess(tmp_path: Path) -> None:
    text = markdown(recorded(tmp_path, ["rollback(payments)"], Scheduled(0, Breaks(BAD_DEPLOY))))
    assert section(text, "Action items").splitlines()[1:] == [
        "- Commit to a diagnosis before the fix: without one, a fix is a guess."
    ]
    assert "| the alarm | the diagnosis | never | - |" in text


def test_a_fault_that_begins_later_is_timed_from_its_beginning(tmp_path: Path) -> None:
    later = (Scheduled(0, Deploys(Service.AUTH)), Scheduled(3, Breaks(BAD_DEPLOY)))
    world = FakeWorld(failed=0)
    actions = ["wait", "wait", "wait", "diagnose(payments, bad_deploy)", "rollback(payments)"]
    text = markdown(recorded(tmp_path, actions, *later, world=world))
    assert section(text, "Cause and trigger").splitlines()[2:] == [
        "- Before the alarm, a sound release of auth was deployed.",
        "- At 4 s (step 3), bad_deploy on payments began.",
    ]
    assert section(text, "Detection") == "No window missed an objective because of a fault."
    assert section(text, "Impact").endswith("No request of a user failed.")
    assert section(text, "What harmed") == "Nothing that was done made it worse."


def test_a_false_alarm_has_no_cause(tmp_path: Path) -> None:
    text = markdown(recorded(tmp_path, ["diagnose(none)"], world=FakeWorld(failed=0)))
    assert text.startswith("# Post-mortem: a false alarm, seed 7\n")
    assert section(text, "Cause and trigger") == "Nothing was broken.\n\nNothing else happened around it."
    assert section(text, "Resolution") == "Nothing had to be fixed by hand."
    assert section(text, "Detection") == "There was nothing to detect."
    assert section(text, "Action items") == "None."


def test_the_numbers_are_those_of_the_report(tmp_path: Path) -> None:
    actions = ["check_logs(payments)", "diagnose(payments, bad_deploy)", "rollback(payments)"]
    rollout = recorded(tmp_path, actions, Scheduled(0, Breaks(BAD_DEPLOY)), world=SimulatedWorld())
    incident = incident_of(rollout)
    failed = sum(moment.snapshot.failed_requests for moment in incident.moments[1:])
    assert failed == incident.report.harm.failed_requests > 0
    assert incident.moments[-1].ended_s == pytest.approx(incident.report.steps * CONFIG.step_s)
    [diagnosis] = incident.by_merit(Merit.CORRECT_DIAGNOSIS)
    assert diagnosis.begun_s == incident.report.time_to_diagnose_s


class Page(HTMLParser):
    """Notes what a browser would run or load, and the text that it would show."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_has_the_same_words_and_loads_nothing(tmp_path: Path) -> None:
    actions = ["check_logs(payments)", "diagnose(payments, bad_deploy)", "rollback(payments)"]
    document = postmortem(recorded(tmp_path, actions, Scheduled(0, Breaks(BAD_DEPLOY))), explain)
    page = Page()
    page.feed(document.html())
    for heading in ("Summary", "Impact", "Cause and trigger", "What harmed", "Timeline"):
        assert heading in page.text
    assert "rollback(payments) (right fix): done" in page.text
    assert page.tags.count("h2") == 10
    assert {"script", "img", "link", "iframe"}.isdisjoint(page.tags)
    assert {"src", "href", "onload"}.isdisjoint(page.attributes)


def test_what_means_something_in_html_or_markdown_is_shown_as_it_is(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>|`[x](y)`\x1b\n# head"
    rollout = recorded(tmp_path, [], Scheduled(0, Breaks(BAD_DEPLOY)), policy=hostile)
    document = postmortem(rollout, explain)
    page = Page()
    page.feed(document.html())
    assert "script" not in page.tags
    assert "On call was <script>alert(1)</script>|`[x](y)`\\x1b\\n# head, in the world docker." in page.text
    assert (
        "On call was \\<script\\>alert(1)\\</script\\>\\|\\`\\[x\\](y)\\`\\\\x1b\\\\n# head, in the world docker."
        in document.markdown()
    )


def test_a_record_that_is_cut_off_has_no_post_mortem(tmp_path: Path) -> None:
    path = recorded(tmp_path, [], Scheduled(0, Breaks(BAD_DEPLOY))).path
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    with pytest.raises(RecordError) as error:
        postmortem(read_rollout(path), explain)
    assert str(error.value) == f"{path} is cut off after step 2: there is no end to write about"


def test_a_record_that_does_not_play_back_has_no_post_mortem(tmp_path: Path) -> None:
    path = recorded(tmp_path, [], Scheduled(0, Breaks(BAD_DEPLOY))).path
    *rest, end = path.read_text().splitlines()
    line = json.loads(end)
    line["report"]["steps"] = 7
    path.write_text("\n".join([*rest, json.dumps(line)]) + "\n")
    with pytest.raises(RecordError) as error:
        postmortem(read_rollout(path), explain)
    assert str(error.value) == (
        f"{path} does not play back: report, steps: 8, recorded 7; next: mirr records check {path}"
    )


def test_a_void_episode_has_no_post_mortem(tmp_path: Path) -> None:
    world = FakeWorld()
    world.fails_with = "the engine is gone"
    rollout = recorded(tmp_path, [], Scheduled(0, Breaks(BAD_DEPLOY)), world=world)
    with pytest.raises(RecordError) as error:
        postmortem(rollout, explain)
    assert str(error.value) == f"{rollout.path} is void, so it says nothing about an incident: the engine is gone"


def test_each_journey_merit_and_mode_has_its_words() -> None:
    assert (set(JOURNEY_TEXTS), set(MERIT_TEXTS), set(PREVENTION)) == (set(Journey), set(Merit), set(FaultMode))
