"""The marks of the tests themselves: which are quick, and that the quick ones say something about every room."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.trials import first_is_quick

ROOMS = sorted({path.parent for path in (ROOT / "tests").rglob("test_*.py")})


def test_the_first_case_is_quick_and_the_others_are_thorough() -> None:
    cases = first_is_quick([(1, "a"), (2, "b"), (3, "c")])
    assert [case.values for case in cases] == [(1, "a"), (2, "b"), (3, "c")]
    assert [list(case.marks) for case in cases] == [[], [pytest.mark.thorough], [pytest.mark.thorough]]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_every_room_has_a_quick_test(room: Path) -> None:
    files = room.glob("test_*.py")
    assert any(_has_a_quick_test(path.read_text(encoding="utf-8")) for path in files)


def _has_a_quick_test(source: str) -> bool:
    """Whether a test of the file, and the file itself, is without a mark for another tier."""
    body = ast.parse(source).body
    if any(isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark" for node in body):
        return False
    tests = [node for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    slow = ("pytest.mark.thorough", "pytest.mark.docker", "pytest.mark.browser")
    return any(not any(ast.unparse(mark) in slow for mark in test.decorator_list) for test in tests)
