"""What an episode is made of: its configuration, and the scenario of its seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np

from mirr.env.checks import BadConfig, NotWhole, flag_field, number_field, whole_field, whole_number
from mirr.env.dice import Stream, root_of, stream_key
from mirr.env.quoting import quoted
from mirr.env.vocabulary import (
    Breaks,
    Bursts,
    Deploys,
    Ends,
    Event,
    Fault,
    Tier,
    TrafficChanges,
    parse_mode,
    parse_service,
    parse_tier,
)

MOST_STEPS = 100_000  # the noise of all steps is drawn at once
MOST_STEP_S = 3_600.0  # the simulator computes every moment of a step, and the lab waits for it

TRAFFIC = (0.75, 1.3)
"""The least and the most that users can come, times the usual rate. Beyond, steady state would not be steady."""

MOST_TRAFFIC_S = 600.0
"""The longest time over which traffic can change, in seconds."""

MOST_BURST_LOAD = 0.35
"""The most that a burst can ask for, as a share of the CPU quota. With the most users, there is still room."""

MOST_BURST_S = 60.0
"""The longest burst, in seconds."""

DEPLOY_SETTLES_STEPS = 4
"""Steps that a deploy from before the incident gets: the new process is up and warm when the incident begins."""

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
            raise BadScenario(
                f"Scheduled(event=...) is Breaks, Ends, Deploys, TrafficChanges or Bursts; got {quoted(self.event)}"
            )
        object.__setattr__(self, "event", checked_event(self.event))
        object.__setattr__(self, "step", step)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens in an episode, and when."""

    seed: int
    timeline: tuple[Scheduled, ...]
    name: str = ""  # of its pack; empty if the seed drew the scenario
    tier: Tier | None = None  # from which the seed drew the scenario; None if it did not

    def __post_init__(self) -> None:
        """Raises BadScenario for a seed that is none, and UnknownName for a tier that is none."""
        object.__setattr__(self, "seed", checked_seed(self.seed))
        if self.tier is not None:
            object.__setattr__(self, "tier", parse_tier(self.tier))

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
        around: dict[str, list[dict[str, object]]] = {"deploys": [], "traffic": [], "bursts": []}
        for entry in self.timeline:
            later: dict[str, object] = {"at_step": entry.step} if entry.step else {}
            match entry.event:
                case Breaks(fault):
                    form: dict[str, object] = {"form": fault.form} if fault.form else {}
                    if fault.severity is not None:
                        form["severity"] = fault.severity
                    ending = {"heals_at_step": ends[fault]} if fault in ends else {}
                    faults.append({"mode": str(fault.mode), "service": str(fault.service)} | form | later | ending)
                case Deploys(service):
                    around["deploys"].append({"service": str(service)} | later)
                case TrafficChanges(first, last, over_s):
                    around["traffic"].append({"first": first, "last": last, "over_s": over_s} | later)
                case Bursts(service, load, for_s):
                    around["bursts"].append({"service": str(service), "load": load, "for_s": for_s} | later)
                case Ends():
                    pass  # written in the entry of the fault that ends
        named: dict[str, object] = {"name": self.name} if self.name else {}
        return named | {"faults": faults} | {name: entries for name, entries in around.items() if entries}


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


def checked_event(event: Event) -> Event:
    """`event` with plain numbers, if it can happen. Raises BadScenario, UnknownName or BadSeverity."""
    match event:
        case Breaks(fault) | Ends(fault):
            return replace(event, fault=checked_fault(fault))
        case Deploys(service):
            return Deploys(parse_service(service))
        case TrafficChanges(first, last, over_s):
            least, most = TRAFFIC
            return TrafficChanges(
                _number("TrafficChanges(first=...)", first, least=least, most=most),
                _number("TrafficChanges(last=...)", last, least=least, most=most),
                _number("TrafficChanges(over_s=...)", over_s, least=0.0, most=MOST_TRAFFIC_S),
            )
        case Bursts(service, load, for_s):
            return Bursts(
                parse_service(service),
                _number("Bursts(load=...)", load, above=0.0, most=MOST_BURST_LOAD),
                _number("Bursts(for_s=...)", for_s, above=0.0, most=MOST_BURST_S),
            )
        case _:
            assert_never(event)


def _number(
    name: str, value: object, *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf
) -> float:
    try:
        return number_field(name, value, least=least, above=above, most=most)
    except BadConfig as error:
        raise BadScenario(str(error)) from error


def checked_fault(fault: object) -> Fault:
    """`fault`, if it is one that can be played. Raises BadScenario, UnknownName or BadSeverity."""
    # Only here: the forms import the vocabulary, as this module does.
    from mirr.env.forms import checked_service, checked_severity, form_number

    if not isinstance(fault, Fault):
        raise BadScenario(f"a fault is a Fault, as in Fault.parse('bad_deploy:payments'); got {quoted(fault)}")
    parse_mode(fault.mode)
    parse_service(fault.service)
    if fault.form:
        form_number(fault)
    checked_service(fault.mode, fault.form, fault.service)
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


def draw(seed: int, fault: Fault | None = None, tier: Tier = Tier.EASY) -> Scenario:
    """The scenario of a seed in a tier. `fault` replaces the drawn one, and is played as it is. Raises BadScenario,
    UnknownName or BadSeverity."""
    from mirr.env.tiers import TIERS  # only here: the tiers import this module

    number, named = checked_seed(seed), parse_tier(tier)
    return Scenario(seed=number, timeline=TIERS[named].timeline(streams(number).scenario, fault), tier=named)
