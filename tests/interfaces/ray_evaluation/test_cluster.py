"""Clusters of several nodes on this machine, of which one is killed in the middle."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mirr.env.world import WorldError
from mirr.interfaces.ray_evaluation.cluster import Evaluation, Labs, connected
from mirr.lab.installation import HERE
from tests.interfaces.ray_evaluation.players import (
    DEADLINE_S,
    Number,
    begun,
    ended,
    fail,
    go,
    open_fake,
    open_nothing,
    play,
    play_in_lab,
)

pytestmark = pytest.mark.thorough


def numbers(folder: Path, count: int, *, held_from: int) -> list[Number]:
    return [Number(value, folder, held=value >= held_from) for value in range(count)]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "what the test waits for has not come"
        time.sleep(0.02)


@contextmanager
def killing(cluster: Any, node: Any, folder: Path) -> Iterator[None]:
    """Kills a node while two workers play held jobs, and lets the jobs end once a worker has gone with its node."""

    def kill() -> None:
        wait_for(lambda: len(begun(folder)) == 2)
        cluster.remove_node(node, allow_graceful=False)
        wait_for(lambda: any(ended(process) for process in begun(folder)))
        go(folder).touch()

    thread = threading.Thread(target=kill)
    thread.start()
    yield
    thread.join()


def test_a_node_that_is_killed_loses_no_job_and_no_job_counts_twice(cluster: Any, tmp_path: Path) -> None:
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    said: list[str] = []
    jobs = numbers(tmp_path, 12, held_from=4)
    with connected(cluster.address), killing(cluster, nodes[1], tmp_path):
        found = list(Evaluation(pool=jobs, play=play, say=said.append).results())
    assert sorted(value for _, value in found) == list(range(12))
    assert all(job.value == value for job, value in found)
    assert said
    assert all(text.startswith("a node or a process is gone; again: number ") for text in said)


def test_a_lab_whose_node_is_killed_loses_no_episode_and_none_counts_twice(cluster: Any, tmp_path: Path) -> None:
    nodes = [cluster.add_node(num_cpus=1, resources={"lab": 1}) for _ in range(2)]
    said: list[str] = []
    labs = Labs[Number, int](open=partial(open_fake, tmp_path), play=play_in_lab)
    jobs = numbers(tmp_path, 8, held_from=2)
    with connected(cluster.address), killing(cluster, nodes[1], tmp_path):
        found = list(Evaluation(play=play, in_labs=jobs, labs=labs, say=said.append).results())
    assert sorted(value for _, value in found) == list(range(8))
    [lost] = said
    assert lost.startswith("a lab is gone; again: number ")
    opened, closed = (len(list(tmp_path.glob(f"{what}-by-*"))) for what in ("opened", "closed"))
    assert opened - closed == 1  # it went with its node


def test_pool_and_labs_play_at_once(cluster: Any, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=0, resources={"lab": 1})
    labs = Labs[Number, int](open=partial(open_fake, tmp_path), play=play_in_lab)
    jobs = numbers(tmp_path, 6, held_from=6)
    with connected(cluster.address):
        evaluation = Evaluation(pool=jobs[:3], play=play, in_labs=jobs[3:], labs=labs, say=print)
        assert sorted(value for _, value in evaluation.results()) == list(range(6))


def test_a_mistake_in_a_job_is_raised_and_not_tried_again(cluster: Any, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=1)
    with connected(cluster.address), pytest.raises(ZeroDivisionError, match="number 0 cannot be played"):
        list(Evaluation(pool=numbers(tmp_path, 1, held_from=1), play=fail, say=print).results())


def test_a_lab_that_does_not_open_ends_the_evaluation(cluster: Any, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=0, resources={"lab": 1})
    labs = Labs[Number, int](open=partial(open_nothing, tmp_path), play=play_in_lab)
    jobs = numbers(tmp_path, 1, held_from=1)
    with connected(cluster.address), pytest.raises(WorldError) as error:
        list(Evaluation(play=play, in_labs=jobs, labs=labs, say=print).results())
    assert str(error.value).startswith("3 labs did not open, the last one because: ")
    assert "the lab is not up" in str(error.value)


def test_a_cluster_without_cores_is_an_error_that_says_what_to_start(cluster: Any, tmp_path: Path) -> None:
    jobs = numbers(tmp_path, 3, held_from=3)
    with connected(cluster.address), pytest.raises(WorldError) as error:
        list(Evaluation(pool=jobs, play=play, say=print, patience_s=0.0).results())
    assert str(error.value) == (
        "no node has had a core or a lab for 0 s, and 3 jobs are left; next: ray start --address=HEAD, with "
        "--resources='{\"lab\": 1}' where a lab is up"
    )


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(WorldError) as error, connected(None):
        pass
    assert str(error.value) == f"a cluster needs Ray; next: {HERE.add_extra('ray')}"
