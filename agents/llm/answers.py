"""The action in a model's answer: a call of a tool, or text. Both are read by `parse_action`."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from mirr.env.briefing import MODE_SAYS, SERVICE_SAYS, VERBS, Verb, verbs_of
from mirr.env.quoting import quoted
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import Action, DiagnoseNone, FaultMode, Service, UnknownName, action_text, parse_action

Tool = dict[str, Any]
"""A tool as an OpenAI-compatible endpoint takes it."""

_CALL: Final = re.compile(r"([a-z_]+)\s*\(([^()\n]*)\)")
_ORNAMENTS: Final = " \t*`'\".:;,!-"
_LONGEST_TEXT: Final = 20_000  # characters of an answer that are looked at: the last ones


class NoAction(ValueError):
    """There is no action in the answer. The message says what there is."""


def tools(config: EpisodeConfig) -> list[Tool]:
    """One tool for each kind of action."""
    return [_tool(verb) for verb in verbs_of(config)]


def _tool(verb: Verb) -> Tool:
    properties: dict[str, Any] = {}
    if verb.service:
        properties["service"] = {"type": "string", "enum": list(Service), "description": SERVICE_SAYS}
    if verb.mode:
        properties["mode"] = {"type": "string", "enum": list(FaultMode), "description": MODE_SAYS}
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": verb.name, "description": verb.says, "parameters": parameters}}


def call_of(action: Action) -> tuple[str, dict[str, str]]:
    """The tool and the arguments that stand for an action."""
    return VERBS[type(action)].name, {name: str(value) for name, value in vars(action).items()}


def action_of_call(name: object, arguments: object) -> Action:
    """The action of a tool call. `arguments` are JSON text, or what it says. Raises NoAction."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            raise NoAction(f"the arguments of {quoted(name)} are not JSON: {quoted(arguments)}") from error
    verb = next((verb for verb in VERBS.values() if verb.name == name), None)
    if verb is None or not isinstance(arguments, dict | None):
        raise NoAction(f"there is no tool {quoted(name)} with the arguments {quoted(arguments)}")
    given = arguments or {}
    if verb is VERBS[DiagnoseNone]:
        return DiagnoseNone()
    wanted = (["service"] if verb.service else []) + (["mode"] if verb.mode else [])
    words = ", ".join(str(given.get(each, "")).strip() for each in wanted)
    try:
        return parse_action(f"{verb.name}({words})" if wanted else verb.name)
    except UnknownName as error:
        raise NoAction(f"{verb.name} cannot take the arguments {quoted(given)}") from error


def action_in(text: str) -> Action:
    """The last action that is written in a text, as in `restart(auth)`, or as a call in JSON. Raises NoAction.

    `wait` counts only alone in its line: it is an ordinary word, too.
    """
    for line in reversed(text[-_LONGEST_TEXT:].splitlines()):
        found = _in_line(line)
        if found is not None:
            return found
    found = _in_json(text[-_LONGEST_TEXT:])
    if found is not None:
        return found
    raise NoAction(f"there is no action in the answer {quoted(text.strip())}")


def _in_line(line: str) -> Action | None:
    if line.strip(_ORNAMENTS).lower() in ("wait", "wait()"):
        return parse_action("wait")
    for name, inside in reversed(_CALL.findall(line.lower())):
        words = ", ".join(word.rpartition("=")[2].strip(_ORNAMENTS) for word in inside.split(","))
        try:
            return parse_action(f"{name}({words})")
        except UnknownName:
            continue
    return None


def _in_json(text: str) -> Action | None:
    """A call that a model without tools wrote down as JSON: `{"name": ..., "arguments": {...}}`."""
    begin, end = text.find("{"), text.rfind("}")
    try:
        call = json.loads(text[begin : end + 1])
        return action_of_call(call["name"], call.get("arguments", call.get("parameters")))
    except (ValueError, KeyError, TypeError, RecursionError):  # NoAction is a ValueError
        return None


def how_to_write(config: EpisodeConfig) -> str:
    """How an action is written as text, for a model that has no tools."""
    lines = [f"- {_written(verb)}: {verb.says}" for verb in verbs_of(config)]
    return "\n".join(
        [
            "Answer with one action, alone on the last line. The actions:",
            *lines,
            f"SERVICE is one of {', '.join(Service)}. MODE is {MODE_SAYS}.",
        ]
    )


def _written(verb: Verb) -> str:
    if verb is VERBS[DiagnoseNone]:
        return action_text(DiagnoseNone())
    words = (["SERVICE"] if verb.service else []) + (["MODE"] if verb.mode else [])
    return f"{verb.name}({', '.join(words)})" if words else verb.name
