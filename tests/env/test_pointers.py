"""Rows as compiled functions hold them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from mirr.env.simulator.fast.compiled import COMPILED, jit, numbers, table
from mirr.env.simulator.fast.pointers import fetching, fixed, fixed_of, shown_of, state, state_of


@jit
def _add_up(states: Any, parameters: Any, row: int) -> float:
    s, p, w = state_of(states, row), fixed_of(parameters, row), shown_of(states, row + 1)
    s[1] += p[0]
    w[0] = s[1]
    return float(s[0] + s[1] + p[1])


_fetch = fetching(range(0, 2, 1))


@jit
def _fetch_and_read(states: Any, row: int) -> float:
    _fetch(states, row)
    return float(state_of(states, row)[0])


def test_a_function_reads_and_writes_the_rows_that_it_is_given() -> None:
    states, parameters = table(3, 2), table(3, 2)
    states[1][0], states[1][1] = 1.0, 2.0
    parameters[1][0], parameters[1][1] = 10.0, 100.0
    assert _add_up(states, parameters, 1) == 113.0
    assert [list(row) for row in states] == [[0.0, 0.0], [1.0, 12.0], [12.0, 0.0]]
    assert [list(row) for row in parameters] == [[0.0, 0.0], [10.0, 100.0], [0.0, 0.0]]


def test_a_whole_number_is_written_as_a_float() -> None:
    @jit
    def count(s: Any) -> None:
        row = state(s)
        for place in range(3):
            row[place] = place

    row = numbers([7.0, 7.0, 7.0])
    count(row)
    assert list(row) == [0.0, 1.0, 2.0]


def test_fetching_ahead_changes_nothing() -> None:
    states = table(2, 2)
    states[1][0] = 5.0
    assert _fetch_and_read(states, 1) == 5.0
    assert [list(row) for row in states] == [[0.0, 0.0], [5.0, 0.0]]


@pytest.mark.skipif(not COMPILED, reason="only the compiler knows the kind of a row")
def test_a_function_that_writes_to_parameters_does_not_compile() -> None:
    @jit
    def change(p: Any) -> None:
        fixed(p)[0] = 1.0

    parameters = np.zeros(2)
    with pytest.raises(Exception, match="nobody writes to a row that is fixed"):
        change(parameters)
    assert list(parameters) == [0.0, 0.0]


def read_only() -> np.ndarray:
    numbers = np.zeros(2)
    numbers.flags.writeable = False
    return numbers


@pytest.mark.skipif(not COMPILED, reason="plain Python holds the row itself")
@pytest.mark.parametrize(
    ("row", "why"),
    [
        (read_only(), "a row of state is written"),
        (np.zeros(2, dtype=np.float32), "a row of state is made of float64 in one block of 1 dimensions"),
        (np.zeros((2, 2)), "a row of state is made of float64 in one block of 1 dimensions"),
        (np.zeros(4)[::2], "a row of state is made of float64 in one block of 1 dimensions"),
    ],
)
def test_an_array_whose_numbers_do_not_lie_as_a_rows_do_is_refused(row: np.ndarray, why: str) -> None:
    @jit
    def change(s: Any) -> None:
        state(s)[0] = 1.0

    with pytest.raises(Exception, match=why):
        change(row)
    assert not row.any()


@pytest.mark.skipif(not COMPILED, reason="only the compiler is told")
def test_the_compiler_is_told_that_rows_of_different_kinds_do_not_overlap() -> None:
    numba: Any = import_module("numba")

    def both(s: Any, p: Any) -> None:
        state(s)[0] = fixed(p)[0]

    compiled = numba.njit(both)
    compiled.compile((numba.float64[::1], numba.float64[::1]))
    code = "".join(compiled.inspect_llvm().values())
    assert "!alias.scope" in code
    assert "!noalias" in code
    assert "!invariant.load" in code
