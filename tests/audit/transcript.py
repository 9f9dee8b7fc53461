"""Transcripts: what an agent saw in one episode, and the truth that it must not see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mirr.env.environment import Environment, Observation
from mirr.env.objectives import Objectives
from mirr.env.scenario import EpisodeConfig, Scenario
from mirr.env.vocabulary import Action, Event, Fault
from mirr.env.world import ActionResult, Snapshot, World

NO_FAULT = "no fault"
NO_COLLAPSE = Objectives(collapse_sli=-1.0)  # with these, an episode goes on even if nothing works for the users


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Everything that one `reset` or `step` returned before the end."""

    action: Action | None  # None for a reset
    observation: Observation
    info: Mapping[str, object]
    took_s: float  # on the player's clock; for a reset, the time since the world was restored


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """The transcript of one episode."""

    world: str
    scenario: Scenario
    config: EpisodeConfig
    seen: tuple[Seen, ...]  # the reset is first; the step that ends the episode is left out, because it shows the truth
    measured: tuple[Snapshot, ...] = ()  # by the world, without noise; an agent does not see it

    @property
    def fault(self) -> Fault | None:
        """The first fault, or None if there was none."""
        return self.scenario.faults[0] if self.scenario.faults else None

    @property
    def name(self) -> str:
        """The name of the pack, or the fault."""
        return self.scenario.name or (NO_FAULT if self.fault is None else str(self.fault))


class Watched:
    """A World that notes what it measured and when it was restored. The time for restoring depends on the episode
    before, so it is not counted for this episode."""

    def __init__(self, world: World, now: Callable[[], float]) -> None:
        self._world = world
        self._now = now
        self.restored_at = now()
        self.measured: list[Snapshot] = []

    def restore(self, key: int) -> None:
        self._world.restore(key)
        self.restored_at = self._now()

    def inject(self, fault: Fault) -> None:
        self._world.inject(fault)

    def happen(self, event: Event) -> None:
        self._world.happen(event)

    def apply(self, action: Action) -> ActionResult:
        return self._world.apply(action)

    def advance(self, seconds: float) -> None:
        self._world.advance(seconds)

    def observe(self) -> Snapshot:
        self.measured.append(self._world.observe())
        return self.measured[-1]

    def close(self) -> None:
        self._world.close()


def without_fault(seed: int) -> Scenario:
    """A scenario in which nothing happens."""
    return Scenario(seed=seed, timeline=())


Wrap = Callable[[Environment], Environment]


def record(
    world: World,
    scenario: Scenario,
    actions: Iterable[Action],
    *,
    name: str,
    config: EpisodeConfig | None = None,
    wrap: Wrap = lambda environment: environment,
    now: Callable[[], float] = time.perf_counter,
) -> Transcript:
    """Plays `actions` in `scenario`. Tests plant leaks with `wrap`."""
    config = config or EpisodeConfig(max_steps=80, none_diagnosis=True)
    watched = Watched(world, now)
    environment = wrap(Environment(watched, config, NO_COLLAPSE))
    observation, info = environment.reset(scenario=scenario)
    seen = [Seen(action=None, observation=observation, info=info, took_s=now() - watched.restored_at)]
    for action in actions:
        began = now()
        observation, _, terminated, truncated, info = environment.step(action)
        if terminated or truncated:
            break
        seen.append(Seen(action=action, observation=observation, info=info, took_s=now() - began))
    measured = tuple(watched.measured)
    return Transcript(world=name, scenario=scenario, config=config, seen=tuple(seen), measured=measured)
