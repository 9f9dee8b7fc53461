"""The answers of the tools: structured, with units in names and descriptions, and as text."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mirr.env.environment import EpisodeReport
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.rendering import WINDOWS, render
from mirr.env.reward import REWARDS, Outcome
from mirr.env.vocabulary import Feature, Reason, Service, action_text
from mirr.interfaces.mcp_server.exam import EpisodeView, State

DIGITS = 5  # significant digits; because of the noise, only one or two mean anything

MEANINGS: dict[Outcome, str] = {
    Outcome.RESOLVED: "every service and the users are back inside their objectives",
    Outcome.COLLAPSED: f"almost nothing worked for the users for {REWARDS.collapse_steps} steps running",
    Outcome.EXHAUSTED: "no steps are left, and there was no full recovery",
    Outcome.VOID: "the world failed; the episode does not count",
}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Metrics(_Answer):
    """One service over the last step, each number with about 15% noise; null if it could not be scraped."""

    up: bool = Field(description="whether the last scrape succeeded")
    request_rate_per_s: float | None = Field(description="requests finished per second")
    error_ratio: float | None = Field(description="answers of 5xx / all answers, 0..1")
    latency_p95_s: float | None = Field(description="95th percentile of the latency, in seconds")
    cpu_share: float | None = Field(description="CPU used / CPU quota, 0..1")
    memory_share: float | None = Field(description="resident memory / memory limit, 0..1")
    in_flight: float | None = Field(description="requests being worked on")


class MetricsHistory(_Answer):
    """The same over the last steps, the oldest first; the last number is the current one."""

    up: list[bool]
    request_rate_per_s: list[float | None]
    error_ratio: list[float | None]
    latency_p95_s: list[float | None]
    cpu_share: list[float | None]
    memory_share: list[float | None]
    in_flight: list[float | None]


class LogEntry(_Answer):
    """One line that a service wrote."""

    age_s: float = Field(description="seconds before the moment of reading")
    level: str
    event: str
    text: str


class Ending(_Answer):
    """How an episode ended. It exists once the episode is over."""

    outcome: str = Field(description="resolved, collapsed, exhausted, void, or given_up")
    meaning: str
    steps: int | None = None
    total_reward: float | None = None
    diagnosis: str | None = Field(default=None, description="the first commitment")
    diagnosis_correct: bool | None = Field(default=None, description="correct, and made before the right fix")
    time_to_diagnose_s: float | None = Field(default=None, description="in real seconds, with the time to think")
    time_to_mitigate_s: float | None = Field(default=None, description="in real seconds, with the time to think")
    steps_to_diagnose: int | None = None
    steps_to_mitigate: int | None = None
    clean: bool | None = Field(
        default=None, description="resolved, with the correct diagnosis before the right fix, and no wrong fix"
    )
    wrong_fixes: int | None = Field(default=None, description="of the wrong kind, or on the wrong service")
    failed_requests: int | None = Field(default=None, description="users' requests that failed")
    objective_lost_s: float | None = Field(default=None, description="seconds outside the objectives")
    needless_actions: int | None = None


class Answer(_Answer):
    """The answer of every tool about an episode."""

    episode_id: str
    state: State = Field(description="waiting for its first call, running, or over")
    symptom: str = Field(description="what the person on call knows at the beginning")
    step: int = Field(description="steps taken so far")
    steps_left: int
    time_s: float = Field(description="seconds since the first observation, with the time to think on a real lab")
    last_action: str | None = None
    last_result: str | None = Field(default=None, description="what the world answered to the last action")
    last_reason: Reason | None = Field(default=None, description="the same for programs; done if it was accepted")
    services: dict[Service, Metrics] | None = Field(default=None, description="null before the first observation")
    history: dict[Service, MetricsHistory] | None = Field(
        default=None, description=f"the last {WINDOWS} steps; null before the first observation"
    )
    logs_of: Service | None = Field(default=None, description="whose log was read with the last action")
    logs: list[LogEntry] = Field(default=[], description="the lines that were read, oldest first")
    ending: Ending | None = Field(default=None, description="null while the episode runs")


class Episode(_Answer):
    """One episode of the exam."""

    episode_id: str
    state: State


class Episodes(_Answer):
    """Every episode of the exam."""

    episodes: list[Episode]


def schema(of: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of an answer, without the titles that pydantic adds: clients check the schema at every call."""
    plain = _plain(_generated(of))
    assert isinstance(plain, dict)
    return plain


@cache
def _generated(of: type[BaseModel]) -> dict[str, Any]:
    # Most tools have the same answer, and pydantic takes longer for its schema than for everything else of a tool.
    return of.model_json_schema(mode="serialization")


