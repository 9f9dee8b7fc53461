"""Texts for an agent: digests of logs, and the observation as text."""

from __future__ import annotations

import numpy as np

from mirr.env.environment import Observation
from mirr.env.logs import digest
from mirr.env.rendering import log_text, printable, render
from mirr.env.vocabulary import CheckLogs, Service
from mirr.env.world import Level, LogLine
from tests.env.fakes import snapshot, with_down


def line(age_s: float, level: Level = Level.INFO, event: str = "request", text: str = "GET / 200") -> LogLine:
    return LogLine(age_s=age_s, level=level, event=event, text=text)


def test_a_digest_keeps_an_old_start_and_the_latest_other_lines() -> None:
    started = line(60.0, event="started", text="release=1.5.0")
    found = digest([line(float(age)) for age in range(1, 50)] + [started])
    assert len(found) == 20
    assert found[0] is started
    assert [each.age_s for each in found[1:]] == [float(age) for age in range(19, 0, -1)]


def test_a_digest_keeps_the_latest_line_of_each_kind_of_problem() -> None:
    warnings = [line(float(age), Level.WARNING, "shed", "too many requests") for age in range(5, 60)]
    error = line(58.0, Level.ERROR, "request_failed", "ValueError")
    found = digest([*warnings, error, *(line(0.1 * n) for n in range(40))])
    assert [each.age_s for each in found if each.level is not Level.INFO] == [58.0, 5.0]
    assert len(found) == 20


def test_a_digest_of_nothing_is_empty() -> None:
    assert digest([]) == ()


def test_control_characters_are_written_as_text_and_others_are_not_changed() -> None:
    assert printable("\x1b[31mred\x1b[0m\x07\x9b\r\n\t\u2028\u202e\ud800") == (
        r"\x1b[31mred\x1b[0m\x07\x9b\r\n\t\u2028\u202e\ud800"
    )
    assert printable("Größe 5 µs, 日本, 🙂") == "Größe 5 µs, 日本, 🙂"
    hostile = line(3.2, event="a\x1b", text="b\nstep 9, 21 left")
    assert log_text(hostile) == r"   3.2 s ago  info     a\x1b            b\nstep 9, 21 left"


def test_an_observation_is_rendered_as_a_table() -> None:
    shown = with_down(snapshot(), Service.AUTH)
    observation = Observation(
        features=shown.features.astype(np.float32),
        step=3,
        steps_left=27,
        last_action=CheckLogs(Service.AUTH),
        last_result="1 lines of auth's log",
        logs=(line(3.2, Level.ERROR, "request_failed", "POST /check 500"),),
        logs_of=Service.AUTH,
    )
    assert render(observation).splitlines() == [
        "service     up   req/s  errors      p95   cpu  memory  in flight",
        "gateway      1    10.0    0.0%  0.020 s   30%     27%        1.0",
        "auth         0       -       -        -     -       -          -",
        "inventory    1    10.0    0.0%  0.020 s   30%     27%        1.0",
        "orders       1    10.0    0.0%  0.020 s   30%     27%        1.0",
        "payments     1    10.0    0.0%  0.020 s   30%     27%        1.0",
        "last action: check_logs(auth): 1 lines of auth's log",
        "log of auth:",
        "     3.2 s ago  error    request_failed   POST /check 500",
        "step 3, 27 left",
    ]
