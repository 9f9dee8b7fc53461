"""Reads a scenario pack: one YAML file, as a checked Scenario for any world."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from mirr.env.quoting import quoted, shortened
from mirr.env.scenario import BadScenario, EpisodeConfig, Scenario, Scheduled
from mirr.env.vocabulary import Breaks, Deploys, Ends, Fault, Service, parse_service

PACKS = Path(__file__).parent
"""Where the packs that come with the project are."""

PACK_CONFIG = EpisodeConfig(none_diagnosis=True)
"""The configuration of every pack. All packs have `diagnose(none)`: else its presence would reveal a false alarm."""

MAX_FAULTS = 2
LAST_STEP = 24  # if a fault begins later, there is not enough time to find and fix it
LARGEST_SEED = 2**64 - 1
LARGEST_BYTES = 16 * 1024  # a pack is a few hundred bytes; more may take long to read
_MOST_PROBLEMS = 8  # that a message names
_HOW = "see scenarios/README.md"


class PackError(BadScenario):
    """A pack that cannot be played. The message says which file, which place in the file, and what belongs there."""


class Difficulty(StrEnum):
    """How hard a pack is for an experienced engineer."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


def _fault(value: object) -> Fault:
    if isinstance(value, Fault):
        return value
    # Other values are not turned into text, because a few anchors and aliases can make one that never ends.
    if not isinstance(value, str):
        raise ValueError("a fault is text, written MODE:SERVICE, as in bad_deploy:payments")  # noqa: TRY004 - pydantic's
    return Fault.parse(value)


def _service(value: object) -> Service:
    if not isinstance(value, str):
        raise ValueError(f"a service is text, one of: {', '.join(Service)}")  # noqa: TRY004 - pydantic expects it
    return parse_service(value)


_Step = Annotated[int, Field(ge=0, le=LAST_STEP, strict=True)]
_Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class PackFault(_Strict):
    """One entry of `faults`."""

    fault: Annotated[Any, BeforeValidator(_fault)]  # a Fault, written MODE:SERVICE
    at_step: _Step = 0
    heals_at_step: _Step | None = None

    @model_validator(mode="after")
    def _in_order(self) -> PackFault:
        if self.heals_at_step is not None and self.heals_at_step <= self.at_step:
            raise ValueError(f"heals_at_step ({self.heals_at_step}) has to be after at_step ({self.at_step})")
        return self


class PackDeploy(_Strict):
    """One entry of `deploys`: a harmless deploy."""

    service: Annotated[Any, BeforeValidator(_service)]  # a Service
    at_step: _Step = 0


class Pack(_Strict):
    """A scenario as a trainer writes it."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
    title: _Text
    symptom: _Text  # what the person on call knows; it must not reveal the answer
    difficulty: Annotated[Difficulty, Field(strict=False)]
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED, strict=True)] = 0
    faults: tuple[PackFault, ...]  # an empty list: the alarm is false
    deploys: tuple[PackDeploy, ...] = ()

    @field_validator("faults")
    @classmethod
    def _some_at_once(cls, faults: tuple[PackFault, ...]) -> tuple[PackFault, ...]:
        if len(faults) > MAX_FAULTS:
            raise ValueError(f"{len(faults)} faults; at most {MAX_FAULTS} in one pack")
        if faults and all(entry.at_step > 0 for entry in faults):
            raise ValueError("one fault has to be there at step 0: an incident begins with what is broken")
        return faults

    @model_validator(mode="after")
    def _one_thing_a_service(self) -> Pack:
        services = [entry.fault.service for entry in self.faults] + [entry.service for entry in self.deploys]
        for service in Service:
            if services.count(service) > 1:
                raise ValueError(f"{service} is named more than once; at most one fault or deploy a service")
        return self

    def scenario(self, seed: int | None = None) -> Scenario:
        """The scenario. A `seed` other than the pack's changes the users and the noise, but not the incident."""
        timeline = [Scheduled(entry.at_step, Deploys(entry.service)) for entry in self.deploys]
        for entry in self.faults:
            timeline.append(Scheduled(entry.at_step, Breaks(entry.fault)))
            if entry.heals_at_step is not None:
                timeline.append(Scheduled(entry.heals_at_step, Ends(entry.fault)))
        in_order = tuple(sorted(timeline, key=lambda scheduled: scheduled.step))
        return Scenario(seed=self.seed if seed is None else seed, timeline=in_order, name=self.id)


def load_pack(path: Path) -> Pack:
    """The pack in `path`, or PackError."""
    from mirr.scenarios.yaml_reader import NotYaml, line_of, read_yaml  # only here: their library is slow to import

    text = _text_of(path)
    try:
        content = read_yaml(text)
    except NotYaml as error:
        raise PackError(f"{path} is not YAML: {error}; {_HOW}") from error
    if not isinstance(content, dict):
        raise PackError(f"{path} is not a scenario: it must be a mapping that begins with id and title; {_HOW}")
    try:
        pack = Pack.model_validate(content)
    except ValidationError as error:
        problems = [_message(one, line_of(text, one["loc"])) for one in error.errors()[:_MOST_PROBLEMS]]
        more = error.error_count() - len(problems)
        raise PackError(f"{path}: {'; '.join([*problems, *([f'and {more} more'] if more else [])])}; {_HOW}") from error
    if pack.id != path.stem:
        raise PackError(f"{path}: id is {quoted(pack.id)}; it has to be the file's name, {path.stem!r}; {_HOW}")
    return pack


def all_packs() -> list[Pack]:
    """The packs that come with the project, by name."""
    return [load_pack(path) for path in sorted(PACKS.glob("*.yaml"))]


def _text_of(path: Path) -> str:
    try:
        if path.is_fifo():  # it may be silent for ever
            raise PackError(f"cannot read the scenario {path}: it is a pipe; next: name a file")
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PackError(f"cannot read the scenario {path}: {why}") from error
    if len(content) > LARGEST_BYTES:
        raise PackError(f"{path} is not a scenario: it is larger than {LARGEST_BYTES // 1024} KiB; {_HOW}")
    return text


def _message(error: Any, line: int | None) -> str:  # pydantic_core.ErrorDetails
    place = ""
    for part in error["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f"{'.' if place else ''}{shortened(str(part))}"
    cause = error.get("ctx", {}).get("error")
    problem = str(cause) if isinstance(cause, Exception) else str(error["msg"])
    match error["type"]:
        case "missing":
            problem = "is missing"
        case "extra_forbidden":
            problem = "is not a field of a scenario"
    where = place if line is None else f"{place} (line {line})"
    return f"{where}: {problem}" if place else problem
