"""Reads a scenario pack: one YAML file, as a checked Scenario for any world."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mirr.env.forms import checked_severity, parse_form
from mirr.env.quoting import quoted, shortened
from mirr.env.scenario import BadScenario, EpisodeConfig, Scenario, Scheduled
from mirr.env.vocabulary import Breaks, Bursts, Deploys, Ends, Fault, Service, TrafficChanges, parse_service

PACKS = Path(__file__).parent
"""Where the packs that come with the project are."""

PACK_CONFIG = EpisodeConfig(none_diagnosis=True)
"""The configuration of every pack. All packs have `diagnose(none)`: else its presence would reveal a false alarm."""

MAX_FAULTS = 2
LAST_STEP = 24  # if a fault begins later, there is not enough time to find and fix it
LARGEST_SEED = 2**64 - 1
MOST_HINT_COST = 20.0
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
    form: Annotated[str, Field(strict=True)] | None = None  # without it: the first form of the mode
    severity: Any = None  # in the form's unit; without it: as severe as the form usually is
    at_step: _Step = 0
    heals_at_step: _Step | None = None

    @field_validator("form")
    @classmethod
    def _known_form(cls, form: str | None, info: ValidationInfo) -> str | None:
        fault = info.data.get("fault")
        if form is None or fault is None:
            return form
        if fault.form:
            raise ValueError(f"the fault is {fault}, which names a form already")
        return parse_form(fault.mode, form)

    @field_validator("severity")
    @classmethod
    def _possible_severity(cls, severity: object, info: ValidationInfo) -> float | None:
        fault = info.data.get("fault")
        if severity is None or fault is None or "form" not in info.data:
            return None
        if fault.severity is not None:
            raise ValueError(f"the fault is {fault}, which names a severity already")
        return checked_severity(fault.mode, info.data["form"] or fault.form, severity)

    @property
    def played(self) -> Fault:
        """The fault, with its form and its severity."""
        fault: Fault = self.fault
        named = replace(fault, form=self.form or fault.form)
        return named if self.severity is None else replace(named, severity=self.severity)

    @model_validator(mode="after")
    def _in_order(self) -> PackFault:
        if self.heals_at_step is not None and self.heals_at_step <= self.at_step:
            raise ValueError(f"heals_at_step ({self.heals_at_step}) has to be after at_step ({self.at_step})")
        return self


class PackDeploy(_Strict):
    """One entry of `deploys`: a harmless deploy."""

    service: Annotated[Any, BeforeValidator(_service)]  # a Service
    at_step: _Step = 0


class PackTraffic(_Strict):
    """One entry of `traffic`: users come more or less often than usual."""

    first: Annotated[float, Field(strict=False)]  # times the usual rate
    last: Annotated[float, Field(strict=False)] | None = None  # without it: as `first`
    over_s: Annotated[float, Field(strict=False)] = 0.0
    at_step: _Step = 0

    @model_validator(mode="after")
    def _possible(self) -> PackTraffic:
        self.scheduled()
        return self

    def scheduled(self) -> Scheduled:
        """The event, at its step. Raises BadScenario, which is a ValueError."""
        last = self.first if self.last is None else self.last
        return Scheduled(self.at_step, TrafficChanges(self.first, last, self.over_s))


class PackBurst(_Strict):
    """One entry of `bursts`: many clients want the same thing for a short time, and the service has room for them."""

    service: Annotated[Any, BeforeValidator(_service)]  # a Service
    load: Annotated[float, Field(strict=False)]  # as a share of the CPU quota
    for_s: Annotated[float, Field(strict=False)]
    at_step: _Step = 0

    @model_validator(mode="after")
    def _possible(self) -> PackBurst:
        self.scheduled()
        return self

    def scheduled(self) -> Scheduled:
        """The event, at its step. Raises BadScenario, which is a ValueError."""
        return Scheduled(self.at_step, Bursts(self.service, self.load, self.for_s))


class PackHint(_Strict):
    """One entry of `hints`: what a team in the incident room can buy, in this order."""

    text: _Text
    cost: Annotated[float, Field(ge=0, le=MOST_HINT_COST, strict=False)] = 2.0  # points


class Pack(_Strict):
    """A scenario as a trainer writes it."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
    title: _Text
    symptom: _Text  # what the person on call knows; it must not reveal the answer
    difficulty: Annotated[Difficulty, Field(strict=False)]
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED, strict=True)] = 0
    faults: tuple[PackFault, ...]  # an empty list: the alarm is false
    deploys: tuple[PackDeploy, ...] = ()
    traffic: tuple[PackTraffic, ...] = ()
    bursts: tuple[PackBurst, ...] = ()
    hints: tuple[PackHint, ...] = ()  # for the incident room; without them, the room makes some
    debrief: Annotated[str, Field(strict=True)] = ""  # what to tell afterwards; it reveals the answer

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
        faults, deploys, bursts = (
            [entry.fault.service for entry in self.faults],
            [entry.service for entry in self.deploys],
            [entry.service for entry in self.bursts],
        )
        for service in Service:
            if max((faults + deploys).count(service), (faults + bursts).count(service)) > 1:
                raise ValueError(f"{service} is named more than once; at most one fault, deploy or burst a service")
        return self

    def scenario(self, seed: int | None = None) -> Scenario:
        """The scenario. A `seed` other than the pack's changes the users and the noise, but not the incident."""
        timeline = [entry.scheduled() for entry in self.traffic] + [entry.scheduled() for entry in self.bursts]
        timeline += [Scheduled(entry.at_step, Deploys(entry.service)) for entry in self.deploys]
        for entry in self.faults:
            timeline.append(Scheduled(entry.at_step, Breaks(entry.played)))
            if entry.heals_at_step is not None:
                timeline.append(Scheduled(entry.heals_at_step, Ends(entry.played)))
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


def workshop_packs() -> list[Pack]:
    """The packs of docs/workshop.md, in their order. They are no part of the tasks for agents, which stay what they
    are."""
    return [load_pack(path) for path in sorted((PACKS / "workshop").glob("*.yaml"))]


def _text_of(path: Path) -> str:
    try:
        if path.is_fifo():  # it may be silent for ever
            raise PackError(f"cannot read the scenario {path}: it is a pipe; next: name a file")
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        text = content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text; next: save it as UTF-8"
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
