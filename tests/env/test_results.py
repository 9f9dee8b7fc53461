"""The table of results: the exact text of every result, and one number for each reason."""

from __future__ import annotations

import pytest

from mirr.env.results import TEXTS, reasons_for, result_of, result_text
from mirr.env.simulator.fast import rows as k
from mirr.env.vocabulary import PACK_ACTIONS, REASONS, Reason, Rollback, Service, parse_action
from mirr.env.world import ActionResult, Level, LogLine

SENTENCES = {
    "wait": {Reason.DONE: "waited"},
    "check_logs(auth)": {Reason.DONE: "3 lines of auth's log"},
    "diagnose(auth, crashed)": {Reason.DONE: "diagnosis noted: crashed on auth"},
    "diagnose(none)": {Reason.DONE: "diagnosis noted: nothing is broken"},
    "restart(auth)": {Reason.DONE: "auth is restarting"},
    "rollback(auth)": {
        Reason.DONE: "auth is going back to release 1.4.0",
        Reason.NO_EARLIER_RELEASE: "auth has no earlier release",
    },
    "scale_up(auth)": {
        Reason.DONE: "auth has twice the CPU quota now",
        Reason.NOT_RUNNING: "auth is not running, nothing to scale",
        Reason.LARGEST_SIZE: "auth is already at its largest size",
    },
}


@pytest.mark.parametrize("action_name", SENTENCES)
def test_every_result_text_is_as_published(action_name: str) -> None:
    action = parse_action(action_name)
    assert {reason: result_text(action, reason, log_lines=3) for reason in reasons_for(action)} == SENTENCES[
        action_name
    ]


def test_the_table_has_every_kind_of_action_and_nothing_else() -> None:
    assert {kind for kind, _ in TEXTS} == {type(action) for action in PACK_ACTIONS}
    assert sum(map(len, SENTENCES.values())) == len(TEXTS)
    assert {reason for _, reason in TEXTS} == set(Reason)


def test_a_result_is_accepted_only_if_its_reason_is_done() -> None:
    line = LogLine(age_s=1.0, level=Level.INFO, event="started", text="release 1.4.0")
    read = result_of(parse_action("check_logs(auth)"), logs=(line,))
    assert read == ActionResult(reason=Reason.DONE, text="1 lines of auth's log", logs=(line,))
    assert read.accepted
    refused = result_of(Rollback(Service.AUTH), Reason.NO_EARLIER_RELEASE)
    assert not refused.accepted


def test_a_reason_that_does_not_fit_the_action_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^not_running cannot answer rollback\(auth\); one of: done, no_earlier"):
        result_of(Rollback(Service.AUTH), Reason.NOT_RUNNING)


def test_the_simulator_numbers_the_reasons_in_order() -> None:
    numbers = {
        Reason.DONE: k.ACCEPTED,
        Reason.NO_EARLIER_RELEASE: k.NO_EARLIER_RELEASE,
        Reason.NOT_RUNNING: k.NOT_RUNNING,
        Reason.LARGEST_SIZE: k.LARGEST,
    }
    assert numbers == {reason: REASONS.index(reason) for reason in Reason}
