"""What an episode is made of: its configuration, and the scenario that a seed stands for."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np

from env.vocabulary import ALL_FAULTS, Fault

STREAMS = 3  # scenario, world, observation noise


class BadSeed(ValueError):
    """A seed that names no scenario; the message says what one looks like."""


@dataclass(frozen=True, kw_only=True)
class EpisodeConfig:
    """How an episode is played; the same in every world."""

    step_s: float = 2.0  # world time one step takes
    max_steps: int = 30
    noise: float = 0.15  # half-width of the multiplicative observation noise


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What goes wrong in the episode of a seed."""

    seed: int
    faults: tuple[Fault, ...]

    def to_json(self) -> dict[str, object]:
        """As `mirr episode --json` prints it."""
        return {"faults": [{"mode": str(fault.mode), "service": str(fault.service)} for fault in self.faults]}


@dataclass(frozen=True)
class Streams:
    """A generator each for what must not disturb the others."""

    scenario: np.random.Generator
    world: np.random.Generator
    noise: np.random.Generator


def checked_seed(seed: object) -> int:
    """`seed` as a plain int, or BadSeed."""
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError as error:
        raise BadSeed(f"a seed is a whole number from 0 up; got {seed!r}") from error
    if number < 0:
        raise BadSeed(f"a seed is a whole number from 0 up; got {number}")
    return number


def streams(seed: int) -> Streams:
    """The three generators of a seed."""
    return Streams(*np.random.default_rng(checked_seed(seed)).spawn(STREAMS))


def policy_rng(seed: int) -> np.random.Generator:
    """The dice of whoever plays, a fourth stream: a policy that draws does not change what it meets."""
    return np.random.default_rng(np.random.SeedSequence(checked_seed(seed), spawn_key=(STREAMS,)))


def draw(seed: int, fault: Fault | None = None, rng: np.random.Generator | None = None) -> Scenario:
    """The scenario of a seed; `fault` takes the place of the drawn one, and shifts no other stream."""
    number = checked_seed(seed)
    rng = streams(number).scenario if rng is None else rng
    drawn = ALL_FAULTS[int(rng.integers(len(ALL_FAULTS)))]
    return Scenario(seed=number, faults=(drawn if fault is None else fault,))
