"""Golden trajectories. `golden/trajectories.json` has a digest of each episode, for 100 seeds and 5 policies.

After an intended change of the physics, `python -m tests.env.golden` writes the file again. With `--check` it exits
with 1 if an episode differs from the file.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment, Observation
from mirr.env.rollout import Policy
from mirr.env.scenario import draw, policy_rng
from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import ACTION_INDEX, Wait

FILE = Path(__file__).with_name("golden") / "trajectories.json"
SEEDS = range(100)
POLICIES = (PolicyName.WAIT, PolicyName.RANDOM, PolicyName.BRUTE_FORCE, PolicyName.HEURISTIC, PolicyName.ORACLE)

Digests = dict[str, list[str]]


class Trajectory:
    """A running episode: its policy and its digest so far."""

    def __init__(self, policy: PolicyName, seed: int) -> None:
        self.player: Policy = make_policy(policy, draw(seed))
        self.player.reset(policy_rng(seed))
        self._digest = hashlib.sha256()

    def begin(self, observation: Observation) -> None:
        self._digest.update(observation.features.tobytes())

    def act(self, observation: Observation) -> int:
        return ACTION_INDEX[self.player.act(observation)]

    def note(self, action: int, reward: float, observation: Observation) -> None:
        self._digest.update(action.to_bytes(1, "little"))
        self._digest.update(np.float64(reward).tobytes())
        self._digest.update(observation.features.tobytes())
        self._digest.update(observation.last_result.encode())

    def __str__(self) -> str:
        return self._digest.hexdigest()[:16]


def played_alone(policy: PolicyName, seeds: range = SEEDS) -> list[str]:
    """The digest of each episode. `Environment` plays them one after the other."""
    environment = Environment(SimulatedWorld())
    found = []
    for seed in seeds:
        trajectory = Trajectory(policy, seed)
        observation, _ = environment.reset(seed=seed)
        trajectory.begin(observation)
        done = False
        while not done:
            action = trajectory.act(observation)
            observation, reward, terminated, truncated, _ = environment.step(action)
            trajectory.note(action, reward, observation)
            done = terminated or truncated
        found.append(str(trajectory))
    return found


def played_together(policy: PolicyName, size: int, threads: int = 1, seeds: range = SEEDS) -> list[str]:
    """The digest of each episode. A batch plays `size` episodes at a time. Other seeds fill the last batch."""
    batch = BatchedSimulator(size, autoreset=Autoreset.DISABLED, threads=threads)
    found = []
    for first in range(0, len(seeds), size):
        chosen = [seeds[first + e] if first + e < len(seeds) else 10_000 + e for e in range(size)]
        trajectories = [Trajectory(policy, seed) for seed in chosen]
        batch.reset(chosen)
        for e, trajectory in enumerate(trajectories):
            trajectory.begin(batch.observation(e))
        playing = set(range(size))
        while playing:
            if batch.over.any():
                batch.reset(mask=batch.over.copy())
            actions = [ACTION_INDEX[Wait()]] * size
            for e in playing:
                actions[e] = trajectories[e].act(batch.observation(e))
            _, rewards, terminated, truncated = batch.step(actions)
            for e in sorted(playing):
                trajectories[e].note(actions[e], float(rewards[e]), batch.observation(e))
                if terminated[e] or truncated[e]:
                    playing.remove(e)
        found += [str(trajectory) for trajectory in trajectories[: len(seeds) - first]]
    return found


def digests_in_file() -> Digests:
    """The digests in the file."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def main() -> None:
    """Writes the file, or checks it."""
    found: Digests = {str(policy): played_alone(policy) for policy in POLICIES}
    if "--check" not in sys.argv[1:]:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return
    known = digests_in_file()
    wrong = [f"{name} seed {seed}" for name in found for seed in SEEDS if found[name][seed] != known[name][seed]]
    together = [str(policy) for policy in POLICIES if played_together(policy, 25) != known[str(policy)]]
    print(f"{len(wrong)} episodes differ alone {wrong[:5]}, {len(together)} policies in a batch {together}")
    sys.exit(1 if wrong or together else 0)


if __name__ == "__main__":
    main()
