"""How often users come: the level changes evenly, ends with its lease, and arrivals are Poisson at every level."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable

import pytest

from tests.traffic.clock import Clock
from traffic.level import Change, Level
from traffic.open_loop import OpenLoop

USUAL_RATE_PER_S = 30.0


def change(first: float, last: float | None = None, over_s: float = 0.0, lease_s: float = 600.0) -> Change:
    return Change(first=first, last=first if last is None else last, over_s=over_s, lease_s=lease_s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def level(clock: Clock) -> Level:
    return Level(now=clock.now)


def test_without_a_change_users_come_as_usual(level: Level) -> None:
    assert level.describe() == {"level": 1.0}
    assert level.due(5.0, 0.25) == 5.25
    assert (level.renew(6.0), level.end()) == (False, False)


def test_the_level_goes_evenly_from_the_first_to_the_last_and_stays(level: Level, clock: Clock) -> None:
    assert level.change(change(0.8, 1.2, over_s=40.0))
    seen = []
    for time_s in (0.0, 10.0, 40.0, 100.0):
        clock.now_s = time_s
        seen.append(level.describe()["level"])
    assert seen == [0.8, 0.9, 1.2, 1.2]
    assert level.describe() == {"level": 1.2, "first": 0.8, "last": 1.2, "over_s": 40.0, "lease_left_s": 500.0}


def test_users_come_as_usual_once_the_lease_is_over(level: Level, clock: Clock) -> None:
    level.change(change(0.5, lease_s=6.0))
    clock.now_s = 5.9
    assert level.renew(6.0)
    clock.now_s = 11.8
    assert level.describe()["level"] == 0.5
    clock.now_s = 12.0
    assert level.describe() == {"level": 1.0}
    assert not level.renew(6.0)


def test_a_change_takes_the_place_of_the_one_before(level: Level, clock: Clock) -> None:
    level.change(change(0.5))
    clock.now_s = 10.0
    assert not level.change(change(2.0))
    assert level.describe()["level"] == 2.0
    assert level.due(0.0, 5.0 + 20.0) == 20.0  # 10 s at half the rate, then 10 s at twice the rate


def test_a_change_that_is_ended_is_not_forgotten_before_its_arrivals_are_due(level: Level, clock: Clock) -> None:
    level.change(change(0.5))
    clock.now_s = 4.0
    assert level.end()
    assert level.due(0.0, 3.0) == 5.0


@pytest.mark.parametrize(("usual_s", "due"), [(0.5, 1.0), (1.0, 2.0), (1.625, 3.0), (2.5, 4.0), (4.5, 6.0), (5.5, 7.0)])
def test_time_is_stretched_by_the_level(level: Level, clock: Clock, usual_s: float, due: float) -> None:
    # Half the usual level at first. From 2 s on it rises to 1 within 2 s, and the lease ends at 6 s.
    level.change(change(0.5))
    clock.now_s = 2.0
    level.change(change(0.5, 1.0, over_s=2.0, lease_s=4.0))
    assert level.due(0.0, usual_s) == pytest.approx(due)


def arrivals(seed: int, seconds: float, at: dict[float, Callable[[Level], object]]) -> list[float]:
    """When users are due in `seconds`, if these things are done to the level at these times."""
    clock = Clock()
    level = Level(now=clock.now)
    due_times: list[float] = []
    left = sorted(at)

    async def work(due: float) -> None:
        due_times.append(due)

    async def sleep(seconds: float) -> None:
        ends = clock.now_s + seconds
        while left and left[0] <= ends:
            clock.now_s = left.pop(0)
            at[clock.now_s](level)
        clock.now_s = ends
        await asyncio.sleep(0)

    async def run() -> None:
        loop = OpenLoop(
            USUAL_RATE_PER_S,
            work,
            dropped=lambda: None,
            rng=random.Random(seed),
            max_in_flight=10_000,
            due=level.due,
            now=clock.now,
            sleep=sleep,
        )
        task = asyncio.ensure_future(loop.run())
        while clock.now() < seconds:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return [due for due in due_times if due < seconds]


def count(due_times: list[float], since: float, until: float) -> int:
    return sum(since <= due < until for due in due_times)


@pytest.mark.parametrize("one_level", [0.75, 1.3])
def test_arrivals_are_poisson_at_the_level(one_level: float) -> None:
    due_times = arrivals(3, 200.0, {0.0: lambda level: level.change(change(one_level))})
    gaps = [later - earlier for earlier, later in itertools.pairwise(due_times)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(1 / (one_level * USUAL_RATE_PER_S), rel=0.05)
    assert deviation / mean == pytest.approx(1.0, abs=0.1)


def test_arrivals_follow_a_level_that_changes_evenly() -> None:
    due_times = arrivals(4, 200.0, {0.0: lambda level: level.change(change(0.8, 1.2, over_s=100.0))})
    for since, until, mean in ((0.0, 25.0, 0.85), (50.0, 75.0, 1.05), (100.0, 200.0, 1.2)):
        expected = mean * USUAL_RATE_PER_S * (until - since)
        assert abs(count(due_times, since, until) - expected) < 3.5 * expected**0.5


def test_the_same_seed_gives_the_same_users_at_stretched_times() -> None:
    usual = arrivals(5, 100.0, {})
    stretched = arrivals(5, 200.0, {0.0: lambda level: level.change(change(0.5))})
    assert stretched[: len(usual)] == pytest.approx([2.0 * due for due in usual])


def test_a_change_in_between_moves_only_what_comes_after_it() -> None:
    usual = arrivals(6, 20.0, {})
    changed = arrivals(6, 20.0, {10.0: lambda level: level.change(change(0.5))})
    before = count(usual, 0.0, 10.0)
    assert changed[:before] == usual[:before]
    assert changed[before:] == pytest.approx([10.0 + 2.0 * (due - 10.0) for due in usual if 10.0 <= due < 15.0])


def test_a_change_to_more_users_moves_the_next_one_too() -> None:
    usual = arrivals(6, 20.0, {})
    changed = arrivals(6, 15.0, {10.0: lambda level: level.change(change(2.0))})
    before = count(usual, 0.0, 10.0)
    assert changed[before:] == pytest.approx(
        [10.0 + (due - 10.0) / 2.0 for due in usual if due >= 10.0][: len(changed) - before]
    )


def test_after_the_lease_the_arrivals_are_the_usual_ones_again() -> None:
    due_times = arrivals(7, 130.0, {0.0: lambda level: level.change(change(0.5, lease_s=30.0))})
    assert count(due_times, 0.0, 30.0) == count(arrivals(7, 15.0, {}), 0.0, 15.0)
    assert abs(count(due_times, 30.0, 130.0) - 3_000) < 3.5 * 3_000**0.5
