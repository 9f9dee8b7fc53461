"""A queue of jobs from which none is lost, and in which none is done twice."""

from __future__ import annotations

import pytest

from mirr.env.world import WorldError
from mirr.interfaces.ray_evaluation.work import MOST_ATTEMPTS, Work


def test_jobs_are_given_in_order_and_done_once() -> None:
    work = Work(["a", "b"])
    (first, _), (second, _) = work.give(), work.give()
    assert (len(work), work.waiting) == (2, 0)
    assert (work.done(second), work.done(first)) == ("b", "a")
    assert len(work) == 0
    with pytest.raises(KeyError):
        work.done(first)


def test_a_lost_job_is_the_next_one() -> None:
    work = Work(["a", "b", "c"])
    number, _ = work.give()
    assert work.lost(number, "its node is gone") == "a"
    assert [work.give()[1] for _ in range(3)] == ["a", "b", "c"]


def test_the_result_of_a_lost_job_does_not_count() -> None:
    work = Work(["a"])
    number, _ = work.give()
    work.lost(number, "its node is gone")
    with pytest.raises(KeyError):
        work.done(number)


def test_a_job_that_loses_all_its_workers_is_an_error() -> None:
    work = Work(["seed 7"])
    for _ in range(MOST_ATTEMPTS - 1):
        work.lost(work.give()[0], "a process is gone")
    with pytest.raises(WorldError) as error:
        work.lost(work.give()[0], "a process is gone again")
    assert str(error.value) == "seed 7 lost its worker 5 times, at last because: a process is gone again"
