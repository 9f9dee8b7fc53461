"""`mirr bench`: the speed of the simulator and, if a lab is up, the lab's figures."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from mirr.cli.options import JsonOption, LabOption
from mirr.cli.worlds import COMPILING

ROUNDS = 9
ROUND_S = 0.4
STEPS_PER_READING = 50  # the clock is read once in so many steps


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(bench)


def bench(
    lab: LabOption = "mirr",
    as_json: JsonOption = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Use short rounds, and measure resets from one fault of each mode only.")
    ] = False,
) -> None:
    """Measure and print how fast everything is. The lab's part needs a lab that is up, and takes some minutes."""
    figures: dict[str, Any] = {"simulator": simulator_figures(ROUND_S / 5 if quick else ROUND_S)}
    lab_figures = _lab_figures(lab, quick)
    if lab_figures is not None:
        figures["lab"] = lab_figures
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
        return
    for part, rows in figures.items():
        typer.echo(part)
        _print_rows(rows, "  ")


def _print_rows(rows: dict[str, Any], indent: str) -> None:
    for name, value in rows.items():
        if isinstance(value, dict):
            typer.echo(f"{indent}{name}")
            _print_rows(value, indent + "  ")
        else:
            text = f"{value:,}" if isinstance(value, int | float) else str(value)
            typer.echo(f"{indent}{name:<28} {text:>16}")


def simulator_figures(round_s: float, rounds: int = ROUNDS) -> dict[str, Any]:
    """The simulator's figures, each the median over the rounds. `spread` has the smallest and the largest value.

    Every round measures everything once, so other work on the machine slows all figures down alike.
    """
    from mirr.env.simulator.bench import (
        BATCH_SIZES,
        TIER_SIZE,
        batch_memory_mb,
        batched_steps_per_s,
        single_steps_per_s,
    )
    from mirr.env.simulator.fast.compiled import COMPILED, to_be_compiled
    from mirr.env.vocabulary import Tier

    if to_be_compiled():
        typer.echo(COMPILING, err=True)
    threads = os.cpu_count() or 1
    measures: dict[str, Callable[[], float]] = {"single": lambda: single_steps_per_s(round_s)}
    for size in BATCH_SIZES:
        measures[f"batched {size}"] = lambda size=size: batched_steps_per_s(size, round_s, threads=threads)  # type: ignore[misc]  # a default binds the size
    for tier in Tier:
        measures[f"{tier} single"] = lambda tier=tier: single_steps_per_s(round_s, tier=tier)  # type: ignore[misc]
        measures[f"{tier} batched {TIER_SIZE}"] = lambda tier=tier: batched_steps_per_s(  # type: ignore[misc]
            TIER_SIZE, round_s, threads=threads, tier=tier
        )
    gym = _gymnasium_measures(round_s, threads) if find_spec("gymnasium") else {}
    measures |= {f"gymnasium {name}": measure for name, measure in gym.items()}
    found: dict[str, list[int]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(round(measure()))
    middle = {name: sorted(values)[len(values) // 2] for name, values in found.items()}
    return {
        "single_steps_per_s": middle["single"],
        "single_steps_per_s_min": min(found["single"]),
        "single_steps_per_s_max": max(found["single"]),
        "compiled": COMPILED or "numba is not installed: plain Python, batches of at most 64",
        "threads": threads,
        "batched": {str(size): middle[f"batched {size}"] for size in BATCH_SIZES},
        "tiers": {
            str(tier): {
                "single": middle[f"{tier} single"],
                f"batched {TIER_SIZE}": middle[f"{tier} batched {TIER_SIZE}"],
            }
            for tier in Tier
        },
        "memory_mb": round(batch_memory_mb(BATCH_SIZES[-1]), 1),
        "gymnasium": {name: middle[f"gymnasium {name}"] for name in gym} or "not installed",
        "spread": {name: f"{min(values):,} to {max(values):,}" for name, values in found.items()},
    }


def _gymnasium_measures(round_s: float, threads: int) -> dict[str, Callable[[], float]]:
    """Steps a second through Gymnasium: its own CartPole and the simulator, alone and in vectors, by the same calls."""
    import gymnasium
    from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
    from gymnasium.vector import SyncVectorEnv

    from mirr.interfaces.gymnasium_envs.vector import SimVectorEnv

    def single(name: str) -> float:
        env = gymnasium.make(name)
        env.reset(seed=0)

        def step() -> None:
            _, _, terminated, truncated, _ = env.step(0)
            if terminated or truncated:
                env.reset()

        return STEPS_PER_READING * _calls_per_s(step, round_s, STEPS_PER_READING)

    def vector(env: Any, size: int) -> float:
        env.reset(seed=0)
        env.action_space.seed(0)
        actions = itertools.cycle([env.action_space.sample() for _ in range(STEPS_PER_READING)])
        return size * _calls_per_s(lambda: env.step(next(actions)), round_s, 1)

    return {
        "CartPole-v1 single": lambda: single("CartPole-v1"),
        "SyncVectorEnv 64": lambda: vector(SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 64), 64),
        "CartPoleVectorEnv 1024": lambda: vector(CartPoleVectorEnv(1024), 1024),
        "mirr/Sim-v0 single": lambda: single("mirr:mirr/Sim-v0"),
        "SimVectorEnv 1024": lambda: vector(SimVectorEnv(1024, threads=threads), 1024),
    }


def _calls_per_s(call: Callable[[], Any], seconds: float, at_once: int) -> float:
    """How many groups of `at_once` calls are made a second. The clock is read once a group."""
    began = time.perf_counter()
    rounds = 0
    while (elapsed_s := time.perf_counter() - began) < seconds:
        for _ in range(at_once):
            call()
        rounds += 1
    return rounds / elapsed_s


def _lab_figures(lab: str, quick: bool) -> dict[str, Any] | None:
    """The figures of a lab that is up. None, with the reason on stderr, if no lab is up."""
    from mirr.bridge.assembly import assemble, open_docker_world
    from mirr.bridge.bench import measure_lab
    from mirr.env.vocabulary import ALL_FAULTS, Service
    from mirr.lab.errors import LabError
    from mirr.lab.up_time import last_up

    faults = tuple(fault for fault in ALL_FAULTS if not quick or fault.service is Service.ORDERS)
    try:
        world = open_docker_world(lab, what="mirr bench")
    except LabError as error:
        typer.echo(f"no figures of a lab: {error}", err=True)
        return None
    try:
        figures = measure_lab(
            world, assemble(lab).containers, faults=faults, say=lambda text: typer.echo(text, err=True)
        )
    finally:
        world.close()
    return last_up(lab) | figures.to_json()
