"""How often tests with random cases try (`MIRR_TRIALS=10`: ten times as often), and which cases are quick."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

FACTOR = float(os.environ.get("MIRR_TRIALS", "1"))


def trials(usual: int) -> int:
    """The number of cases: `usual`, unless MIRR_TRIALS asks for more or fewer. At least one."""
    return max(1, round(usual * FACTOR))


def first_is_quick(cases: Iterable[Any]) -> list[ParameterSet]:
    """The cases of a test. All but the first have the mark `thorough`. A tuple has the values of several arguments."""
    marks: Iterable[Any] = itertools.chain([()], itertools.repeat(pytest.mark.thorough))
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=mark)
        for case, mark in zip(cases, marks, strict=False)
    ]
