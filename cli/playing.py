"""Who plays where: one episode, or many of them on all cores."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Generator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from mirr.bridge.calibration.machine_names import MachineName
from mirr.cli.counting import Counter, counter
from mirr.cli.worlds import WorldName, open_world, world_label
from mirr.env.rendering import printable

if TYPE_CHECKING:
    from mirr.env.record import RolloutWriter
    from mirr.env.rollout import EpisodeResult, OnStep
    from mirr.env.scenario import EpisodeConfig, Scenario
    from mirr.env.world import World

SLICE = 100  # episodes that a process plays before it reports: Ctrl-C waits for them, about 0.05 s
LEAST_FOR_PROCESSES = 3000  # episodes; it takes longer to start processes than to play fewer


_NOT_IN_A_NAME = re.compile(r"[^\w.-]+")


@dataclass(kw_only=True)
class Played:
    """The episodes that were played, in the order of their scenarios. Their trajectories are left out."""

    results: list[EpisodeResult] = field(default_factory=list)
    interrupted: bool = False  # by Ctrl-C, before the last episode


@dataclass(frozen=True)
class Player:
    """A world and a policy, or an agent. All names are checked."""

    world: WorldName
    policy: str  # as `parse_agent` takes it
    machine: MachineName = MachineName.REFERENCE  # of the simulator
    records: Path | None = None  # of many episodes, each gets a record in this folder

    @property
    def world_name(self) -> str:
        """The world as records and reports name it."""
        return world_label(self.world, self.machine)

    def record_of(self, scenario: Scenario) -> Path | None:
        """The file for the record of an episode among many; None if there are no records."""
        if self.records is None:
            return None
        policy = _NOT_IN_A_NAME.sub("_", self.policy)  # an agent of one's own may be an address
        return self.records / f"{policy}-{scenario.tier or scenario.name}-{scenario.seed}.jsonl"

    def play_in(
        self,
        world: World,
        scenario: Scenario,
        *,
        record: RolloutWriter | None = None,
        on_step: OnStep | None = None,
    ) -> EpisodeResult:
        """Play one episode in an open world, as its tier or its pack says."""
        from mirr.agents.brought import make_agent
        from mirr.env.environment import Environment
        from mirr.env.rollout import play

        return play(
            Environment(world, _config(scenario)),
            make_agent(self.policy, scenario),
            scenario=scenario,
            world_name=self.world_name,
            policy_name=self.policy,
            record=record,
            on_step=on_step,
        )

    def play_one_of_many(self, world: World, scenario: Scenario) -> EpisodeResult:
        """Play one episode in an open world. The result has no trajectory: a million of them need too much memory."""
        from mirr.env.record import RolloutWriter

        path = self.record_of(scenario)
        with nullcontext() if path is None else RolloutWriter(path, overwrite=True) as record:
            return replace(self.play_in(world, scenario, record=record), trajectory=())

    def play_many(self, lab: str, scenarios: Sequence[Scenario], what: str, *, cores: int | None = None) -> Played:
        """Play an episode of each scenario. Progress goes to stderr. Ctrl-C ends it with what has been played."""
        played = Played()
        cores = usable_cores() if cores is None else cores
        try:
            with counter(self.world, self.policy, len(scenarios)) as count:
                if self.world is WorldName.SIM and cores > 1 and len(scenarios) >= LEAST_FOR_PROCESSES:
                    # The first ones are played here: if the simulator has to be compiled, that happens only once.
                    self._play_here(played, lab, scenarios[:SLICE], what, count)
                    self._play_on_all_cores(played, lab, scenarios, what, count, cores)
                self._play_here(played, lab, scenarios, what, count)
        except KeyboardInterrupt:
            played.interrupted = True
        return played

    def say_what_was_lost(self, results: Sequence[EpisodeResult]) -> None:
        """Say on stderr how many steps an agent has lost, and why it lost the first. Says nothing if it lost none."""
        from mirr.env.evaluation import lost_every_step

        losing = [result for result in results if result.lost_steps]
        if losing:
            lost, steps = sum(len(each.lost_steps) for each in losing), sum(each.report.steps for each in results)
            first = losing[0].lost_steps[0]
            whole = ", so these are the figures of wait and say nothing about it" if lost_every_step(results) else ""
            print(
                f"mirr: {printable(self.policy)} lost {lost} of {steps} steps{whole}; the first in seed "
                f"{losing[0].seed}, step {first.step}: {printable(first.why)}",
                file=sys.stderr,
            )

    def _play_here(self, played: Played, lab: str, scenarios: Sequence[Scenario], what: str, count: Counter) -> None:
        """Play what is not played yet in this process."""
        if len(played.results) == len(scenarios):
            return
        with open_world(self.world, lab, what=what, machine=self.machine) as world:
            for scenario in scenarios[len(played.results) :]:
                result = self.play_one_of_many(world, scenario)
                played.results.append(result)
                count.after(result, len(played.results))

    def _play_on_all_cores(
        self, played: Played, lab: str, scenarios: Sequence[Scenario], what: str, count: Counter, cores: int
    ) -> None:
        """Play the rest in processes. Where there can be none (no shared memory, one was killed), some is left over."""
        from mirr.env.simulator.fast.compiled import to_be_compiled

        if to_be_compiled():
            return  # nothing could be kept on disk, so each process would compile the simulator for itself
        try:
            with closing(in_processes(slices(self, scenarios[len(played.results) :]), lab, what, cores)) as several:
                for results in several:
                    played.results += results
                    count.after(played.results[-1], len(played.results))
        except (OSError, BrokenExecutor) as error:
            say_no_processes(error)


@dataclass(frozen=True)
class Slice:
    """Some episodes that a process plays before it reports."""

    player: Player
    scenarios: Sequence[Scenario]


def slices(player: Player, scenarios: Sequence[Scenario]) -> list[Slice]:
    """All these episodes in slices."""
    return [Slice(player, scenarios[first : first + SLICE]) for first in range(0, len(scenarios), SLICE)]


def in_processes(
    several: Sequence[Slice], lab: str, what: str, cores: int
) -> Generator[list[EpisodeResult], None, None]:
    """The results of each slice, in order, without their trajectories. Raises OSError or BrokenExecutor where there can
    be no processes, or one was killed."""
    pool = ProcessPoolExecutor(cores, mp_context=get_context("spawn"))
    try:
        for future in _submitted(pool, several, lab, what):
            yield future.result()
    finally:
        # After Ctrl-C, too: a slice that has begun is over soon, and the others do not begin.
        pool.shutdown(cancel_futures=True)


def _submitted(
    pool: ProcessPoolExecutor, several: Sequence[Slice], lab: str, what: str
) -> list[Future[list[EpisodeResult]]]:
    # The processes inherit that Ctrl-C is blocked: only this process answers to it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return [pool.submit(play_slice, each.player, lab, each.scenarios, what) for each in several]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def say_no_processes(error: Exception) -> None:
    """Say on stderr that the rest is played in this process."""
    print(f"mirr: no processes to play in ({error!r}); going on in this one", file=sys.stderr)


def _config(scenario: Scenario) -> EpisodeConfig | None:
    """How a scenario is played: its tier says so, or else it is a pack's."""
    if scenario.name:
        from mirr.scenarios.packs import PACK_CONFIG

        return PACK_CONFIG
    from mirr.env.tiers import TIERS

    return None if scenario.tier is None else TIERS[scenario.tier].config


def play_slice(player: Player, lab: str, scenarios: Sequence[Scenario], what: str) -> list[EpisodeResult]:
    """The results of a few episodes, without their trajectories. This runs in a process of its own."""
    with open_world(player.world, lab, what=what, machine=player.machine) as world:
        return [player.play_one_of_many(world, scenario) for scenario in scenarios]


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
