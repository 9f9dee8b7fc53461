"""Threads that play a batch together. An episode does not depend on the thread that plays it, or on its timing."""

from __future__ import annotations

import gc
import os
import threading

import numpy as np
import pytest

from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.fast.compiled import COMPILED
from mirr.env.simulator.fast.team import LEAST_FOR_A_THREAD, Team
from mirr.env.vocabulary import ACTIONS
from tests.trials import first_is_quick

SIZES = [(LEAST_FOR_A_THREAD * 2, 2), (1000, 2), (1999, 3), (700, 8)]


def everything_shown(batch: BatchedSimulator, step: tuple[np.ndarray, ...]) -> list[bytes]:
    return [batch.features.tobytes(), *(array.tobytes() for array in step)]


def helpers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("mirr-batch-")]


@pytest.mark.parametrize(("size", "threads"), first_is_quick(SIZES))
def test_batches_with_helper_threads_play_the_same_episodes(size: int, threads: int) -> None:
    alone = BatchedSimulator(size, autoreset=Autoreset.SAME_STEP)
    together = BatchedSimulator(size, autoreset=Autoreset.SAME_STEP, threads=threads)
    rng = np.random.default_rng(size)
    for batch in (alone, together):
        batch.reset(range(size))
    for step in range(120):
        actions = rng.integers(len(ACTIONS), size=size)
        # The helpers wait during the step of one thread. They stay awake with small batches, and sleep with large
        # batches.
        assert everything_shown(alone, alone.step(actions)) == everything_shown(together, together.step(actions))
        if step % 10 == 0:
            some = rng.random(size) < 0.5
            assert alone.reset(mask=some).tobytes() == together.reset(mask=some).tobytes()


@pytest.mark.skipif(not COMPILED, reason="plain Python has no helper threads")
def test_helper_threads_end_with_their_batch() -> None:
    before = helpers()
    batch = BatchedSimulator(1000, threads=3)
    batch.reset(range(1000))
    ours = [helper for helper in helpers() if helper not in before]
    assert len(ours) == 2
    del batch
    gc.collect()
    for helper in ours:
        helper.join(timeout=60.0)
    assert not any(helper.is_alive() for helper in ours)


@pytest.mark.skipif(not COMPILED or not hasattr(os, "fork"), reason="plain Python has no helper threads")
def test_a_forked_process_continues_without_helper_threads() -> None:
    batch = BatchedSimulator(1000, threads=2)
    batch.reset(range(1000))
    batch.step(np.zeros(1000, dtype=np.int64))
    child = os.fork()
    if child == 0:
        batch.step(np.zeros(1000, dtype=np.int64))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_small_batches_get_fewer_threads() -> None:
    assert Team.parts(LEAST_FOR_A_THREAD * 2 - 1, 2) == 1
    assert Team.parts(LEAST_FOR_A_THREAD * 2, 2) == (2 if COMPILED else 1)
    assert Team.parts(1, 8) == 1
