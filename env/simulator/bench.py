"""How fast one simulated environment steps."""

from __future__ import annotations

import time

from env.environment import Environment
from env.simulator.world import SimulatedWorld
from env.vocabulary import ACTION_INDEX, Wait


def single_steps_per_s(seconds: float = 1.0, seed: int = 0) -> float:
    """Steps a second through Environment.step with `wait`, resets included, over at least `seconds`."""
    environment = Environment(SimulatedWorld())
    wait = ACTION_INDEX[Wait()]
    began = time.perf_counter()
    steps = 0
    while (elapsed_s := time.perf_counter() - began) < seconds:
        environment.reset(seed=seed)
        seed += 1
        done = False
        while not done:
            _, _, terminated, truncated, _ = environment.step(wait)
            done = terminated or truncated
            steps += 1
    return steps / elapsed_s
