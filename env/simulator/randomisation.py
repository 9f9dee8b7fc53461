"""Domain randomisation: many sets of parameters. Each episode plays with one of them.

It takes as long to prepare a set as to play a thousand steps. So the sets are drawn beforehand, and an episode's seed
chooses one of them. The choice shifts no other draw: with one set or with many, a seed gives the same fault, users and
noise.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from mirr.env.forms import fault_of, severity_of
from mirr.env.objectives import OBJECTIVES, SERVICE_ROW
from mirr.env.quoting import quoted
from mirr.env.simulator.fast import alone
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import numbers, table, u64
from mirr.env.simulator.parameters import (
    ParameterError,
    Parameters,
    ServiceParameters,
    load_parameters,
    parse_parameters,
)
from mirr.env.simulator.physics.faults import FORMS
from mirr.env.simulator.physics.profile import rules
from mirr.env.vocabulary import Journey, Service

FIXED = ("tick_s",)  # a step has to be a whole number of ticks, and the same number everywhere
DRAWN_LAST = ("costly_request_cpu_s", "leaky_carried_s")  # they came later; so a seed still gives the same sets
SEVERITY_SAYS = ("overload_factor",)  # how large a crowd is: a fault's severity says it, in the lab too
PROOF_WINDOWS = 5


@dataclass(frozen=True)
class Range:
    """A range to draw from evenly: between two numbers, or between two multiples of the parameter."""

    low: float
    high: float
    relative: bool = True

    def __post_init__(self) -> None:
        """Raises ParameterError for ends that are not numbers, or not in order."""
        for end in (self.low, self.high):
            if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
                raise ParameterError(f"a Range has two finite numbers; got {quoted(self.low)} and {quoted(self.high)}")
        if self.low > self.high:
            raise ParameterError(f"a Range has the lower number first; got {quoted(self.low)} and {quoted(self.high)}")

    def drawn(self, base: float, rng: np.random.Generator) -> float:
        """One value."""
        value = self.low + (self.high - self.low) * float(rng.random())
        return base * value if self.relative else value


@dataclass(frozen=True, kw_only=True)
class Randomisation:
    """Which parameters vary, and by how much.

    Names are those of the parameter file, with dots: `services.auth.request_cpu_s`. With `services.*.request_cpu_s`,
    each service draws its own.
    """

    ranges: Mapping[str, Range] = field(default_factory=dict)
    sets: int = 256
    seed: int = 0  # of the sets, not of an episode

    def __post_init__(self) -> None:
        """Raises ParameterError unless there is a set to draw, and a seed to draw it from."""
        _whole("randomisation.sets", self.sets, least=1)
        _whole("randomisation.seed", self.seed, least=0)

    @classmethod
    def everything(cls, share: float, *, sets: int = 256, seed: int = 0) -> Randomisation:
        """Every parameter, by up to `share` of it up or down. Only how severe a fault is stays as the scenario says."""
        ranges = {name: Range(1.0 - share, 1.0 + share) for name in randomisable()}
        stay = {name: Range(1.0, 1.0) for name in SEVERITY_SAYS}  # drawn, so that all others stay as they were
        return cls(ranges=ranges | stay, sets=sets, seed=seed)

    @classmethod
    def from_json(cls, raw: object) -> Randomisation:
        """As in a JSON or TOML file: `{"sets": 256, "seed": 0, "ranges": {"boot_cpu_s": {"times": [0.8, 1.25]},
        "journeys_per_s.browse": {"between": [10, 20]}}}`. Raises ParameterError."""
        if not isinstance(raw, dict) or (unknown := sorted(set(raw) - {"sets", "seed", "ranges"})):
            what = f"unknown {', '.join(unknown)}" if isinstance(raw, dict) else "must be an object"
            raise ParameterError(f"randomisation: {what}; it has sets, seed and ranges")
        ranges = raw.get("ranges", {})
        if not isinstance(ranges, dict):
            raise ParameterError("randomisation.ranges must be an object")
        return cls(
            ranges={name: _range(f"randomisation.ranges.{name}", each) for name, each in ranges.items()},
            sets=_whole("randomisation.sets", raw.get("sets", 256), least=1),
            seed=_whole("randomisation.seed", raw.get("seed", 0), least=0),
        )

    def to_json(self) -> dict[str, object]:
        """As `from_json` reads it."""
        return {
            "sets": self.sets,
            "seed": self.seed,
            "ranges": {
                name: {"times" if each.relative else "between": [each.low, each.high]}
                for name, each in self.ranges.items()
            },
        }

    def draw(self, base: Parameters | None = None) -> ParameterSets:
        """Draw the sets. In each, steady state meets the objectives and every fault lands, mild or severe; otherwise
        ParameterError."""
        base = base or default_parameters()
        spread = dict(self._spread())
        found = []
        for number in range(self.sets):
            rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number,)))
            raw: dict[str, Any] = asdict(base)
            # Always in the same order. The order of the ranges does not matter.
            for name in randomisable():
                if name in spread:
                    _set(raw, name, spread[name].drawn(_get(raw, name), rng))
            try:
                found.append(parse_parameters(raw))
            except ParameterError as error:
                raise ParameterError(f"randomisation, set {number}: {error}") from error
        sets = ParameterSets(found)
        for number, row in enumerate(sets.rows):
            if why := _unsound(row, sets.ticks(2.0)):
                raise ParameterError(f"randomisation, set {number}: {why}; narrow the ranges")
        return sets

    def _spread(self) -> Iterator[tuple[str, Range]]:
        """The ranges, with the star replaced by each service's name. Raises ParameterError."""
        known = set(randomisable())
        for name, each in self.ranges.items():
            for one in [name.replace("*", str(service)) for service in Service] if "*" in name else [name]:
                if one not in known:
                    raise ParameterError(f"randomisation.ranges: no parameter {name} that may vary")
                yield one, each


