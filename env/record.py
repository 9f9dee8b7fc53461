"""Rollouts on disk: one JSON line for the header, one a step, one for the end."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from env.environment import Observation
from env.scenario import EpisodeConfig, Scenario
from env.vocabulary import Action, action_text
from env.world import Snapshot

SCHEMA = "mirr-rollout"
SCHEMA_VERSION = 1

Line = dict[str, Any]


class RecordError(ValueError):
    """A rollout that cannot be written or read; the message says which file, which line and why."""


def finite(values: list[list[float]]) -> list[list[float | None]]:
    """`values` with NaN as None: JSON has no NaN."""
    return [[None if math.isnan(value) else round(value, 6) for value in row] for row in values]


class RolloutWriter:
    """Writes one rollout; every line is on disk as soon as its step is over."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: IO[str] = path.open("w", encoding="utf-8")
        except OSError as error:
            raise RecordError(f"cannot write the record {path}: {error.strerror}") from error

    def header(self, *, world: str, policy: str, scenario: Scenario, config: EpisodeConfig) -> None:
        """The first line: what is played, where, by whom."""
        self._write(
            {
                "kind": "header",
                "schema": SCHEMA,
                "version": SCHEMA_VERSION,
                "world": world,
                "policy": policy,
                "seed": scenario.seed,
                "scenario": scenario.to_json(),
                "config": asdict(config),
            }
        )

    def step(self, observation: Observation, *, action: Action | None, reward: float, snapshot: Snapshot) -> None:
        """A step; the one without an action is what was seen before the first."""
        self._write(
            {
                "kind": "step",
                "step": observation.step,
                "action": None if action is None else action_text(action),
                "reward": reward,
                "result": observation.last_result,
                "observation": finite(observation.features.tolist()),
                "measured": finite(snapshot.features.tolist()),
                "journeys": {
                    str(journey): {"requests": count.requests, "failed": count.failed}
                    for journey, count in snapshot.journeys.items()
                },
                "overrun_s": snapshot.overrun_s,
                "logs": [
                    {"age_s": line.age_s, "level": str(line.level), "event": line.event, "text": line.text}
                    for line in observation.logs
                ],
            }
        )

    def end(self, report: Line) -> None:
        """The last line: how it ended."""
        self._write({"kind": "end", "report": report})

    def _write(self, line: Line) -> None:
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        self._file.close()

    def __enter__(self) -> RolloutWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A rollout as read back."""

    header: Line
    steps: tuple[Line, ...]
    end: Line | None  # None where the recording was cut off


def read_rollout(path: Path) -> Rollout:
    """The rollout in `path`, or RecordError."""
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"cannot read the record {path}: {error}") from error
    lines = [_parsed(path, number, text) for number, text in enumerate(texts, start=1)]
    if not lines or lines[0].get("schema") != SCHEMA:
        raise RecordError(f"{path} is not a rollout: its first line is no {SCHEMA} header")
    if lines[0].get("version") != SCHEMA_VERSION:
        raise RecordError(f"{path} has schema version {lines[0].get('version')}; this reads {SCHEMA_VERSION}")
    ends = [line for line in lines[1:] if line.get("kind") == "end"]
    steps = tuple(line for line in lines[1:] if line.get("kind") == "step")
    return Rollout(header=lines[0], steps=steps, end=ends[-1] if ends else None)


def _parsed(path: Path, number: int, text: str) -> Line:
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecordError(f"{path}, line {number}: not JSON ({error.msg})") from error
    if not isinstance(line, dict) or "kind" not in line:
        raise RecordError(f"{path}, line {number}: not a line of a rollout (no kind)")
    return line
