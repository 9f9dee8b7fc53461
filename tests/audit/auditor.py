"""The auditor reads a transcript as an agent could. It reports every place that reveals the truth."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mirr.env.environment import Observation
from mirr.env.rendering import render
from mirr.env.vocabulary import Action, CheckLogs, Diagnosis, FaultMode, Feature, action_text
from mirr.env.world import FEATURES_SHAPE, LogLine
from tests.audit.lines import kind_problem
from tests.audit.results import result_problem
from tests.audit.transcript import Seen, Transcript

INFO_TYPES: dict[str, type] = {"step": int, "overrun_s": float}

_WORDS = (
    *(mode.value for mode in FaultMode),
    r"chaos",
    r"inject\w*",
    r"faults?",
    r"faulty",
    r"campaigns?",
    r"flash.?crowds?",
    r"crowds?",
    r"unique.?keys?",
    r"leaks?",
    r"leases?",
    r"journal",
    r"sandbox(es)?",
    r"scenario",
    r"spoil\w*",
    r"vanguard",
    r"docker",
    r"container",
    r"oom\w*",
    # What goes on around an incident.
    r"surround\w*",
    r"bursts?",
    r"traffic",
    r"harmless",
    r"onset",
    r"severit\w*",
)
_BOUND = r"(?<![a-z]){}(?![a-z])"  # the word `release` contains `lease`, and `default` contains `fault`
INJECTOR = re.compile(
    "|".join(
        (
            *(_BOUND.format(word) for word in _WORDS),
            r"mirr[-_./:]\w*",  # labels, images, containers
            r"\w+-net\b",
            r"\w+[-_](gateway|auth|inventory|orders|payments)[-_]\d+",
            r"\b(gateway|auth|inventory|orders|payments):\d+\.\d+\.\d+",
            r"\b\d+\.\d+\.\d+-\w+",  # more of a release than its number
            r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{12,64}\b",  # the engine's id of a container
        )
    ),
    re.IGNORECASE,
)
"""Words that only the injector would write."""

_PLAIN = (bool, int, float, str, type(None))


def findings(transcript: Transcript) -> list[str]:
    """One sentence for each place that reveals more than symptoms. The list is empty if there is none."""
    found = []
    for number, seen in enumerate(transcript.seen):
        problems = [
            *_injector_terms(seen),
            *_structure(seen, number, transcript.config.max_steps),
            *_info(seen, number),
            *_logs(seen),
        ]
        if (problem := result_problem(seen)) is not None:
            problems.append(problem)
        where = f"{transcript.world}, {transcript.name}, {'reset' if number == 0 else f'step {number}'}"
        found += [f"{where}: {problem}" for problem in problems]
    return found


def _injector_terms(seen: Seen) -> Iterator[str]:
    for place, text in _texts(seen):
        for match in INJECTOR.finditer(text):
            yield f"{place} holds {match.group()!r}, a word of the injector's: {text.strip()[:160]!r}"


def _texts(seen: Seen) -> Iterator[tuple[str, str]]:
    """All texts that the agent can read. Only the echo of its own diagnosis is left out."""
    observation = seen.observation
    echo = isinstance(seen.action, Diagnosis) and result_problem(seen) is None
    if not echo:
        yield "the action's result", observation.last_result
    for line in observation.logs:
        yield f"a log line of {observation.logs_of}", f"{line.event} {line.text}"
    for key, value in seen.info.items():
        yield "info", f"{key}={value}"
    rendered = render(observation)
    if echo:
        assert seen.action is not None
        rendered = rendered.replace(f"last action: {action_text(seen.action)}: {observation.last_result}\n", "")
    else:
        rendered = rendered.replace(observation.last_result, "")
    # The rendering repeats the log lines. They were checked above, so skip them here.
    read = tuple(line.text for line in observation.logs if line.text)
    for shown in rendered.splitlines():
        if not any(text in shown for text in read):
            yield "the rendering", shown


def _structure(seen: Seen, number: int, max_steps: int) -> Iterator[str]:
    observation = seen.observation
    yield from extra_parts(observation, "observation", Observation)
    features = observation.features
    if features.dtype != np.float32 or features.shape != FEATURES_SHAPE:
        yield f"features are {features.dtype} of shape {features.shape}; always float32 of shape {FEATURES_SHAPE}"
    elif features.base is not None or not features.flags.owndata:
        yield "features share their memory with something behind them"
    else:
        yield from _absence(features)
    if (observation.step, observation.steps_left) != (number, max_steps - number):
        yield f"step {observation.step} with {observation.steps_left} left is not what {number} steps come to"
    if observation.last_action != seen.action:
        yield f"the last action reads {observation.last_action}, and was {seen.action}"
    logs_of = seen.action.service if isinstance(seen.action, CheckLogs) else None
    if observation.logs_of != logs_of or (observation.logs and logs_of is None):
        yield f"log lines of {observation.logs_of} after {seen.action}"


def _absence(features: NDArray[np.float32]) -> Iterator[str]:
    """A service is either seen or missing. Values may be missing only for a whole service, and `up` is 0 or 1."""
    up = features[:, list(Feature).index(Feature.UP)]
    if not np.isin(up, (0.0, 1.0)).all():
        yield f"up is {up.tolist()}; always 0 or 1"
    missing = np.isnan(features[:, 1:])
    for row, gone in enumerate(missing):
        if gone.any() != gone.all() or (up[row] == 0.0 and not gone.all()):
            yield f"row {row} is missing in part, {features[row].tolist()}: a service is seen or it is not"


def extra_parts(thing: object, place: str, expected: type | None = None) -> Iterator[str]:
    """Everything that can be reached from `thing` by its attributes but is not part of an observation."""
    if expected is not None and type(thing) is not expected:
        yield f"{place} is a {type(thing).__name__}; always a {expected.__name__}"
    if isinstance(thing, Observation | LogLine | Action):
        fields = {field.name for field in dataclasses.fields(thing)}
        for extra in sorted(set(vars(thing)) - fields):
            yield f"{place}.{extra} is there, and is no field of {type(thing).__name__}"
        for name in sorted(fields):
            yield from extra_parts(getattr(thing, name), f"{place}.{name}")
    elif isinstance(thing, tuple):
        for number, part in enumerate(thing):
            yield from extra_parts(part, f"{place}[{number}]", LogLine)
    elif not (isinstance(thing, StrEnum) or type(thing) in _PLAIN or type(thing) is np.ndarray):
        yield f"{place} is a {type(thing).__name__}: no part of an observation"


def _info(seen: Seen, number: int) -> Iterator[str]:
    types = {key: type(value) for key, value in seen.info.items()}
    for key in sorted(set(types) - set(INFO_TYPES)):
        yield f"info[{key!r}] is there; info holds {', '.join(INFO_TYPES)} until the end"
    for key, expected in INFO_TYPES.items():
        if types.get(key) is not expected:
            yield f"info[{key!r}] is {seen.info.get(key)!r}; always a {expected.__name__}"
    if seen.info.get("step") != number:
        yield f"info['step'] is {seen.info.get('step')!r} after {number} steps"


def _logs(seen: Seen) -> Iterator[str]:
    lines = seen.observation.logs
    for line in lines:
        problem = kind_problem(line, seen.observation.logs_of)
        if problem is not None:
            yield f"a log line of {seen.observation.logs_of} {problem}"
        if not line.age_s >= 0.0:
            yield f"a log line of {seen.observation.logs_of} is {line.age_s} s old"
    ages = [line.age_s for line in lines]
    if ages != sorted(ages, reverse=True):
        yield f"the log of {seen.observation.logs_of} is not in the order in which it was written"
