"""Every command line of `mirr` in the documents names a command and options that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mirr.cli.main import app
from tests.paths import ROOT

FOLDERS_DEEP = 3
DOCUMENTS = sorted(
    path
    for depth in range(FOLDERS_DEEP)
    for path in ROOT.glob("*/" * depth + "*.md")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
OLD = "CHANGELOG.md"
"""It also tells of commands as they were."""

_CODE = re.compile(r"```.*?\n(.*?)```|(?<!`)`([^`\n]+)`", re.DOTALL)
_LINE = re.compile(r"(?:^|[\s(/])mirr (?P<words>[^\n&|;#\"'>]*)", re.MULTILINE)
_OPTION = re.compile(r"(?<!\S)\[?(--[a-z][a-z-]*)")
_WORD = re.compile(r"[a-z][a-z-]*")


@dataclass(frozen=True)
class CommandLine:
    """The words after `mirr` in a document."""

    document: str
    words: str

    def __str__(self) -> str:
        return f"{self.document}: mirr {self.words}"


def command_lines(document: str, text: str) -> Iterator[CommandLine]:
    """Whatever stands in code and begins with `mirr` and a small letter."""
    for block, inline in _CODE.findall(text):
        code = re.sub(r"\\\n\s*", " ", block or inline).replace("\\|", ",")
        for found in _LINE.finditer(code):
            words = found["words"].strip()
            if block and not _is_command(code[: found.start("words")].rsplit("\n", 1)[-1]):
                continue
            if _WORD.match(words) or words.startswith("--"):
                yield CommandLine(document, words)


def _is_command(before: str) -> bool:
    """Whether what stands before in a line of a block is how a command begins, and no sentence."""
    return (
        re.fullmatch(r"(\$ )?([A-Z_]+=\S+ )*(python -m |\S*/)?mirr |.*(&&|\||;|\() *(\S*/)?mirr ", before) is not None
    )


@cache
def the_group() -> Any:
    return typer.main.get_command(app)


def wrong_with(line: CommandLine) -> list[str]:
    """What a reader who types this would be refused for."""
    command, wrong = the_group(), []
    options = set(_options(command))
    for word in line.words.split():
        if not hasattr(command, "commands"):
            break
        if word.startswith("-"):
            break
        names = word.split(",")  # of some, any can be typed
        wrong += [f"no command {name}" for name in names if name not in command.commands]
        if wrong:
            break
        command = command.commands[names[0]]
        options |= set(_options(command))
    return wrong + [f"no option {option}" for option in _OPTION.findall(line.words) if option not in options]


def _options(command: Any) -> Iterator[str]:
    yield "--help"
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)


def _lines_of(path: Path) -> list[CommandLine]:
    return list(command_lines(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path.name != OLD], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_command_line_in_a_document_can_be_typed(path: Path) -> None:
    assert {str(line): wrong for line in _lines_of(path) if (wrong := wrong_with(line))} == {}


def test_the_readme_has_command_lines_in_its_blocks_and_in_its_sentences() -> None:
    found = {line.words for line in _lines_of(ROOT / "README.md")}
    assert "episode --world docker --policy heuristic --fault bad_deploy:payments --seed 7" in found
    assert "evaluate --world sim,docker --policy NAME [--policy NAME ...] --episodes N --seed N [--record DIR]" in found


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`mirr episod --seed 1`", ["no command episod", "no option --seed"]),
        ("`mirr episode --seeds 1`", ["no option --seeds"]),
        ("```\n$ .venv/bin/mirr up && mirr records chek FILE\n```", ["no command chek"]),
        ("`mirr records check FILE`", []),
        ("```\nlab mirr is in steady state\n```", []),
    ],
)
def test_a_command_line_that_nobody_can_type_is_found(text: str, wrong: list[str]) -> None:
    assert [each for line in command_lines("a.md", text) for each in wrong_with(line)] == wrong