class ParameterSets:
    """Sets of parameters, and for each the row of numbers that the physics reads."""

    def __init__(self, sets: Sequence[Parameters]) -> None:
        self.sets = tuple(sets)
        self.tick_s = self.sets[0].tick_s
        self.rows: Any = table(len(self.sets), k.PARAMETERS_ROW)
        state = numbers([0.0] * k.STATE_END)
        for place, each in enumerate(self.sets):
            row = self.rows[place]
            row[: k.STEADY] = numbers(rules(each))
            alone.find_steady(state, row)
            row[k.STEADY :] = state

    def ticks(self, seconds: float) -> int:
        """Seconds as a number of ticks. Raises ValueError if it is not a whole one."""
        ticks = round(seconds / self.tick_s)
        # 1.2 s are three ticks of 0.4 s, but in floats the quotient is a little below 3.
        if ticks < 1 or not math.isclose(ticks * self.tick_s, seconds, rel_tol=1e-9):
            raise ValueError(f"the simulator advances in whole ticks of {self.tick_s:g} s; got {quoted(seconds)}")
        return ticks


@functools.cache
def default_parameters() -> Parameters:
    """The parameters of the project's file."""
    return load_parameters()


@functools.cache
def _default_sets() -> ParameterSets:
    return ParameterSets([default_parameters()])


def fixed_parameters(parameters: Parameters | None = None) -> ParameterSets:
    """One set. Every episode plays with it."""
    return _default_sets() if parameters is None else ParameterSets([parameters])


@functools.cache
def randomisable() -> tuple[str, ...]:
    """The names of all the parameters that may vary, in the order in which they are drawn."""
    elsewhere = (*FIXED, *DRAWN_LAST, "journeys_per_s", "services")
    shared = [each.name for each in fields(Parameters) if each.name not in elsewhere]
    own = [each.name for each in fields(ServiceParameters)]
    return (
        *shared,
        *(f"journeys_per_s.{journey}" for journey in Journey),
        *(f"services.{service}.{name}" for service in Service for name in own),
        *DRAWN_LAST,
    )


def _get(raw: dict[str, Any], name: str) -> float:
    value: Any = raw
    for part in name.split("."):
        value = value[part]
    return float(value)


def _set(raw: dict[str, Any], name: str, value: float) -> None:
    *path, last = name.split(".")
    for part in path:
        raw = raw[part]
    raw[last] = value


def _unsound(p: Any, ticks: int) -> str:
    """Why nobody can train with these parameters; empty if somebody can."""
    key = u64(0)
    s, w = numbers([0.0] * k.STATE_END), numbers([0.0] * k.SHOWN_ROW)
    alone.steady(s, p)
    for _ in range(PROOF_WINDOWS):
        alone.advance(s, p, key, ticks)
        alone.observe(s, p, key, w)
        for i, service in enumerate(Service):
            row = i * k.FEATURES
            if not (
                w[row + k.COLUMN_ERRORS] <= OBJECTIVES.error_ratio
                and w[row + k.COLUMN_P95] <= OBJECTIVES.latency_p95_s
                and w[row + k.COLUMN_MEMORY] <= OBJECTIVES.memory_share
            ):
                return f"{service} is outside its objectives in steady state"
    for form, played in enumerate(FORMS):
        for service in played.services:
            can = played.severity
            for severity in (None,) if can is None else (None, can.least, can.most):
                fault = fault_of(form, service, severity)
                alone.steady(s, p)
                if not alone.inject(s, p, key, form, SERVICE_ROW[service], severity_of(fault)):
                    return f"{fault} does not show"
    return ""


def _range(where: str, raw: object) -> Range:
    if not isinstance(raw, dict) or len(raw) != 1 or next(iter(raw)) not in ("times", "between"):
        raise ParameterError(
            f'{where} is written {{"times": [low, high]}} or {{"between": [low, high]}}; got {quoted(raw)}'
        )
    kind, ends = next(iter(raw.items()))
    numeric = isinstance(ends, list | tuple) and len(ends) == 2 and all(type(end) in (int, float) for end in ends)
    if not numeric or not 0.0 < ends[0] <= ends[1] < float("inf"):
        raise ParameterError(f"{where}.{kind} has two positive numbers, the lower one first; got {quoted(ends)}")
    return Range(float(ends[0]), float(ends[1]), relative=kind == "times")


def _whole(where: str, value: object, *, least: int) -> int:
    if type(value) is not int or value < least:
        raise ParameterError(f"{where} must be a whole number from {least} up; got {quoted(value)}")
    return value
