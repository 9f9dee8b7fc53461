"""An observation as text, for people and for language models."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from mirr.env.environment import Observation
from mirr.env.objectives import FEATURE_COLUMN
from mirr.env.vocabulary import Feature, Service, action_text
from mirr.env.world import FEATURES_SHAPE, LogLine

WINDOWS = 8  # the windows of a history, with the current one

COLUMNS: dict[Feature, tuple[str, int, str]] = {
    Feature.UP: ("up", 4, "{:.0f}"),
    Feature.REQUEST_RATE: ("req/s", 8, "{:.1f}"),
    Feature.ERROR_RATIO: ("errors", 8, "{:.1%}"),
    Feature.LATENCY_P95_S: ("p95", 9, "{:.3f} s"),
    Feature.CPU_SHARE: ("cpu", 6, "{:.0%}"),
    Feature.MEMORY_SHARE: ("memory", 8, "{:.0%}"),
    Feature.IN_FLIGHT: ("in flight", 11, "{:.1f}"),
}
"""Heading, width and format of each feature."""


def cell(feature: Feature, value: float) -> str:
    """One feature's value as text; `-` if it could not be measured."""
    return "-" if math.isnan(value) else COLUMNS[feature][2].format(value)


def printable(text: str) -> str:
    """`text` without control characters: each is written as in `\\x1b`.

    Logs hold what clients of the services sent. Shown as it is, it could clear a terminal, or look like another line.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def log_text(line: LogLine) -> str:
    """One log line, as in `  3.2 s ago  error    request_failed  POST /charges 500`."""
    return f"{line.age_s:6.1f} s ago  {line.level:<8} {printable(line.event):<16} {printable(line.text)}"


class History:
    """The last windows that an agent has seen in an episode. Every dashboard shows that much."""

    def __init__(self) -> None:
        self._windows: deque[NDArray[np.float32]] = deque(maxlen=WINDOWS)

    def note(self, observation: Observation) -> None:
        """One more observation. The one of step 0 begins an episode."""
        if observation.step == 0:
            self._windows.clear()
        self._windows.append(observation.features)

    @property
    def windows(self) -> NDArray[np.float32]:  # (windows, services, features)
        """What was seen, the oldest first. The last one is the current window."""
        return np.array(self._windows, dtype=np.float32).reshape(-1, *FEATURES_SHAPE)


def _history(windows: NDArray[np.float32]) -> list[str]:
    """A line for each metric of each service, the oldest window first."""
    lines = [f"the last {len(windows)} steps, the oldest first:"]
    for place, service in enumerate(Service):
        for feature, (heading, width, _) in COLUMNS.items():
            values = windows[:, place, FEATURE_COLUMN[feature]].tolist()
            cells = (cell(feature, value).rjust(width) for value in values)
            lines.append(service.ljust(10) + heading.ljust(11) + "".join(cells))
    return lines


def render(observation: Observation, windows: NDArray[np.float32] | None = None) -> str:
    """The whole observation: a table of services, the last action's result, log lines, steps left. With `windows`, the
    last ones (windows, services, features), it also shows how each metric got there."""
    lines = ["service".ljust(10) + "".join(heading.rjust(width) for heading, width, _ in COLUMNS.values())]
    for row, service in zip(observation.features.tolist(), Service, strict=True):
        cells = (cell(feature, row[FEATURE_COLUMN[feature]]).rjust(width) for feature, (_, width, _) in COLUMNS.items())
        lines.append(service.ljust(10) + "".join(cells))
    if windows is not None and len(windows) > 1:
        lines += _history(windows)
    if observation.last_action is not None:
        result = f": {printable(observation.last_result)}" if observation.last_result else ""
        lines.append(f"last action: {action_text(observation.last_action)}{result}")
    if observation.logs_of is not None:
        lines.append(f"log of {observation.logs_of}:")
        lines += [f"  {log_text(line)}" for line in observation.logs] or ["  (no lines)"]
    lines.append(f"step {observation.step}, {observation.steps_left} left")
    return "\n".join(lines)
