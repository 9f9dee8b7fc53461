"""What logs tell as numbers: counted from a digest, and counted in the simulator without making the lines."""

from __future__ import annotations

import numpy as np
import pytest

from mirr.env.logs import LogBook, LogNumber, counts, digest
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.chronicle import lines, log_state
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import numbers
from mirr.env.simulator.fast.logged import count_log
from mirr.env.vocabulary import NEXT_RELEASE, STEADY_RELEASE, Service, Tier
from mirr.env.world import Level, LogLine

TICK_S = 0.4


def line(age_s: float, level: Level = Level.INFO, event: str = "request", text: str = "GET / 200") -> LogLine:
    return LogLine(age_s=age_s, level=level, event=event, text=text)


def started(age_s: float, release: str) -> LogLine:
    return line(age_s, event="started", text=f"release={release} boot_s=0.9")


def test_a_digest_tells_starts_errors_warnings_requests_turned_away_and_the_release() -> None:
    found = [
        started(60.0, STEADY_RELEASE),
        started(9.0, NEXT_RELEASE),
        line(3.0, Level.ERROR, "request_failed", "code=500"),
        line(2.5, Level.ERROR, "stderr", "Traceback"),
        line(2.0, Level.WARNING, "upstream_failed", "upstream=auth path=/sessions reason=refused"),
        line(1.9, Level.WARNING, "upstream_failed", "upstream=orders path=/orders reason=refused"),
        line(1.0, Level.WARNING, "shed", "requests=31 route=/charges in_flight=64"),
        line(0.5),
    ]
    assert counts(found) == (2, 2, 2, 1, 1)
    assert counts([]) == (0, 0, 0, 0, 0)


def test_different_things_are_counted_and_not_lines() -> None:
    busy = [line(0.1 * number, Level.ERROR, "request_failed", f"route=/{number} code=500") for number in range(5)] + [
        line(0.2, Level.WARNING, "upstream_failed", "upstream=auth path=/sessions reason=timeout"),
        line(0.3, Level.WARNING, "upstream_failed", "upstream=auth path=/tokens reason=refused"),
        line(0.4, Level.WARNING, "request", "method=POST route=/orders code=503"),
        line(0.5, Level.WARNING, "shed", "requests=31 route=/orders"),
        line(1.5, Level.WARNING, "shed", "requests=90 route=/orders"),
    ]
    assert counts(busy) == (0, 1, 1, 1, 0)


@pytest.mark.parametrize(
    ("releases", "other"),
    [
        ([STEADY_RELEASE], 0),
        ([NEXT_RELEASE], 1),
        ([NEXT_RELEASE, NEXT_RELEASE], 1),
        ([NEXT_RELEASE, STEADY_RELEASE], 0),
    ],
)
def test_the_last_start_is_compared_with_the_release_of_steady_state(releases: list[str], other: int) -> None:
    found = [started(50.0 - number, release) for number, release in enumerate(releases)]
    assert counts(reversed(found)) == (len(releases), 0, 0, 0, other)


def test_a_log_book_remembers_the_last_reading_of_each_service_and_how_long_ago_it_was() -> None:
    book = LogBook()
    assert not book.numbers().any()
    book.note(0, None, ())
    book.note(1, Service.AUTH, [started(3.0, NEXT_RELEASE)])
    book.note(2, None, ())
    book.note(3, Service.GATEWAY, ())
    found = book.numbers()
    assert found.shape == (len(Service), len(LogNumber))
    assert found[1].tolist() == [1.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert found[0].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert not found[2:].any()
    book.note(4, Service.AUTH, ())
    assert book.numbers()[1].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def random_log(rng: np.random.Generator) -> list[float]:
    """The numbers behind a log. They are often at the edge of what they decide."""
    at = float(rng.integers(0, 40))
    log = [0.0] * k.LOG_SIZE
    log[k.LOG_TICK] = at
    log[k.LOG_NEXT] = float(rng.integers(2))
    log[k.LOG_READY] = float(rng.choice([-1.0, at, at - 1.0, at - 2.0, 0.0]))
    log[k.LOG_SPOILED] = float(rng.choice([0.0, 0.3]))
    log[k.LOG_SHED] = float(rng.choice([0.0, 2.0]))
    for flow in range(k.FLOWS):
        log[k.LOG_FLOW + flow] = float(rng.choice([0.0, 0.98, 0.99, 1.0]))
    return log


@pytest.mark.thorough
def test_the_simulator_counts_the_lines_that_its_logs_have() -> None:
    rng = np.random.default_rng(4)
    for number in range(3_000):
        place, log = number % len(Service), random_log(rng)
        row = numbers([0.0] * k.ROW)
        for each, value in enumerate(log):
            row[k.READ_LOG + each] = value
        count_log(row, place, TICK_S, 7.0)
        made = lines(log_state(list(Service)[place], numbers(log)), int(log[k.LOG_TICK]) + 3, TICK_S)
        first = k.LOGGED + place * k.LOGGED_SIZE
        assert [float(row[first + each]) for each in range(k.LOGGED_SIZE)] == [7.0, *counts(digest(made))], log


def test_a_batch_says_how_old_the_start_is_that_the_last_log_tells_of() -> None:
    batch, rng, compared = BatchedSimulator(64, tier=Tier.HARD), np.random.default_rng(6), 0
    batch.reset(range(64))
    for _ in range(12):
        # Logs are read, and processes are restarted: numbers of actions from the vocabulary.
        batch.step(np.where(rng.random(64) < 0.7, rng.integers(1, 6, size=64), rng.integers(26, 31, size=64)))
        found = batch.read_start_age_s
        for e in range(64):
            observation = batch.observation(e)
            ages = [each.age_s for each in observation.logs if each.event == "started"]
            if observation.logs_of is not None:
                assert np.array_equal(found[e : e + 1].round(3), [min(ages, default=np.nan)], equal_nan=True)
                compared += bool(ages)
    assert compared > 50
