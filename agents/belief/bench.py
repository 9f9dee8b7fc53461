"""`python -m mirr.agents.belief.bench` measures how long the belief policy thinks before each step."""

from __future__ import annotations

import time

import numpy as np

from mirr.agents.belief.policy import BeliefPolicy
from mirr.agents.registry import alarms_may_be_false
from mirr.env.environment import Environment, Observation
from mirr.env.rollout import play
from mirr.env.scenario import draw
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Action, Tier

SEEDS = range(200_000, 200_020)


class _Timed:
    """The policy, with a watch: wall time and CPU time of this process."""

    def __init__(self, policy: BeliefPolicy) -> None:
        self._policy = policy
        self.walls_s: list[float] = []
        self.cpus_s: list[float] = []
        self._begun_s = (0.0, 0.0)

    def reset(self, rng: np.random.Generator) -> None:
        """It counts as a part of the first step: an incident does not wait for it."""
        self._begun_s = (time.perf_counter(), time.process_time())
        self._policy.reset(rng)

    def act(self, observation: Observation) -> Action:
        """Ask the policy, and note how long it took."""
        wall_s, cpu_s = (time.perf_counter(), time.process_time()) if observation.step else self._begun_s
        action = self._policy.act(observation)
        self.walls_s.append(time.perf_counter() - wall_s)
        self.cpus_s.append(time.process_time() - cpu_s)
        return action


def main() -> None:
    """Play some episodes of each tier, and print the times of their steps."""
    for tier in Tier:
        environment = Environment(SimulatedWorld(), TIERS[tier].config)
        began_s = time.perf_counter()
        wall_s: list[float] = []
        cpu_s: list[float] = []
        set_up_s = 0.0
        for seed in SEEDS:
            scenario = draw(seed, tier=tier)
            timed = _Timed(BeliefPolicy(tier, alarms_may_be_false=alarms_may_be_false(scenario)))
            set_up_s = set_up_s or time.perf_counter() - began_s
            play(environment, timed, scenario=scenario)
            wall_s += timed.walls_s
            cpu_s += timed.cpus_s
        figures = ", ".join(
            f"{name} median {1e3 * np.median(each):.0f} ms, p95 {1e3 * np.percentile(each, 95):.0f} ms, most "
            f"{1e3 * max(each):.0f} ms"
            for name, each in (("wall", wall_s), ("CPU", cpu_s))
        )
        print(f"{tier}: {len(wall_s)} steps: {figures}; set-up, once in a process, {set_up_s:.1f} s")


if __name__ == "__main__":
    main()
