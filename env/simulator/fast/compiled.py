"""Compiles the simulator's functions if numba is installed. Without it, the same source runs as plain Python.

Plain Python is slower and gives the same results to the last bit. That is why there is no fast-math and no function
whose rounding depends on a library, and why whole numbers keep to 64 bits in both. `MIRR_COMPILED=0` switches
compiling off.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from mirr.env.simulator.physics import forms as _forms

Function = TypeVar("Function", bound=Callable[..., Any])
Numbers = list[float] | NDArray[np.float64]

COMPILED: Final = (
    os.environ.get("MIRR_COMPILED", "1") != "0"
    and os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
    and find_spec("numba") is not None
)
"""Whether functions are compiled in this process."""


def _cache_directory() -> Path:
    """Where compiled code is kept: each version of the sources has a folder of its own.

    numba looks only at the file of the function itself. It would go on using code that contains an older version of a
    function from another file.
    """
    here = Path(__file__).parent.parent  # env/simulator
    version = hashlib.sha256()
    values = [here.parent / f"{name}.py" for name in ("dice", "scenario", "vocabulary", "world")]
    forms = [source for folder in _forms.__path__ for source in sorted(Path(folder).glob("*.py"))]
    for source in (*sorted(here.rglob("*.py")), *values, *forms):
        version.update(source.read_bytes())
    name = f"compiled-{version.hexdigest()[:16]}"
    beside = here / "__pycache__"
    if os.access(beside if beside.exists() else here, os.W_OK):
        return beside / name
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mirr-lab" / name


if COMPILED:
    # These are imported by name, so that mypy finds the same types with and without numba.
    _numba: Any = import_module("numba")
    _config: Any = import_module("numba.core.config")
    _CACHE = os.environ.get("NUMBA_CACHE_DIR") or str(_cache_directory())

    def _compiled(function: Function, *, cache: bool = True, **options: Any) -> Function:
        # Without `_nrt`, references to arrays are not counted. The caller holds all arrays, and no function makes one.
        # Counting took half of a step's time, and threads waited for each other's counts.
        # numba reads the place of its cache from its own configuration when a function is decorated.
        before, _config.CACHE_DIR = _config.CACHE_DIR, _CACHE
        try:
            compiler = _numba.njit(
                cache=cache, nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True, **options
            )
            compiled: Function = compiler(function)
        finally:
            _config.CACHE_DIR = before
        return compiled

    def jit(function: Function) -> Function:
        """Compile at the first call, or load what an earlier process compiled. Other threads may run meanwhile."""
        return _compiled(function)

    def inlined(function: Function) -> Function:
        """Compile into the functions that call it. This is for functions that are called many times in a step."""
        return _compiled(function, forceinline=True)

    def merged(function: Function) -> Function:
        """Copy the source into the one function that calls it, before that one is compiled.

        This is for large functions. To compile them alone first would take as long again.
        """
        return _compiled(function, inline="always")

    def jit_in_callers(function: Function) -> Function:
        """Compile as a part of the functions that call it. Only those are kept on disk."""
        return _compiled(function, cache=False)

    def to_be_compiled() -> bool:
        """Whether nothing is kept on disk for these sources yet. Then the first episode takes long."""
        return not any(Path(_CACHE).rglob("*.nbi"))

else:

    def jit(function: Function) -> Function:
        """Return the function unchanged."""
        return function

    inlined = merged = jit_in_callers = jit

    def to_be_compiled() -> bool:
        """Always False: nothing is compiled."""
        return False


def chosen(functions: Sequence[Function]) -> Callable[..., Any]:
    """`chosen(functions)(number, s, p, i)` calls the function with that number. It passes on `s`, `p` and `i`.

    A number without a function raises IndexError. The parts are not kept on disk, but the functions that call them
    are, and the parts are compiled into those.
    """
    *others, last = enumerate(functions)
    call = _last_link(*last)
    for number, function in reversed(others):
        call = _link(number, function, call)
    return call


def _last_link(own: int, function: Function) -> Callable[..., Any]:
    def link(number: int, s: Numbers, p: Numbers, i: int) -> Any:
        if number != own:
            raise IndexError("no fault form has this number")
        return function(s, p, i)

    return jit_in_callers(link)


def _link(own: int, function: Function, following: Callable[..., Any]) -> Callable[..., Any]:
    def link(number: int, s: Numbers, p: Numbers, i: int) -> Any:
        if number == own:
            return function(s, p, i)
        return following(number, s, p, i)

    return jit_in_callers(link)


def numbers(values: Iterable[float]) -> Any:
    """A row of floats, as the functions read and write it fastest."""
    return np.array(list(values), dtype=np.float64) if COMPILED else [float(value) for value in values]


def table(rows: int, columns: int) -> Any:
    """So many rows of `numbers`, all zero."""
    return np.zeros((rows, columns)) if COMPILED else [[0.0] * columns for _ in range(rows)]


def whole_numbers(rows: int, columns: int) -> Any:
    """So many rows of `u64`, all zero."""
    return np.zeros((rows, columns), dtype=np.uint64) if COMPILED else [[0] * columns for _ in range(rows)]


def constants(values: Iterable[float]) -> Any:
    """Numbers of a module that never change."""
    return np.array(list(values), dtype=np.float64) if COMPILED else tuple(float(value) for value in values)


u64: Any = np.uint64 if COMPILED else int
"""A whole number of 64 bits without sign. As in C, it must not be mixed with `i64`."""

i64: Any = np.int64 if COMPILED else int
"""A whole number of 64 bits with sign, which may be an index."""
