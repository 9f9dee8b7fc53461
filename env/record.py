"""Episodes on disk: one JSON line for the header, one for each step, one for the end. See docs/records.md."""

from __future__ import annotations

import errno
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn

import numpy as np
from numpy.typing import NDArray

from mirr.env.checks import each_name_once
from mirr.env.environment import Observation
from mirr.env.objectives import OBJECTIVES, Objectives
from mirr.env.quoting import quoted
from mirr.env.record_fields import READABLE_VERSIONS, SCHEMA, SCHEMA_VERSION, LineKind, read_fields
from mirr.env.record_values import Line, Misfit, event_json
from mirr.env.reward import REWARDS, RewardTable
from mirr.env.scenario import EpisodeConfig, Scenario
from mirr.env.vocabulary import Action, CheckLogs, DiagnoseNone, Journey, Reason, Service, Tier, action_text
from mirr.env.world import JourneyCount, LogLine, Snapshot


class RecordError(ValueError):
    """A record that cannot be written, read or played back. The message says which file, which line, and why."""


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def refuse_existing(path: Path, what: str, option: str) -> None:
    """Raises RecordError if there is something in the file `path`. A device or a pipe has nothing to lose."""
    try:
        exists = path.is_file() and path.stat().st_size > 0
    except OSError as error:  # a name that is too long, or a folder without rights
        raise RecordError(f"cannot write {what} {path}: {error.strerror}; next: another {option}") from error
    if exists:
        raise RecordError(
            f"{what} {path} exists already, and is not overwritten; next: another {option}, or --overwrite"
        )


def finite(values: list[list[float]]) -> list[list[float | None]]:
    """`values` with None for NaN, because JSON has no NaN. Nothing is rounded, so a playback gives the same numbers."""
    return [[None if math.isnan(value) else value for value in row] for row in values]


