"""Golden trajectories: the same seeds and policies always give the same episodes, in any batch, compiled or not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mirr.agents.registry import PolicyName
from mirr.env.simulator.fast.compiled import COMPILED
from mirr.env.vocabulary import Tier
from tests.env.golden import GOLDEN, digests_in_file, played_alone, played_together
from tests.trials import first_is_quick


@pytest.mark.parametrize(("tier", "policy"), [(tier, policy) for tier in Tier for policy in GOLDEN[tier].policies])
def test_episodes_equal_the_episodes_in_the_file(tier: Tier, policy: PolicyName) -> None:
    # After an intended change of the physics, run: python -m tests.env.golden
    assert played_alone(policy, tier, GOLDEN[tier].seeds) == digests_in_file(tier)[policy]


@pytest.mark.parametrize(("size", "threads"), first_is_quick([(100, 1), (1, 1), (7, 1), (300, 2)]))
def test_batches_of_any_size_with_any_threads_play_the_episodes_of_the_file(size: int, threads: int) -> None:
    for tier in Tier:
        for policy in (PolicyName.RANDOM, PolicyName.HEURISTIC):
            digests = played_together(policy, tier, GOLDEN[tier].seeds, size, threads)
            assert digests == digests_in_file(tier)[policy]


@pytest.mark.thorough
def test_another_process_plays_the_same_episodes_compiled_if_this_one_is_not_and_otherwise_uncompiled() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.env.golden", "--check", "--every", "4"],  # plain Python takes its time
        env=os.environ | {"MIRR_COMPILED": "0" if COMPILED else "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    same = "".join(f"{tier}: 0 episodes differ alone [], 0 policies in a batch []\n" for tier in Tier)
    assert run.stdout == same, run.stderr
