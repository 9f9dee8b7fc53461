"""The MCP server: one tool for each thing that a person on call can do. Only this package imports fastmcp."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, ParamSpec, TypeVar

from fastmcp import FastMCP
from fastmcp.exceptions import NotFoundError, ToolError, ValidationError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp.types import CallToolRequestParams, ToolAnnotations
from pydantic import Field
from pydantic import ValidationError as ArgumentErrors

from mirr.env.briefing import MODE_SAYS, SERVICE_SAYS, VERBS, ActionType, duty, judgement
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

Adds = Callable[..., str]
"""Adds a tool to a server and returns its name."""

EpisodeId = Annotated[str, Field(max_length=64, description="the episode, by the id that you were given")]
RequestId = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=64,
        description="optional: any text of yours, new for each action. If a call got no answer, call again with the "
        "same request_id: the action is then taken only once",
    ),
]
ServiceName = Annotated[Service, Field(description=SERVICE_SAYS)]
ModeName = Annotated[FaultMode, Field(description=MODE_SAYS)]

_FREE = ToolAnnotations(readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=False)
# Reading a log also costs a step, so clients must not treat it as free.
_HARMLESS = ToolAnnotations(readOnlyHint=False, destructiveHint=False, idempotentHint=False, openWorldHint=False)
_DISRUPTIVE = ToolAnnotations(readOnlyHint=False, destructiveHint=True, idempotentHint=False, openWorldHint=False)


_HINTS: dict[ActionType, ToolAnnotations] = {
    Wait: _HARMLESS,
    CheckLogs: _HARMLESS,
    Diagnose: _HARMLESS,
    Restart: _DISRUPTIVE,
    Rollback: _DISRUPTIVE,
    ScaleUp: _HARMLESS,
    DiagnoseNone: _HARMLESS,
}
"""What a client may assume of each tool that is an action."""


def instructions(config: EpisodeConfig, prefix: str = "") -> str:
    """The text about the server that a client gives to its model. `prefix` begins the name of every tool."""
    return (
        f"{duty(config)} Every tool takes the episode_id you were given; the "
        f"first call begins the episode, and it can be played once. {prefix}read_metrics and {prefix}status "
        f"cost nothing. Every other tool is one step: it acts, lets {config.step_s:g} s of the services' time pass, "
        f"and answers with what is seen then. {judgement()}"
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


def build_server(exam: Exam, desk: Desk, *, lists_episodes: bool, prefix: str = "") -> FastMCP:
    """The server of an exam. No tool creates, resets or reveals an episode: only the examiner does.

    `prefix` begins the name of every tool, for a client that has other servers with tools such as `status` or `wait`.
    """
    config = exam.config.episode
    # The library does not check arguments against their schemas. The tools do, with better messages.
    server: FastMCP = FastMCP(
        NAME, instructions=instructions(config, prefix), mask_error_details=True, strict_input_validation=False
    )
    add = partial(_tool, server, prefix)
    names = [*_add_free_tools(add, exam, desk), *_add_actions(add, exam, desk, config)]
    if lists_episodes:
        names.append(_add_listing(add, exam, desk))
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
    prefix: str,
    function: Callable[..., Any],
    *,
    title: str,
    says: str,
    annotations: ToolAnnotations,
    answers: type[Answer] | type[Episodes] = Answer,
) -> str:
    name = prefix + function.__name__
    server.tool(
        function,
        name=name,
        title=title,
        description=says,
        annotations=annotations,
        output_schema=schema(answers),
    )
    return name


def _add_free_tools(add: Adds, exam: Exam, desk: Desk) -> list[str]:
    async def read_metrics(episode_id: EpisodeId) -> ToolResult:
        return _result(await _asked(desk, exam.look, episode_id))

    async def status(episode_id: EpisodeId) -> ToolResult:
        return _result(await _asked(desk, exam.status, episode_id))

    return [
        add(
            read_metrics,
            title="Read the metrics",
            annotations=_FREE,
            says="The metrics of all five services over the last step. Costs no step and lets no time pass: it is the "
            "dashboard as it was last drawn; to see what happens next, wait. The first call begins the episode.",
        ),
        add(
            status,
            title="Status of the episode",
            annotations=_FREE,
            says="The state of the episode: steps left, the last action and its result, and the score once it is over. "
            "Costs no step, and begins nothing.",
        ),
    ]


def _add_listing(add: Adds, exam: Exam, desk: Desk) -> str:
    async def list_episodes() -> ToolResult:
        states = await _asked(desk, exam.states)
        listed = Episodes(episodes=[Episode(episode_id=name, state=state) for name, state in states.items()])
        text = "\n".join(f"{name}: {state}" for name, state in states.items())
        return _answered(text, listed)

    return add(
        list_episodes,
        title="The episodes of this exam",
        annotations=_FREE,
        answers=Episodes,
        says="The ids of the episodes that you may play, each once. Costs no step, and begins nothing.",
    )


def _add_actions(add: Adds, exam: Exam, desk: Desk, config: EpisodeConfig) -> list[str]:
    async def take(episode_id: str, action: Action, request_id: str | None) -> ToolResult:
        return _result(await _asked(desk, exam.act, episode_id, action, request_id))

    async def wait(episode_id: EpisodeId, request_id: RequestId = None) -> ToolResult:
        return await take(episode_id, Wait(), request_id)

    async def check_logs(episode_id: EpisodeId, service: ServiceName, request_id: RequestId = None) -> ToolResult:
        return await take(episode_id, CheckLogs(service), request_id)

    async def diagnose(
        episode_id: EpisodeId, service: ServiceName, mode: ModeName, request_id: RequestId = None
    ) -> ToolResult:
        return await take(episode_id, Diagnose(service, mode), request_id)

    async def diagnose_none(episode_id: EpisodeId, request_id: RequestId = None) -> ToolResult:
        return await take(episode_id, DiagnoseNone(), request_id)

    async def restart(episode_id: EpisodeId, service: ServiceName, request_id: RequestId = None) -> ToolResult:
        return await take(episode_id, Restart(service), request_id)

    async def rollback(episode_id: EpisodeId, service: ServiceName, request_id: RequestId = None) -> ToolResult:
        return await take(episode_id, Rollback(service), request_id)

    async def scale_up(episode_id: EpisodeId, service: ServiceName, request_id: RequestId = None) -> ToolResult:
        return await take(episode_id, ScaleUp(service), request_id)

    functions: list[Callable[..., Any]] = [wait, check_logs, diagnose, restart, rollback, scale_up]
    if config.none_diagnosis:
        functions.append(diagnose_none)
    named = {function.__name__: function for function in functions}
    return [
        add(
            named[verb.name],
            title=verb.title,
            says=f"{verb.says} One step of {config.step_s:g} s.",
            annotations=_HINTS[kind],
        )
        for kind, verb in VERBS.items()
        if verb.name in named
    ]
