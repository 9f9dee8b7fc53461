"""Measures a lab that is up: the time of a reset, what a step takes beyond its length, memory and CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from mirr.bridge.docker_world import DockerWorld
from mirr.env.vocabulary import ALL_FAULTS, Fault, Wait
from mirr.lab.containers import LabContainers


@dataclass(frozen=True, kw_only=True)
class LabFigures:
    """What `mirr bench` prints about a lab."""

    reset_s: list[float]  # one for each fault
    step_overhead_s: list[float]  # one for each step
    memory_mb: float
    cpu_cores: float

    def to_json(self) -> dict[str, float]:
        """The fields of `mirr bench --json`. `cpu_share` is a share of two cores."""
        return {
            "reset_median_s": round(float(np.median(self.reset_s)), 2),
            "reset_p95_s": round(float(np.quantile(self.reset_s, 0.95)), 2),
            "reset_max_s": round(max(self.reset_s), 2),
            "resets": len(self.reset_s),
            "step_overhead_p95_s": round(float(np.quantile(self.step_overhead_s, 0.95)), 4),
            "steps": len(self.step_overhead_s),
            "memory_mb": round(self.memory_mb, 1),
            "cpu_share": round(self.cpu_cores / 2, 3),
        }


def measure_lab(
    world: DockerWorld,
    containers: LabContainers,
    *,
    faults: tuple[Fault, ...] = ALL_FAULTS,
    steps: int = 4,  # after each fault
    say: Callable[[str], None] = lambda text: None,
    now: Callable[[], float] = time.monotonic,
) -> LabFigures:
    """Inject each fault, let a few steps pass, and measure the time of the restore."""
    key = 0  # containers draw no random numbers from it
    world.restore(key)
    memory_mb, cpu_cores = resources(containers)
    reset_s, overhead_s = [], []
    for fault in faults:
        world.inject(fault)
        for _ in range(steps):
            world.apply(Wait())
            world.advance(2.0)
            world.observe()
            overhead_s.append(now() - world.deadline)
        began = now()
        world.restore(key)
        reset_s.append(now() - began)
        say(f"reset from {fault}: {reset_s[-1]:.1f} s")
    return LabFigures(reset_s=reset_s, step_overhead_s=overhead_s, memory_mb=memory_mb, cpu_cores=cpu_cores)


def resources(containers: LabContainers, *, seconds: float = 10.0) -> tuple[float, float]:
    """Memory in MB and CPU in cores of all containers of the lab. The CPU is measured over at least `seconds`."""
    running = [container for container in containers.all() if container.status == "running"]

    def stats(container: Any) -> dict[str, Any]:
        return dict(container.stats(stream=False))

    with ThreadPoolExecutor(max_workers=len(running)) as pool:
        first = list(pool.map(stats, running))
        time.sleep(seconds)  # not a wait for a condition: the interval itself is measured
        last = list(pool.map(stats, running))
    memory_b = sum(_memory_bytes(row["memory_stats"]) for row in last)
    cores = 0.0
    for before, after in zip(first, last, strict=True):
        elapsed_s = (np.datetime64(after["read"][:26]) - np.datetime64(before["read"][:26])) / np.timedelta64(1, "s")
        used_ns = after["cpu_stats"]["cpu_usage"]["total_usage"] - before["cpu_stats"]["cpu_usage"]["total_usage"]
        cores += used_ns / 1e9 / float(elapsed_s)
    return memory_b / 1e6, cores


def _memory_bytes(stats: dict[str, Any]) -> int:
    """Memory in use without the page cache, which the kernel can free. `docker stats` counts it so too."""
    detail = stats.get("stats", {})
    return int(stats["usage"]) - int(detail.get("total_inactive_file", detail.get("inactive_file", 0)))
