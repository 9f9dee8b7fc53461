"""Golden trajectories: for each tier a file with a digest of each episode, for some seeds and policies.

After an intended change of the physics, `python -m tests.env.golden` writes the files again, and `--tier medium` writes
that tier's file alone. With `--check` it exits with 1 if an episode differs from its file; `--every 4` then plays one
seed in four.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirr.agents.registry import PolicyName, make_policy
from mirr.env.environment import Environment, Observation
from mirr.env.rollout import Policy
from mirr.env.scenario import draw, policy_rng
from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import ACTION_INDEX, Tier

FOLDER = Path(__file__).with_name("golden")
POLICIES = (PolicyName.WAIT, PolicyName.RANDOM, PolicyName.BRUTE_FORCE, PolicyName.HEURISTIC, PolicyName.ORACLE)


@dataclass(frozen=True, kw_only=True)
class Golden:
    """What is kept of one tier."""

    file: str
    seeds: range
    policies: tuple[PolicyName, ...]


GOLDEN: dict[Tier, Golden] = {
    Tier.EASY: Golden(file="trajectories.json", seeds=range(100), policies=POLICIES),
    # Every new form changes what these seeds draw, so there are few.
    Tier.MEDIUM: Golden(
        file="medium.json", seeds=range(40), policies=(PolicyName.RANDOM, PolicyName.HEURISTIC, PolicyName.ORACLE)
    ),
    Tier.HARD: Golden(
        file="hard.json", seeds=range(40), policies=(PolicyName.RANDOM, PolicyName.HEURISTIC, PolicyName.ORACLE)
    ),
}

Digests = dict[str, list[str]]


class Trajectory:
    """A running episode: its policy and its digest so far."""

    def __init__(self, policy: PolicyName, seed: int, tier: Tier) -> None:
        self.player: Policy = make_policy(policy, draw(seed, tier=tier))
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


def played_alone(policy: PolicyName, tier: Tier, seeds: range) -> list[str]:
    """The digest of each episode. `Environment` plays them one after the other."""
    environment = Environment(SimulatedWorld(), TIERS[tier].config)
    found = []
    for seed in seeds:
        trajectory = Trajectory(policy, seed, tier)
        observation, _ = environment.reset(seed=seed, tier=tier)
        trajectory.begin(observation)
        done = False
        while not done:
            action = trajectory.act(observation)
            observation, reward, terminated, truncated, _ = environment.step(action)
            trajectory.note(action, reward, observation)
            done = terminated or truncated
        found.append(str(trajectory))
    return found


def played_together(policy: PolicyName, tier: Tier, seeds: range, size: int, threads: int = 1) -> list[str]:
    """The digest of each episode. A batch plays `size` episodes at a time.

    Other seeds fill the last batch, and nobody looks at them. Random actions are played there: a policy in Python
    would take most of the time.
    """
    batch = BatchedSimulator(size, autoreset=Autoreset.DISABLED, threads=threads, tier=tier)
    found, others = [], np.random.default_rng(0)
    for first in range(0, len(seeds), size):
        chosen = list(seeds[first : first + size])
        trajectories = [Trajectory(policy, seed, tier) for seed in chosen]
        batch.reset([*chosen, *range(10_000, 10_000 + size - len(chosen))])
        for e, trajectory in enumerate(trajectories):
            trajectory.begin(batch.observation(e))
        playing = set(range(len(chosen)))
        while playing:
            if batch.over.any():
                batch.reset(mask=batch.over.copy())
            actions = others.integers(batch.choices, size=size)
            for e in playing:
                actions[e] = trajectories[e].act(batch.observation(e))
            _, rewards, terminated, truncated = batch.step(actions)
            for e in sorted(playing):
                trajectories[e].note(int(actions[e]), float(rewards[e]), batch.observation(e))
                if terminated[e] or truncated[e]:
                    playing.remove(e)
        found += [str(trajectory) for trajectory in trajectories]
    return found


def digests_in_file(tier: Tier) -> Digests:
    """The digests in the tier's file."""
    found = json.loads((FOLDER / GOLDEN[tier].file).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def write(tier: Tier) -> None:
    """Play the tier's episodes, and write its file."""
    golden = GOLDEN[tier]
    found: Digests = {str(policy): played_alone(policy, tier, golden.seeds) for policy in golden.policies}
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / GOLDEN[tier].file).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def same(tier: Tier, every: int) -> bool:
    """Whether the tier's episodes are those of its file, alone and in a batch. Prints what differs."""
    golden, whole_file = GOLDEN[tier], digests_in_file(tier)
    seeds = golden.seeds[::every]
    known = {policy: [whole_file[policy][seed] for seed in seeds] for policy in golden.policies}
    found = {policy: played_alone(policy, tier, seeds) for policy in golden.policies}
    wrong = [
        f"{policy} seed {seed}"
        for policy in golden.policies
        for seed, one, other in zip(seeds, found[policy], known[policy], strict=True)
        if one != other
    ]
    together = [str(policy) for policy in golden.policies if played_together(policy, tier, seeds, 25) != known[policy]]
    print(f"{tier}: {len(wrong)} episodes differ alone {wrong[:5]}, {len(together)} policies in a batch {together}")
    return not wrong and not together


def main() -> None:
    """Writes the files, or checks them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="check one seed in N")
    parser.add_argument("--tier", type=Tier, choices=list(Tier), action="append")
    given = parser.parse_args()
    tiers = given.tier or list(Tier)
    if given.check:
        different = [tier for tier in tiers if not same(tier, given.every)]
        sys.exit(1 if different else 0)
    for tier in tiers:
        write(tier)


if __name__ == "__main__":
    main()
