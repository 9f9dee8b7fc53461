"""The open loop: requests are sent at their due times, also if earlier requests have no answer yet."""

from __future__ import annotations

import asyncio
import itertools
import random

from tests.traffic.clock import Clock
from traffic.open_loop import OpenLoop


def _due_times(
    seed: int, seconds: float, *, answers: bool = True, max_in_flight: int = 10_000
) -> tuple[list[float], int]:
    """At 30 requests a second: the due times of the requests, and the number of dropped requests."""
    clock, due_times, dropped = Clock(), [], []

    async def work(due: float) -> None:
        due_times.append(due)
        if not answers:
            await asyncio.Event().wait()

    async def run() -> None:
        loop = OpenLoop(
            30.0,
            work,
            dropped=lambda: dropped.append(clock.now()),
            rng=random.Random(seed),
            max_in_flight=max_in_flight,
            now=clock.now,
            sleep=clock.sleep,
        )
        task = asyncio.ensure_future(loop.run())
        while clock.now() < seconds:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return due_times, len(dropped)


def test_the_same_seed_sends_at_the_same_times() -> None:
    assert _due_times(1, 10.0) == _due_times(1, 10.0)
    assert _due_times(1, 10.0) != _due_times(2, 10.0)


def test_arrivals_are_poisson_at_the_requested_rate() -> None:
    due_times, _ = _due_times(3, 200.0)
    gaps = [later - earlier for earlier, later in itertools.pairwise(due_times)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert abs(mean - 1 / 30) < 0.002
    # In a Poisson process, the standard deviation of the gaps equals their mean.
    assert abs(deviation / mean - 1.0) < 0.1


def test_requests_are_sent_even_if_earlier_ones_are_not_answered() -> None:
    answered, _ = _due_times(4, 10.0)
    unanswered, dropped = _due_times(4, 10.0, answers=False)
    assert unanswered == answered
    assert dropped == 0


def test_requests_above_the_limit_are_dropped_and_counted() -> None:
    sent, dropped = _due_times(4, 10.0, answers=False, max_in_flight=20)
    all_due_times, _ = _due_times(4, 10.0)
    assert (len(sent), dropped) == (20, len(all_due_times) - 20)
