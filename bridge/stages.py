"""Faults that begin in stages while time passes, such as a crowd that has to be sized."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mirr.env.vocabulary import Fault


@dataclass
class _Stage:
    """A fault that has begun and has further stages."""

    fault: Fault
    due: float  # when its next stage is due
    rest: Iterator[float]  # its next stages; each yields the seconds until the stage after it


class Stages:
    """The faults of one episode that have further stages."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._stages: list[_Stage] = []

    def add(self, fault: Fault, stages: Iterator[float]) -> None:
        """Begin a fault at the next `run`."""
        self._stages.append(_Stage(fault, self._now(), stages))

    def drop(self, fault: Fault) -> None:
        """Stop the further stages of a fault."""
        self._stages = [stage for stage in self._stages if stage.fault != fault]

    def clear(self) -> None:
        """Stop the further stages of every fault."""
        self._stages.clear()

    def run(self) -> None:
        """Run every stage that is due. Raises ChaosError."""
        for stage in tuple(self._stages):
            while stage.due <= self._now():
                wait_s = next(stage.rest, None)
                if wait_s is None:
                    self._stages.remove(stage)
                    break
                stage.due = self._now() + wait_s

    def next_due(self, now: float, until: float) -> float:
        """When the next stage after `now` is due, or `until` if that is earlier."""
        return min([until, *(stage.due for stage in self._stages if stage.due > now)])
