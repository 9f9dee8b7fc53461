"""How fast the simulator steps, alone and in a batch, and how much memory a batch takes."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np

from mirr.env.environment import Environment
from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.fast.compiled import COMPILED
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import ACTION_INDEX, Tier, Wait

BATCH_SIZES = (
    (1, 64, 1024, 2048, 4096, 16384) if COMPILED else (1, 64)
)  # in plain Python, larger batches are not faster
TIER_SIZE = 1024 if COMPILED else 64  # environments of the batch in which the tiers are compared
_PREPARED = 32  # steps whose actions are drawn beforehand


def single_steps_per_s(seconds: float = 1.0, seed: int = 0, *, tier: Tier = Tier.EASY) -> float:
    """Steps a second through Environment.step with `wait`, resets included, over at least `seconds`."""
    environment = Environment(SimulatedWorld(), TIERS[tier].config)
    wait = ACTION_INDEX[Wait()]
    environment.reset(seed=seed, tier=tier)
    environment.step(wait)  # compiles
    began = time.perf_counter()
    steps = 0
    while (elapsed_s := time.perf_counter() - began) < seconds:
        environment.reset(seed=seed, tier=tier)
        seed += 1
        done = False
        while not done:
            _, _, terminated, truncated, _ = environment.step(wait)
            done = terminated or truncated
            steps += 1
    return steps / elapsed_s


def batched_steps_per_s(size: int, seconds: float = 1.0, *, threads: int = 1, tier: Tier = Tier.EASY) -> float:
    """Environment steps a second of a batch under random actions, resets included."""
    batch = _stepped(size, threads, tier)
    rng = np.random.default_rng(0)
    actions = [rng.integers(batch.choices, size=size) for _ in range(_PREPARED)]
    for some in actions:
        batch.step(some)  # after this, the episodes are at different steps
    began = time.perf_counter()
    steps = 0
    while (elapsed_s := time.perf_counter() - began) < seconds:
        batch.step(actions[steps % _PREPARED])
        steps += 1
    return steps * size / elapsed_s


def batch_memory_mb(size: int) -> float:
    """MB that a batch of that size takes."""
    _stepped(1, 1)
    tracemalloc.start()
    try:
        batch = _stepped(size, 1)
        held_bytes, _ = tracemalloc.get_traced_memory()
        assert batch.size == size
    finally:
        tracemalloc.stop()
    return held_bytes / 2**20


def _stepped(size: int, threads: int, tier: Tier = Tier.EASY) -> BatchedSimulator:
    batch = BatchedSimulator(size, autoreset=Autoreset.SAME_STEP, threads=threads, tier=tier)
    batch.reset(range(size))
    batch.step(np.zeros(size, dtype=np.int64))
    return batch
