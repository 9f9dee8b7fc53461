"""Who plays where: one episode, or many of them on all cores."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

from mirr.bridge.calibration.machine_names import MachineName
from mirr.cli.counting import Counter, counter
from mirr.cli.worlds import WorldName, open_world, world_label

if TYPE_CHECKING:
    from mirr.agents.registry import PolicyName
    from mirr.env.record import RolloutWriter
    from mirr.env.rollout import EpisodeResult, OnStep
    from mirr.env.scenario import EpisodeConfig, Scenario
    from mirr.env.world import World

SLICE = 100  # episodes that a process plays before it reports: Ctrl-C waits for them, about 0.05 s
LEAST_FOR_PROCESSES = 3000  # episodes; it takes longer to start processes than to play fewer


@dataclass(kw_only=True)
class Played:
    """The episodes that were played, in the order of their scenarios. Their trajectories are left out."""

    results: list[EpisodeResult] = field(default_factory=list)
    interrupted: bool = False  # by Ctrl-C, before the last episode


@dataclass(frozen=True)
class Player:
    """A world and a policy. All names are checked."""

    world: WorldName
    policy: PolicyName
    machine: MachineName = MachineName.REFERENCE  # of the simulator

    @property
    def world_name(self) -> str:
        """The world as records and reports name it."""
        return world_label(self.world, self.machine)

    def play_in(
        self,
        world: World,
        scenario: Scenario,
        *,
        record: RolloutWriter | None = None,
        on_step: OnStep | None = None,
    ) -> EpisodeResult:
        """Play one episode in an open world, as its tier or its pack says."""
        from mirr.agents.registry import make_policy
        from mirr.env.environment import Environment
        from mirr.env.rollout import play

        return play(
            Environment(world, _config(scenario)),
            make_policy(self.policy, scenario),
            scenario=scenario,
            world_name=self.world_name,
            policy_name=self.policy,
            record=record,
            on_step=on_step,
        )

    def play_many(self, lab: str, scenarios: Sequence[Scenario], what: str, *, cores: int | None = None) -> Played:
        """Play an episode of each scenario. Progress goes to stderr. Ctrl-C ends it with what has been played."""
        played = Played()
        cores = _cores() if cores is None else cores
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

    def _play_here(self, played: Played, lab: str, scenarios: Sequence[Scenario], what: str, count: Counter) -> None:
        """Play what is not played yet in this process."""
        if len(played.results) == len(scenarios):
            return
        with open_world(self.world, lab, what=what, machine=self.machine) as world:
            for scenario in scenarios[len(played.results) :]:
                result = replace(self.play_in(world, scenario), trajectory=())
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
            pool = ProcessPoolExecutor(cores, mp_context=get_context("spawn"))
            try:
                for future in self._slices(pool, lab, scenarios[len(played.results) :], what):
                    played.results += future.result()
                    count.after(played.results[-1], len(played.results))
            finally:
                # After Ctrl-C, too: a slice that has begun is over soon, and the others do not begin.
                pool.shutdown(cancel_futures=True)
        except (OSError, BrokenExecutor) as error:
            print(f"mirr: no processes to play in ({error!r}); going on in this one", file=sys.stderr)

    def _slices(
        self, pool: ProcessPoolExecutor, lab: str, scenarios: Sequence[Scenario], what: str
    ) -> list[Future[list[EpisodeResult]]]:
        # The processes inherit that Ctrl-C is blocked: only this process answers to it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return [
                pool.submit(play_slice, self, lab, scenarios[first : first + SLICE], what)
                for first in range(0, len(scenarios), SLICE)
            ]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
        return [replace(player.play_in(world, scenario), trajectory=()) for scenario in scenarios]


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
