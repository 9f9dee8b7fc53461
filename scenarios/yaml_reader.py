"""Reads YAML 1.2 strictly: a key twice, a number that is too large or text nested too deeply is an error with its line.

It is a module of its own because its library takes a third of a second to import: `load_pack` imports it when needed.
"""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

VERSION = "1.2"
_OTHER_VERSION = re.compile(r"^%YAML\s+(?!1\.2\s*(?:\s#.*)?$)(?P<version>\S+)", re.MULTILINE)
_KEY = re.compile(r"duplicate key (?P<key>\".*?\")", re.DOTALL)
_LONGEST_QUOTE = 30
_MOST_KEYS = 1000  # of one mapping: a few merges of merges can make one that never ends


class NotYaml(ValueError):
    """The text is not YAML that can be read. The message says at which line, and what is wrong there."""


class _Constructor(SafeConstructor):
    """Names the line also where a value has the form of a number or a date, but is none that Python can hold."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, OverflowError) as error:
            kind = str(node.tag).rpartition(":")[2]
            raise ConstructorError(
                problem=f"{_quoted(str(node.value))} cannot be read as {kind}", problem_mark=node.start_mark
            ) from error

    def flatten_mapping(self, node: Any) -> Any:
        merged = super().flatten_mapping(node)
        if len(node.value) > _MOST_KEYS:
            raise ConstructorError(
                problem=f"merged mappings have more than {_MOST_KEYS} keys", problem_mark=node.start_mark
            )
        return merged


def read_yaml(text: str) -> object:
    """What the one document in `text` says. Raises NotYaml."""
    if other := _OTHER_VERSION.search(text):
        # In YAML 1.1, `010` is 8 and `1:30` is 90.
        raise NotYaml(f"it says %YAML {other['version']}, and only YAML {VERSION} is read")
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = _Constructor
    try:
        return reader.load(text)
    except YAMLError as error:
        raise NotYaml(_where(error)) from error
    except (ValueError, AssertionError) as error:
        # What the library does not expect itself, such as a character above the last one.
        why = str(error) or "a value does not fit its tag"
        raise NotYaml(f"it has something that cannot be read ({why})") from error
    except RecursionError:
        # Without the cause: its traceback has a thousand lines.
        raise NotYaml("it is nested too deeply") from None


def _where(error: YAMLError) -> str:
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return str(error).partition("\n")[0]
    mark = error.problem_mark
    problem = str(error.problem)
    if isinstance(error, DuplicateKeyError):
        key = _KEY.search(problem)
        problem = f"{key['key'] if key else 'a key'} is there a second time in the same mapping"
    elif problem.startswith("but "):
        problem = f"{error.context}, {problem}"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _quoted(text: str) -> str:
    short = text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}... ({len(text)} characters)"
    return f"'{short}'"
