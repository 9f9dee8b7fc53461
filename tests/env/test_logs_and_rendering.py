"""Texts for an agent: digests of logs, and the observation as text."""

from __future__ import annotations

import numpy as np

from mirr.env.environment import Observation
from mirr.env.logs import digest
from mirr.env.rendering import History, log_text, printable, render
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


def seen_at(step: int, up: bool = True) -> Observation:
    shown = snapshot()
    shown.features[:, 1] = step
    features = (shown if up else with_down(shown, Service.AUTH)).features.astype(np.float32)
    return Observation(features=features, step=step, steps_left=30 - step)


def test_a_history_has_the_last_8_windows_of_one_episode_the_oldest_first() -> None:
    history = History()
    assert history.windows.shape == (0, 5, 7)
    for step in range(12):
        history.note(seen_at(step))
    assert history.windows[:, 0, 1].tolist() == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    history.note(seen_at(0))
    assert len(history.windows) == 1


def test_windows_that_were_handed_out_do_not_change() -> None:
    history = History()
    history.note(seen_at(0))
    before = history.windows
    history.note(seen_at(1))
    assert before.tolist() == [seen_at(0).features.tolist()]


def test_a_rendered_history_has_a_line_for_each_metric_of_each_service() -> None:
    history = History()
    for step in range(3):
        history.note(seen_at(step, up=step < 2))
    lines = render(seen_at(2, up=False), history.windows).splitlines()
    assert lines[6] == "the last 3 steps, the oldest first:"
    assert lines[14:18] == [
        "auth      up            1   1   0",
        "auth      req/s           0.0     1.0       -",
        "auth      errors         0.0%    0.0%       -",
        "auth      p95          0.020 s  0.020 s        -",
    ]
    assert len(lines) == 6 + 1 + 5 * 7 + 1


def test_the_first_window_has_no_history() -> None:
    history = History()
    history.note(seen_at(0))
    assert render(seen_at(0), history.windows) == render(seen_at(0))
