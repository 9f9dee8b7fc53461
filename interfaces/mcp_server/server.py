"""The MCP server: one tool for each thing that a person on call can do. Only this package imports fastmcp."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar

from fastmcp import FastMCP
from fastmcp.exceptions import NotFoundError, ToolError, ValidationError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp.types import CallToolRequestParams, ToolAnnotations
from pydantic import Field
from pydantic import ValidationError as ArgumentErrors

from mirr.env.objectives import OBJECTIVES
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import (
    Action,
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    FaultMode,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
)
from mirr.interfaces.mcp_server.answers import Answer, Episode, Episodes, answer, as_text, schema
from mirr.interfaces.mcp_server.desk import Desk
from mirr.interfaces.mcp_server.exam import EpisodeView, Exam, ExamError

NAME = "mirr-lab"

P = ParamSpec("P")
T = TypeVar("T")

EpisodeId = Annotated[str, Field(max_length=64, description="the episode, by the id that you were given")]
ServiceName = Annotated[Service, Field(description="which service")]
ModeName = Annotated[
    FaultMode,
    Field(
        description="what is wrong with it: crashed (its process has ended), memory_leak (it keeps more and more "
        "memory), overloaded (it is offered more than its CPU can do), bad_deploy (its current release is faulty)"
    ),
]

_FREE = ToolAnnotations(readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=False)
# Reading a log also costs a step, so clients must not treat it as free.
_HARMLESS = ToolAnnotations(readOnlyHint=False, destructiveHint=False, idempotentHint=False, openWorldHint=False)
_DISRUPTIVE = ToolAnnotations(readOnlyHint=False, destructiveHint=True, idempotentHint=False, openWorldHint=False)


_ACTION_TEXTS: dict[str, tuple[str, str, ToolAnnotations]] = {
    "wait": ("Wait", "Do nothing, and see what the next step brings.", _HARMLESS),
    "check_logs": ("Check a log", "Read a service's recent log lines.", _HARMLESS),
    "diagnose": (
        "Commit to a diagnosis",
        "Say which service is broken, and how. It cannot be taken back.",
        _HARMLESS,
    ),
    "diagnose_none": (
        "Commit to a false alarm",
        "Say that nothing is broken, and the alarm is false. It cannot be taken back.",
        _HARMLESS,
    ),
    "restart": ("Restart a service", "End its process and start it again, on the same release.", _DISRUPTIVE),
    "rollback": ("Roll a service back", "Go back to the release before this one, where there is one.", _DISRUPTIVE),
    "scale_up": ("Scale a service up", "Double its CPU quota; once.", _HARMLESS),
}
"""Title, description and hints of each tool that is an action, by its name."""


def instructions(config: EpisodeConfig) -> str:
    """The text about the server that a client gives to its model."""
    what = (
        "Something may be broken: one service or two, from the beginning or later on; or nothing is, and the alarm is "
        "false. Faults may also end by themselves."
        if config.none_diagnosis
        else "One of them is broken."
    )
    return (
        "You are on call for five services under real traffic: gateway, auth, inventory, orders, payments. gateway "
        f"calls auth, inventory and orders; orders calls inventory and payments. {what} Find out what, commit to a "
        f"diagnosis, and fix it, within {config.max_steps} steps. Every tool takes the episode_id you were given; the "
        "first call begins the episode, and it can be played once. read_metrics and status cost nothing. Every other "
        f"tool is one step: it acts, lets {config.step_s:g} s of the services' time pass, and answers with what is "
        "seen then. A diagnosis counts only before the fix, and the first commitment counts. Restarting, rolling back "
        "or scaling what is healthy does harm and costs. The episode ends when every service and the users are inside "
        "their objectives for 2 steps running, when almost nothing works for the users for 3, or when no steps are "
        f"left. Objectives: {OBJECTIVES.user_sli:.0%} of the users' requests go well; each service's error ratio is "
        f"at most {OBJECTIVES.error_ratio:g}, its latency p95 at most {OBJECTIVES.latency_p95_s:g} s, its memory "
        f"share at most {OBJECTIVES.memory_share:g}."
    )


class PlainErrors(Middleware):
    """Turns each mistake of a client into one sentence. It says what is wrong and what would be right."""

    def __init__(self, tools: tuple[str, ...]) -> None:
        self._tools = tools

    async def on_call_tool(
        self, context: MiddlewareContext[CallToolRequestParams], call_next: CallNext[CallToolRequestParams, ToolResult]
    ) -> ToolResult:
        name = context.message.name
        try:
            return await call_next(context)
        except NotFoundError as error:
            raise _refusal(f"there is no tool {name[:64]!r}; the tools are {', '.join(self._tools)}") from error
        except ValidationError as error:
            raise _refusal(f"{name}: {_message(error)}") from error


def _refusal(message: str) -> ToolError:
    return ToolError(message, log_level=logging.DEBUG)  # a client's mistake does not belong in the server's log


def _message(error: ValidationError) -> str:
    cause = error.__cause__
    if not isinstance(cause, ArgumentErrors):
        return str(error)
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in cause.errors(include_url=False)
    )


def build_server(exam: Exam, desk: Desk, *, lists_episodes: bool) -> FastMCP:
    """The server of an exam. No tool creates, resets or reveals an episode: only the examiner does."""
    config = exam.config.episode
    # The library does not check arguments against their schemas. The tools do, with better messages.
    server: FastMCP = FastMCP(
        NAME, instructions=instructions(config), mask_error_details=True, strict_input_validation=False
    )
    names = [*_add_free_tools(server, exam, desk), *_add_actions(server, exam, desk, config)]
    if lists_episodes:
        names.append(_add_listing(server, exam, desk))
    server.add_middleware(PlainErrors(tuple(names)))
    return server


async def _asked(desk: Desk, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await desk.ask(work, *args, **kwargs)
    except ExamError as error:
        raise _refusal(str(error)) from error


def _result(view: EpisodeView) -> ToolResult:
    return _answered(as_text(view), answer(view))


def _answered(text: str, structured: Answer | Episodes) -> ToolResult:
    # With `meta`, the library passes on the result unchanged. Without it, the library validates the schema at every
    # call, which takes longer than everything else. The result fits, because its model is the source of the schema.
    return ToolResult(content=text, structured_content=structured.model_dump(mode="json"), meta={})


def _tool(
    server: FastMCP,
    function: Callable[..., Any],
    *,
    title: str,
    says: str,
    annotations: ToolAnnotations,
    answers: type[Answer] | type[Episodes] = Answer,
) -> str:
    server.tool(
        function,
        title=title,
        description=says,
        annotations=annotations,
        output_schema=schema(answers),
    )
    return function.__name__


def _add_free_tools(server: FastMCP, exam: Exam, desk: Desk) -> list[str]:
    async def read_metrics(episode_id: EpisodeId) -> ToolResult:
        return _result(await _asked(desk, exam.look, episode_id))

    async def status(episode_id: EpisodeId) -> ToolResult:
        return _result(await _asked(desk, exam.status, episode_id))

    return [
        _tool(
            server,
            read_metrics,
            title="Read the metrics",
            annotations=_FREE,
            says="The metrics of all five services over the last step. Costs no step and lets no time pass: it is the "
            "dashboard as it was last drawn; to see what happens next, wait. The first call begins the episode.",
        ),
        _tool(
            server,
            status,
            title="Status of the episode",
            annotations=_FREE,
            says="The state of the episode: steps left, the last action and its result, and the score once it is over. "
            "Costs no step, and begins nothing.",
        ),
    ]


def _add_listing(server: FastMCP, exam: Exam, desk: Desk) -> str:
    async def list_episodes() -> ToolResult:
        states = await _asked(desk, exam.states)
        listed = Episodes(episodes=[Episode(episode_id=name, state=state) for name, state in states.items()])
        text = "\n".join(f"{name}: {state}" for name, state in states.items())
        return _answered(text, listed)

    return _tool(
        server,
        list_episodes,
        title="The episodes of this exam",
        annotations=_FREE,
        answers=Episodes,
        says="The ids of the episodes that you may play, each once. Costs no step, and begins nothing.",
    )


def _add_actions(server: FastMCP, exam: Exam, desk: Desk, config: EpisodeConfig) -> list[str]:
    async def take(episode_id: str, action: Action) -> ToolResult:
        return _result(await _asked(desk, exam.act, episode_id, action))

    async def wait(episode_id: EpisodeId) -> ToolResult:
        return await take(episode_id, Wait())

    async def check_logs(episode_id: EpisodeId, service: ServiceName) -> ToolResult:
        return await take(episode_id, CheckLogs(service))

    async def diagnose(episode_id: EpisodeId, service: ServiceName, mode: ModeName) -> ToolResult:
        return await take(episode_id, Diagnose(service, mode))

    async def diagnose_none(episode_id: EpisodeId) -> ToolResult:
        return await take(episode_id, DiagnoseNone())

    async def restart(episode_id: EpisodeId, service: ServiceName) -> ToolResult:
        return await take(episode_id, Restart(service))

    async def rollback(episode_id: EpisodeId, service: ServiceName) -> ToolResult:
        return await take(episode_id, Rollback(service))

    async def scale_up(episode_id: EpisodeId, service: ServiceName) -> ToolResult:
        return await take(episode_id, ScaleUp(service))

    functions: list[Callable[..., Any]] = [wait, check_logs, diagnose, restart, rollback, scale_up]
    if config.none_diagnosis:
        functions.append(diagnose_none)
    named = [(function, _ACTION_TEXTS[function.__name__]) for function in functions]
    return [
        _tool(server, function, title=title, says=f"{says} One step of {config.step_s:g} s.", annotations=annotations)
        for function, (title, says, annotations) in named
    ]
