"""Which test files have no test that the option `-m` selects. A run does not import them, which saves seconds."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from itertools import combinations

from _pytest.mark.expression import Expression

TIERS = ("thorough", "docker", "browser")
"""The markers that a file can give to all its tests."""


@dataclass(frozen=True)
class _HasOneOf:
    """Tells pytest's expressions which markers a test has."""

    markers: Set[str]

    def __call__(self, name: str, /, **_: str | int | bool | None) -> bool:
        return name in self.markers


def has_no_selected_test(source: str, selection: str) -> bool:
    """Whether `-m selection` selects no test of a file, as its own `pytestmark` already tells. A test can have more
    markers than its file. So no combination with more of the `TIERS` may be selected. If the selection names another
    marker, the answer is False."""
    line = re.search(r"^pytestmark = .+$", source, re.MULTILINE)
    if line is None or not set(re.findall(r"\w+", selection)) <= {*TIERS, "and", "or", "not"}:
        return False
    of_all = set(re.findall(r"pytest\.mark\.(\w+)", line[0])) & set(TIERS)
    if not of_all or not selection:
        return False
    chosen = Expression.compile(selection)
    sets = [of_all.union(more) for count in range(len(TIERS) + 1) for more in combinations(TIERS, count)]
    return not any(chosen.evaluate(_HasOneOf(markers)) for markers in sets)
