"""What an episode is made of: its configuration, and the scenario of its seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mirr.env.checks import BadConfig, NotWhole, flag_field, number_field, whole_field, whole_number
from mirr.env.dice import Stream, below, root_of, stream_key
from mirr.env.quoting import quoted
from mirr.env.vocabulary import ALL_FAULTS, Breaks, Deploys, Ends, Event, Fault, parse_mode, parse_service

MOST_STEPS = 100_000  # the noise of all steps is drawn at once
MOST_STEP_S = 3_600.0  # the simulator computes every moment of a step, and the lab waits for it

DRAW_OF_THE_FAULT = 0
"""The draw of the scenario's key that chooses the fault."""


class BadScenario(ValueError):
    """A scenario that cannot be played. The message says why, and what can be played."""


class BadSeed(BadScenario):
    """A value that is not a seed. The message says what a seed looks like."""


@dataclass(frozen=True, kw_only=True)
class EpisodeConfig:
    """How an episode is played; the same in every world."""

    step_s: float = 2.0  # world time one step takes
    max_steps: int = 30
    noise: float = 0.15  # half-width of the multiplicative observation noise
    none_diagnosis: bool = False  # whether an agent may also commit to "nothing is broken": 42 actions instead of 41

    def __post_init__(self) -> None:
        """Raises BadConfig unless such an episode can be played."""
        checked = {
            "step_s": number_field("EpisodeConfig(step_s=...)", self.step_s, above=0.0, most=MOST_STEP_S),
            "max_steps": whole_field("EpisodeConfig(max_steps=...)", self.max_steps, least=1, most=MOST_STEPS),
            "noise": number_field("EpisodeConfig(noise=...)", self.noise, least=0.0, most=1.0),
            "none_diagnosis": flag_field("EpisodeConfig(none_diagnosis=...)", self.none_diagnosis),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # a plain number, whatever it was given as


def checked_config(config: object) -> EpisodeConfig:
    """`config`, or the default configuration in place of None. Raises BadConfig for anything else."""
    if config is None:
        return EpisodeConfig()
    if not isinstance(config, EpisodeConfig):
        raise BadConfig(f"config is an EpisodeConfig, as in EpisodeConfig(max_steps=20); got {quoted(config)}")
    return config


@dataclass(frozen=True)
class Scheduled:
    """When something happens: before the first observation (0), or while that step is played (1 and up)."""

    step: int
    event: Event

    def __post_init__(self) -> None:
        """Raises BadScenario or UnknownName unless this can happen at some step."""
        try:
            step = whole_number(self.step)
        except NotWhole:
            step = -1
        if step < 0:
            raise BadScenario(f"Scheduled(step=...) is a whole number from 0 up; got {quoted(self.step)}")
        if not isinstance(self.event, Event):
            raise BadScenario(f"Scheduled(event=...) is Breaks, Ends or Deploys; got {quoted(self.event)}")
        if isinstance(self.event, Deploys):
            parse_service(self.event.service)
        else:
            object.__setattr__(self, "event", replace(self.event, fault=checked_fault(self.event.fault)))
        object.__setattr__(self, "step", step)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens in an episode, and when."""

    seed: int
    timeline: tuple[Scheduled, ...]
    name: str = ""  # of its pack; empty if the seed drew the scenario

    def __post_init__(self) -> None:
        """Raises BadScenario for a seed that is none."""
        object.__setattr__(self, "seed", checked_seed(self.seed))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults in the order in which they begin. Empty if the alarm is false."""
        return tuple(entry.event.fault for entry in self.timeline if isinstance(entry.event, Breaks))

    def at(self, step: int) -> tuple[Event, ...]:
        """What happens at `step`, in order."""
        return tuple(entry.event for entry in self.timeline if entry.step == step)

    def to_json(self) -> dict[str, object]:
        """The scenario as `mirr episode --json` prints it. Fields that the scenario does not need are left out."""
        ends = {entry.event.fault: entry.step for entry in self.timeline if isinstance(entry.event, Ends)}
        faults: list[dict[str, object]] = []
        deploys: list[dict[str, object]] = []
        for entry in self.timeline:
            later: dict[str, object] = {"at_step": entry.step} if entry.step else {}
            match entry.event:
                case Breaks(fault):
                    form: dict[str, object] = {"form": fault.form} if fault.form else {}
                    ending = {"heals_at_step": ends[fault]} if fault in ends else {}
                    faults.append({"mode": str(fault.mode), "service": str(fault.service)} | form | later | ending)
                case Deploys(service):
                    deploys.append({"service": str(service)} | later)
                case Ends():
                    pass  # written in the entry of the fault that ends
        named: dict[str, object] = {"name": self.name} if self.name else {}
        return named | {"faults": faults} | ({"deploys": deploys} if deploys else {})


@dataclass(frozen=True)
class Streams:
    """The keys of a seed: one for each stream of draws, so that no stream disturbs another."""

    scenario: int
    world: int
    noise: int


def checked_seed(seed: object) -> int:
    """`seed` as a plain int, or BadSeed. It may be a number of numpy or torch; booleans and floats are refused."""
    try:
        number = whole_number(seed)
    except NotWhole as error:
        raise BadSeed(f"a seed is a whole number from 0 up; got {quoted(seed)}") from error
    if number < 0:
        raise BadSeed(f"a seed is a whole number from 0 up; got {quoted(number)}")
    return number


def checked_fault(fault: object) -> Fault:
    """`fault`, if it is one that can be played. Raises BadScenario, UnknownName or BadSeverity."""
    from mirr.env.forms import (
        checked_severity,
        form_number,
    )  # only here: the forms import the vocabulary, as this module does

    if not isinstance(fault, Fault):
        raise BadScenario(f"a fault is a Fault, as in Fault.parse('bad_deploy:payments'); got {quoted(fault)}")
    parse_mode(fault.mode)
    parse_service(fault.service)
    if fault.form:
        form_number(fault)
    if fault.severity is None:
        return fault
    return replace(fault, severity=checked_severity(fault.mode, fault.form, fault.severity))


def streams(seed: int) -> Streams:
    """The keys of a seed, 64 bits each. Raises BadSeed."""
    root = root_of(checked_seed(seed))
    return Streams(
        scenario=stream_key(root, Stream.SCENARIO),
        world=stream_key(root, Stream.WORLD),
        noise=stream_key(root, Stream.NOISE),
    )


def policy_rng(seed: int) -> np.random.Generator:
    """The random numbers of the policy. They are a stream of their own, so its draws do not change the episode.

    A generator shows what it was seeded with (`bit_generator.seed_seq.entropy`). From the episode's seed, the policy
    could draw the scenario. So the generator gets the key of its stream, which does not lead back to the seed.
    """
    return np.random.default_rng(stream_key(root_of(checked_seed(seed)), Stream.POLICY))


def draw(seed: int, fault: Fault | None = None) -> Scenario:
    """The scenario of a seed: one fault from the beginning. `fault` replaces the drawn one. Raises BadScenario."""
    number = checked_seed(seed)
    if fault is None:
        fault = ALL_FAULTS[below(streams(number).scenario, DRAW_OF_THE_FAULT, len(ALL_FAULTS))]
    return Scenario(seed=number, timeline=(Scheduled(0, Breaks(checked_fault(fault))),))
