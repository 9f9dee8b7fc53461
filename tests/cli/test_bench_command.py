"""What `mirr bench` measures on the simulator. The figures themselves need a quiet machine."""

from __future__ import annotations

import pytest

from mirr.cli.bench_command import simulator_figures
from mirr.env.simulator.bench import BATCH_SIZES, TIER_SIZE, batch_memory_mb
from mirr.env.vocabulary import Tier


@pytest.mark.thorough
def test_one_run_measures_every_figure_with_its_spread() -> None:
    figures = simulator_figures(0.01, rounds=2)
    assert list(figures["batched"]) == [str(size) for size in BATCH_SIZES]
    assert set(figures["gymnasium"]) == {
        "CartPole-v1 single",
        "SyncVectorEnv 64",
        "CartPoleVectorEnv 1024",
        "mirr/Sim-v0 single",
        "SimVectorEnv 1024",
    }
    assert figures["single_steps_per_s_min"] <= figures["single_steps_per_s"] <= figures["single_steps_per_s_max"]
    assert all(steps_per_s > 0 for steps_per_s in figures["batched"].values())
    assert list(figures["tiers"]) == list(Tier)
    assert all(steps_per_s > 0 for tier in figures["tiers"].values() for steps_per_s in tier.values())
    assert set(figures["spread"]) == {
        "single",
        *(f"{tier} {kind}" for tier in Tier for kind in ("single", f"batched {TIER_SIZE}")),
        *(f"batched {size}" for size in figures["batched"]),
        *(f"gymnasium {name}" for name in figures["gymnasium"]),
    }


@pytest.mark.thorough
def test_a_batch_of_16384_environments_needs_at_most_500_mb() -> None:
    # With numba this is a batch of 16,384. Without numba it is a batch of 64, and each environment needs more memory.
    assert batch_memory_mb(BATCH_SIZES[-1]) / BATCH_SIZES[-1] <= 500 / 16384
