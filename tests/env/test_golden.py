"""Golden trajectories: 100 seeds and 5 policies give the same episodes on every run, in any batch, compiled or not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mirr.agents.registry import PolicyName
from tests.env.golden import POLICIES, kept, played_alone, played_together


@pytest.mark.parametrize("policy", POLICIES)
def test_episodes_are_those_of_the_file(policy: PolicyName) -> None:
    # After an intended change of the physics: python -m tests.env.golden
    assert played_alone(policy) == kept()[policy]


@pytest.mark.parametrize(("size", "threads"), [(1, 1), (7, 1), (100, 1), (300, 2)])
def test_a_batch_of_any_size_and_number_of_threads_plays_the_episodes_of_the_file(size: int, threads: int) -> None:
    for policy in (PolicyName.RANDOM, PolicyName.HEURISTIC):
        assert played_together(policy, size, threads) == kept()[policy]


@pytest.mark.parametrize("compiled", ["0", "1"])
def test_another_process_plays_them_too_compiled_or_not(compiled: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.env.golden", "--check"],
        env=os.environ | {"MIRR_COMPILED": compiled},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.stdout == "0 episodes differ alone [], 0 policies in a batch []\n", run.stderr