def _plain(part: object) -> object:
    match part:
        case {"anyOf": [{"type": str(kind), **more}, {"type": "null"}], **rest} if not more:
            return _plain({"type": [kind, "null"], **rest})
        case dict():
            return {
                name: {each: _plain(value) for each, value in inner.items()}
                if name == "properties"  # these are our own names, even if one looks like a keyword of JSON schemas
                else _plain(inner)
                for name, inner in part.items()
                if name not in ("title", "default")
            }
        case list():
            return [_plain(each) for each in part]
        case _:
            return part


def answer(view: EpisodeView) -> Answer:
    """What an agent may know of an episode."""
    seen, windows = view.observation, view.windows
    if seen is None or windows is None:
        return Answer(
            episode_id=view.episode_id,
            state=view.state,
            symptom=view.symptom,
            step=0,
            steps_left=view.config.max_steps,
            time_s=0.0,
            ending=_ending(view),
        )
    return Answer(
        episode_id=view.episode_id,
        state=view.state,
        symptom=view.symptom,
        step=seen.step,
        steps_left=seen.steps_left,
        time_s=view.time_s,
        last_action=None if seen.last_action is None else action_text(seen.last_action),
        last_result=seen.last_result or None,
        last_reason=seen.last_reason,
        services={service: _metrics(seen.features, service) for service in Service},
        history={service: _metrics_history(windows, service) for service in Service},
        logs_of=seen.logs_of,
        logs=[
            LogEntry(age_s=round(line.age_s, 1), level=line.level, event=line.event, text=line.text)
            for line in seen.logs
        ],
        ending=_ending(view),
    )


def _metrics_history(windows: NDArray[np.float32], service: Service) -> MetricsHistory:
    each = [_metrics(features, service) for features in windows]
    return MetricsHistory(
        up=[one.up for one in each],
        request_rate_per_s=[one.request_rate_per_s for one in each],
        error_ratio=[one.error_ratio for one in each],
        latency_p95_s=[one.latency_p95_s for one in each],
        cpu_share=[one.cpu_share for one in each],
        memory_share=[one.memory_share for one in each],
        in_flight=[one.in_flight for one in each],
    )


def _metrics(features: NDArray[np.float32], service: Service) -> Metrics:
    row = features[SERVICE_ROW[service]].tolist()
    value = {feature: _rounded(row[column]) for feature, column in FEATURE_COLUMN.items()}
    return Metrics(
        up=value[Feature.UP] == 1.0,
        request_rate_per_s=value[Feature.REQUEST_RATE],
        error_ratio=value[Feature.ERROR_RATIO],
        latency_p95_s=value[Feature.LATENCY_P95_S],
        cpu_share=value[Feature.CPU_SHARE],
        memory_share=value[Feature.MEMORY_SHARE],
        in_flight=value[Feature.IN_FLIGHT],
    )


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{DIGITS}g}")


def _ending(view: EpisodeView) -> Ending | None:
    if view.state is not State.OVER:
        return None
    report = view.report
    if report is None:
        return Ending(outcome="given_up", meaning="it was not played to its end")
    if report.outcome is Outcome.VOID:
        return Ending(outcome=report.outcome, meaning=MEANINGS[report.outcome])
    return _scored(report)


def _scored(report: EpisodeReport) -> Ending:
    """The score without the truth, because the exam may contain the same incident again."""
    return Ending(
        outcome=report.outcome,
        meaning=MEANINGS[report.outcome],
        steps=report.steps,
        total_reward=round(report.total_reward, 6),
        diagnosis=None if report.diagnosis is None else action_text(report.diagnosis),
        diagnosis_correct=report.diagnosis_correct,
        time_to_diagnose_s=_seconds(report.time_to_diagnose_s),
        time_to_mitigate_s=_seconds(report.time_to_mitigate_s),
        steps_to_diagnose=report.steps_to_diagnose,
        steps_to_mitigate=report.steps_to_mitigate,
        clean=report.clean,
        wrong_fixes=report.wrong_fixes,
        failed_requests=report.harm.failed_requests,
        objective_lost_s=_seconds(report.harm.objective_lost_s),
        needless_actions=report.harm.needless_actions,
    )


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def as_text(view: EpisodeView) -> str:
    """The view as text."""
    lines = [f"episode {view.episode_id} is {view.state}"]
    if view.observation is None:
        lines += [f"symptom: {view.symptom}", f"step 0, {view.config.max_steps} left"]
    else:
        if view.observation.step == 0:
            lines.append(f"symptom: {view.symptom}")
        lines.append(render(view.observation, view.windows))
    ending = _ending(view)
    if ending is not None:
        lines.append(f"{ending.outcome}: {ending.meaning}")
        rest = ending.model_dump(exclude={"outcome", "meaning"}, exclude_none=True)
        lines += [f"{name}: {value}" for name, value in rest.items()]
    return "\n".join(lines)
