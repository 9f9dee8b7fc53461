"""Events that happen in stages while time passes, such as a crowd that has to be sized."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mirr.env.vocabulary import Event


@dataclass
class _Stage:
    """An event that has begun and has further stages."""

    event: Event
    due: float  # when its next stage is due
    rest: Iterator[float]  # its next stages; each yields the seconds until the stage after it


class Stages:
    """The events of one episode that have further stages."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._stages: list[_Stage] = []

    def add(self, event: Event, stages: Iterator[float]) -> None:
        """Begin an event at the next `run`."""
        self._stages.append(_Stage(event, self._now(), stages))

    def drop(self, event: Event) -> None:
        """Stop the further stages of an event."""
        self._stages = [stage for stage in self._stages if stage.event != event]

    def clear(self) -> None:
        """Stop the further stages of every event."""
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