class RolloutWriter:
    """Writes one rollout. Each line is on disk as soon as its step is over."""

    _file: IO[str]

    def __init__(self, path: Path, *, overwrite: bool = False, into: IO[str] | None = None) -> None:
        """Write to `path`, or `into` a file that is open already, as one in memory. Then `path` is only a name."""
        self._path = path
        self._failed = False
        if into is not None:
            self._file = into
            return
        if not overwrite:
            refuse_existing(path, "the record", "--record FILE")
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> RecordError:
        advice = ""
        if error.errno in _NO_ROOM:
            advice = "; next: make room there, or choose another place with --record"
        return RecordError(f"cannot write the record {self._path}: {error.strerror}{advice}")

    def header(
        self,
        *,
        world: str,
        policy: str,
        scenario: Scenario,
        config: EpisodeConfig,
        objectives: Objectives = OBJECTIVES,
        rewards: RewardTable = REWARDS,
    ) -> None:
        """Write the first line: scenario, world, policy, and how the episode is judged."""
        self._write(
            {
                "kind": LineKind.HEADER,
                "schema": SCHEMA,
                "version": SCHEMA_VERSION,
                "world": world,
                "policy": policy,
                "seed": scenario.seed,
                "tier": scenario.tier,
                "scenario": scenario.to_json(),
                "config": asdict(config),
                "timeline": [event_json(entry) for entry in scenario.timeline],
                "objectives": asdict(objectives),
                "rewards": asdict(rewards),
            }
        )

    def step(
        self,
        observation: Observation,
        *,
        action: Action | None,
        reward: float,
        snapshot: Snapshot,
        reason: Reason | None,
    ) -> None:
        """Write a step. Step 0 has no action: it is what was seen before the first action."""
        self._write(
            {
                "kind": LineKind.STEP,
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
                "accepted": None if reason is None else reason is Reason.DONE,
                "reason": reason,
                "degraded": {str(service): why for service, why in snapshot.degraded.items()},
            }
        )

    def end(self, report: Mapping[str, object], *, attempted: Action | None = None) -> None:
        """Write the last line: how the episode ended. `attempted` is the action during which the world failed."""
        written = None if attempted is None else action_text(attempted)
        self._write({"kind": LineKind.END, "report": report, "attempted": written})

    def _write(self, line: Line) -> None:
        try:
            self._file.write(json.dumps(line, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            self._failed = True
            raise self._refusal(error) from error
        except ValueError as error:
            raise RecordError(f"cannot write the record {self._path}: a number is infinite, or no number") from error

    def close(self) -> None:
        """Close the file. Safe to call twice. Raises RecordError if the last line did not get to the disk."""
        try:
            self._file.close()
        except OSError as error:
            # Closing writes once more what could not be written before. That error has been raised already.
            if not self._failed:
                self._failed = True
                raise self._refusal(error) from error

    def __enter__(self) -> RolloutWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, kw_only=True)
class RecordedStep:
    """A step as read back."""

    step: int
    action: Action | None  # None at step 0
    reward: float
    result: str
    observation: NDArray[np.float64]  # (services, features), with noise; float32 values
    measured: NDArray[np.float64]  # (services, features), before noise
    journeys: dict[Journey, JourneyCount]
    overrun_s: float
    logs: tuple[LogLine, ...]
    accepted: bool | None = None  # also None in version 1
    degraded: dict[Service, str] | None = None  # None in version 1
    reason: Reason | None = None  # also None in versions 1 and 2

    def seen(self, max_steps: int) -> Observation:
        """What the agent saw after this step."""
        return Observation(
            features=self.observation.astype(np.float32),
            step=self.step,
            steps_left=max_steps - self.step,
            last_action=self.action,
            last_result=self.result,
            last_reason=self.reason,
            logs=self.logs,
            logs_of=self.action.service if isinstance(self.action, CheckLogs) else None,
        )


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A rollout as read back."""

    path: Path
    version: int  # of its schema
    header: Line  # as written
    scenario: Scenario
    config: EpisodeConfig
    objectives: Objectives | None  # None in version 1
    rewards: RewardTable | None  # None in versions 1 and 2
    steps: tuple[RecordedStep, ...]
    end: Line | None  # as written; None if the record is cut off
    attempted: Action | None  # the action during which the world failed

    @property
    def last_seen(self) -> str:
        """Where the recording stops, as in `after step 7`."""
        return f"after step {len(self.steps) - 1}" if self.steps else "before its first observation"


def read_rollout(path: Path) -> Rollout:
    """The rollout in `path`, or RecordError."""
    return parse_rollout(path, read_record(path))


def read_record(path: Path) -> bytes:
    """The content of the record in `path`, or RecordError. A pipe can be read only once."""
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise RecordError(f"cannot read the record {path}: it is a folder; next: name a file in it") from error
    except OSError as error:
        raise RecordError(f"cannot read the record {path}: {error.strerror}") from error


def episode_id(content: bytes) -> str:
    """A name for an episode, made from the content of its record."""
    return hashlib.sha256(content).hexdigest()[:16]


def parse_rollout(path: Path, content: bytes) -> Rollout:
    """The rollout that `content` says, or RecordError. `path` is only for the messages."""
    try:
        text = content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise RecordError(f"cannot read the record {path}: it is not UTF-8 text; next: save it as UTF-8") from error
    texts = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return _rollout(path, _lines(path, texts))


def _lines(path: Path, texts: list[str]) -> list[Line]:
    *whole, last = texts
    lines = [_parsed(path, number, text) for number, text in enumerate(whole, start=1)]
    if last:
        try:
            lines.append(_parsed(path, len(texts), last))
        except RecordError:
            # A writer that was killed leaves half a line at the end. All lines before it are complete.
            if not lines:
                raise
    return lines


def _refuse_constant(name: str) -> NoReturn:
    raise Misfit(f"{name} is not a JSON number")


def _parsed(path: Path, number: int, text: str) -> Line:
    try:
        line = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=each_name_once)
    except json.JSONDecodeError as error:
        raise RecordError(f"{path}, line {number}: not JSON ({error.msg})") from error
    except RecursionError as error:
        raise RecordError(f"{path}, line {number}: not JSON that can be read (nested too deeply)") from error
    except ValueError as error:  # NaN or Infinity, a name twice, or a number with thousands of digits
        raise RecordError(f"{path}, line {number}: not JSON that can be read ({error})") from error
    if not isinstance(line, dict) or "kind" not in line:
        raise RecordError(f"{path}, line {number}: not a line of a rollout (no kind)")
    return line


def _rollout(path: Path, lines: list[Line]) -> Rollout:
    header = lines[0] if lines else {}
    if header.get("kind") != LineKind.HEADER or header.get("schema") != SCHEMA:
        raise RecordError(f"{path} is not a rollout: its first line is not a {SCHEMA} header")
    version = header.get("version")
    if isinstance(version, bool) or version not in READABLE_VERSIONS:
        raise RecordError(f"{path} has schema version {quoted(version)}; this reads {_listed(READABLE_VERSIONS)}")
    head = _fields(path, 1, LineKind.HEADER, header, version)
    steps: list[RecordedStep] = []
    end: Line | None = None
    for number, line in enumerate(lines[1:], start=2):
        if end is not None:
            raise RecordError(f"{path}, line {number}: there is something after the end of the episode")
        if line["kind"] == LineKind.STEP:
            steps.append(_step(path, number, line, version, len(steps), head["config"]))
        elif line["kind"] == LineKind.END:
            end = _fields(path, number, LineKind.END, line, version)
        else:
            raise RecordError(
                f"{path}, line {number}: {quoted(line['kind'])} is not a kind of line here; one of: step, end"
            )
    name, timeline = head["scenario"]
    tier = head.get("tier", None if name else Tier.EASY)  # before version 5, what a seed drew was easy
    scenario = Scenario(seed=head["seed"], timeline=head.get("timeline", timeline), name=name, tier=tier)
    return Rollout(
        path=path,
        version=version,
        header=header,
        scenario=scenario,
        config=head["config"],
        objectives=head.get("objectives"),
        rewards=head.get("rewards"),
        steps=tuple(steps),
        end=end,
        attempted=None if end is None else end.get("attempted"),
    )


def _listed(versions: tuple[int, ...]) -> str:
    *others, last = map(str, versions)
    return f"{', '.join(others)} and {last}"


def _step(path: Path, number: int, line: Line, version: int, due: int, config: EpisodeConfig) -> RecordedStep:
    step = RecordedStep(**_fields(path, number, LineKind.STEP, line, version))
    if step.step != due:
        raise RecordError(f"{path}, line {number}: this is step {step.step}; the one that follows is step {due}")
    if step.step > config.max_steps:
        raise RecordError(f"{path}, line {number}: step {step.step} of an episode of {config.max_steps}")
    if isinstance(step.action, DiagnoseNone) and not config.none_diagnosis:
        raise RecordError(f"{path}, line {number}: {action_text(step.action)} is not an action of this episode")
    if (step.action is None) != (step.step == 0):
        raise RecordError(f"{path}, line {number}: step 0 has no action, and every other step has one")
    if version > 1 and (step.accepted is None) != (step.step == 0):
        raise RecordError(f"{path}, line {number}: accepted is null at step 0, and true or false at others")
    if version > 2 and step.accepted != (None if step.reason is None else step.reason is Reason.DONE):
        raise RecordError(f"{path}, line {number}: accepted is {step.accepted}, and reason is {step.reason}")
    return step


def _fields(path: Path, number: int, kind: LineKind, line: Line, version: int) -> Line:
    try:
        return read_fields(kind, line, version)
    except Misfit as error:
        raise RecordError(f"{path}, line {number}: {error}") from error
