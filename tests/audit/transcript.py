"""What an agent got to see of one episode, kept with the truth that it must not show."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from env.environment import Environment, Observation
from env.objectives import Objectives
from env.scenario import EpisodeConfig
from env.vocabulary import Action, Fault
from env.world import ActionResult, Snapshot, World

NO_FAULT = "no fault"
PLAYED_ON = Objectives(collapse_sli=-1.0)  # an audit reads on where users have nothing left


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that one `reset` or `step` handed out before the end."""

    action: Action | None  # None of a reset
    observation: Observation
    info: Mapping[str, object]
    took_s: float  # on the clock of whoever plays


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """One episode."""

    world: str
    fault: Fault | None  # None where nothing was broken
    config: EpisodeConfig
    seen: tuple[Seen, ...]  # the reset first; the last step of an episode that ended is left out: it tells the truth

    @property
    def name(self) -> str:
        """What was broken."""
        return NO_FAULT if self.fault is None else str(self.fault)


class Untouched:
    """A World in which nothing is ever broken, whatever is injected: what an episode looks like without a fault."""

    def __init__(self, world: World) -> None:
        self._world = world

    def restore(self, rng: np.random.Generator) -> None:
        self._world.restore(rng)

    def inject(self, fault: Fault) -> None:
        """Nothing."""

    def apply(self, action: Action) -> ActionResult:
        return self._world.apply(action)

    def advance(self, seconds: float) -> None:
        self._world.advance(seconds)

    def observe(self) -> Snapshot:
        return self._world.observe()

    def close(self) -> None:
        self._world.close()


Wrap = Callable[[Environment], Environment]


def record(
    world: World,
    fault: Fault,
    actions: Iterable[Action],
    *,
    seed: int,
    name: str,
    config: EpisodeConfig | None = None,
    broken: bool = True,
    wrap: Wrap = lambda environment: environment,
    now: Callable[[], float] = time.perf_counter,
) -> Transcript:
    """Play `actions` against `fault`, or against nothing where it is not `broken`; `wrap` is for planted leaks."""
    config = config or EpisodeConfig(max_steps=80)
    environment = wrap(Environment(world if broken else Untouched(world), config, PLAYED_ON))
    began = now()
    observation, info = environment.reset(seed=seed, fault=fault)
    seen = [Seen(action=None, observation=observation, info=info, took_s=now() - began)]
    for action in actions:
        began = now()
        observation, _, terminated, truncated, info = environment.step(action)
        if terminated or truncated:
            break
        seen.append(Seen(action=action, observation=observation, info=info, took_s=now() - began))
    return Transcript(world=name, fault=fault if broken else None, config=config, seen=tuple(seen))
