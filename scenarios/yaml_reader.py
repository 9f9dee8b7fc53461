"""Reads YAML 1.2 strictly: its core schema. What is there twice, too large or too deep is an error with its line.

It is a module of its own because its library takes a third of a second to import: `load_pack` imports it when needed.
"""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scanner import Scanner, ScannerError
from ruamel.yaml.tag import Tag

from mirr.env.quoting import quoted, shortened

VERSION = "1.2"
_OTHER_VERSION = re.compile(r"^%YAML\s+(?!1\.2\s*(?:\s#.*)?$)(?P<version>\S+)", re.MULTILINE)
_KEY = re.compile(r"duplicate key (?P<key>\".*?\")", re.DOTALL)
_MOST_KEYS = 1000  # of one mapping: a few merges of merges can make one that never ends
_DEEPEST = 20  # a pack has a depth of 3, and the library takes seconds to find the end of thousands
_LONGEST_PROBLEM = 200  # it may quote a tag or an anchor
_MOST_TOKENS = 3000  # a pack has about a hundred

_TAG = "tag:yaml.org,2002:"
_CORE: dict[str, re.Pattern[str]] = {
    f"{_TAG}null": re.compile(r"(?:~|null|Null|NULL|)"),
    f"{_TAG}bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)"),
    f"{_TAG}int": re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)"),
    f"{_TAG}float": re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
    ),
}
"""What is no text in the core schema of YAML 1.2. The library also takes `1_000`, `0b11` and dates, as in YAML 1.1."""
_MERGE = f"{_TAG}merge"


class NotYaml(ValueError):
    """The text is not YAML that can be read. The message says at which line, and what is wrong there."""


class _Scanner(Scanner):
    """Stops where the text becomes deeper or longer than any pack is."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader=loader)
        self._taken = 0

    def fetch_more_tokens(self) -> Any:
        self._taken += 1
        if self._taken > _MOST_TOKENS:
            raise self._refused("there is too much in it")
        return super().fetch_more_tokens()

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803 - the library's name
        self._check_depth()
        super().fetch_flow_collection_start(TokenClass, to_push)

    def add_indent(self, column: int) -> bool:
        deeper: bool = super().add_indent(column)
        if deeper:
            self._check_depth()
        return deeper

    def _check_depth(self) -> None:
        if len(self.indents) + self.flow_level > _DEEPEST:
            raise self._refused(f"it is nested more than {_DEEPEST} deep")

    def _refused(self, problem: str) -> ScannerError:
        return ScannerError(problem=problem, problem_mark=self.reader.get_mark())


class _Resolver(VersionedResolver):
    """Knows the core schema, and merge keys."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)
        if not isinstance(value, str) or not implicit[0] or str(tag) == _MERGE:
            return tag
        core = next((core for core, form in _CORE.items() if form.fullmatch(value)), f"{_TAG}str")
        return Tag(suffix=core)


class _Constructor(SafeConstructor):
    """Names the line also where a value has the form of a number or a date, but is none that Python can hold."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        form = _CORE.get(str(node.tag))
        try:
            if form is not None and not form.fullmatch(str(node.value)):
                raise ValueError(node.value)  # written with a tag, as in `!!int 1_000`
            return super().construct_object(node, deep)
        except (ValueError, LookupError, OverflowError) as error:
            kind = str(node.tag).rpartition(":")[2]
            raise ConstructorError(
                problem=f"{quoted(str(node.value))} cannot be read as {kind}", problem_mark=node.start_mark
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
    try:
        return _reader().load(text)
    except YAMLError as error:
        raise NotYaml(_where(error)) from error
    except (ValueError, AssertionError) as error:
        # What the library does not expect itself, such as a character above the last one.
        why = str(error) or "a value does not fit its tag"
        raise NotYaml(f"it has something that cannot be read ({why})") from error
    except RecursionError:
        # Without the cause: its traceback has a thousand lines.
        raise NotYaml("it is nested too deeply") from None


def line_of(text: str, place: tuple[int | str, ...]) -> int | None:
    """The line of the value at `place` (its keys and numbers from the top) in a text that `read_yaml` takes.

    If that value is missing, the line of what should hold it; None if that is the whole document."""
    node, line = _reader().compose(text), None
    for part in place:
        if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = key = node.value[part]
        elif isinstance(node, MappingNode) and (found := [one for one in node.value if one[0].value == part]):
            key, node = found[0]
        else:
            break
        line = key.start_mark.line + 1
    return line


def _reader() -> YAML:
    reader = YAML(typ="safe", pure=True)
    reader.Scanner = _Scanner
    reader.Resolver = _Resolver
    reader.Constructor = _Constructor
    return reader


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
    return f"line {mark.line + 1}, column {mark.column + 1}: {shortened(problem, _LONGEST_PROBLEM)}"
