"""Compiles the simulator's functions if numba is installed. Without it, the same source runs as plain Python.

Plain Python is slower and gives the same results to the last bit. That is why there is no fast-math and no function
whose rounding depends on a library, and why whole numbers keep to 64 bits in both. `MIRR_COMPILED=0` switches
compiling off.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from mirr.env.simulator.fast import kept
from mirr.env.simulator.physics import forms as _forms

Function = TypeVar("Function", bound=Callable[..., Any])
Numbers = list[float] | NDArray[np.float64]


def _can_compile() -> bool:
    """Whether numba is there, works, and is not switched off."""
    if os.environ.get("MIRR_COMPILED", "1") == "0" or os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return False
    if find_spec("numba") is None:
        return False
    try:
        import_module("numba")
    except (ImportError, AttributeError, OSError, SystemError) as error:
        # It does not fit numpy, or a library that it needs does not load.
        reason = " ".join(str(error).split())
        kept.say(
            f"numba is installed but does not start ({reason}), so the simulator runs uncompiled: slowly, with the "
            "same results; next: install numba again, or set MIRR_COMPILED=0"
        )
        return False
    return True


COMPILED: Final = _can_compile()
"""Whether functions are compiled in this process."""


def _version() -> str:
    """The name of these sources: compiled code of other sources must not be used.

    numba would look only at the file of the function itself, and not at the files of the functions that it calls.
    """
    here = Path(__file__).parent.parent  # env/simulator
    sources = hashlib.sha256()
    values = [here.parent / f"{name}.py" for name in ("dice", "scenario", "vocabulary", "world")]
    forms = [source for folder in _forms.__path__ for source in sorted(Path(folder).glob("*.py"))]
    tiers = sorted((here.parent / "tiers").glob("*.py"))
    for source in (*sorted(here.rglob("*.py")), *values, *forms, *tiers):
        sources.update(source.read_bytes())
    return f"compiled-{sources.hexdigest()[:16]}"


if COMPILED:
    # These are imported by name, so that mypy finds the same types with and without numba.
    _numba: Any = import_module("numba")
    _results: Any = import_module("numba.core.compiler").CompileResult
    _dumps: Any = import_module("numba.core.serialize").dumps
    _CACHE = kept.choose_folder(_version(), Path(__file__).parent.parent / "__pycache__")
    _TOOLS = f"{sys.implementation.cache_tag}-numba-{_numba.__version__}-{version('llvmlite')}"

    class _Cache:
        """The compiled code of one function on disk, in the place of numba's own cache.

        numba's cache ends the process if its folder cannot be written or a file of it is damaged.
        """

        off = _CACHE is None  # for all functions, once one could not be written

        def __init__(self, function: Callable[..., Any]) -> None:
            code = function.__code__
            self._code = hashlib.sha256(code.co_code).hexdigest()
            name = f"{function.__module__}.{function.__qualname__}-{code.co_firstlineno}.{_TOOLS}"
            self.cache_path = _CACHE
            self._file = kept.SealedFile((_CACHE or Path()) / f"{name}{kept.SUFFIX}")

        def load_overload(self, signature: Any, target: Any) -> Any:
            target.refresh()
            result = self._all().get(self._key(signature, target.codegen()))
            return None if result is None else _results._rebuild(target, *result)

        def save_overload(self, signature: Any, result: Any) -> None:
            if _Cache.off or result.lifted or result.library.has_dynamic_globals:
                return
            every = self._all() | {self._key(signature, result.codegen): result._reduce()}
            try:
                self._file.write(_dumps(every))
            except OSError as error:
                _Cache.off = True
                kept.say(f"compiled code cannot be kept in {_CACHE}: {error.strerror}; {kept.REMEDY}")

        def flush(self) -> None:
            self._file.path.unlink(missing_ok=True)

        def _key(self, signature: Any, codegen: Any) -> tuple[Any, ...]:
            return (signature, codegen.magic_tuple(), self._code)

        def _all(self) -> dict[Any, Any]:
            body = None if _CACHE is None else self._file.read()
            found: dict[Any, Any] = {} if body is None else pickle.loads(body)
            return found

    def _compiled(function: Function, *, cache: bool = True, **options: Any) -> Function:
        # Without `_nrt`, references to arrays are not counted. The caller holds all arrays, and no function makes one.
        # Counting took half of a step's time, and threads waited for each other's counts.
        # A function that says nothing of `forceinline` takes it from the function that calls it first. Then nearly all
        # of the code is copied to nearly every place that calls it: slow to compile, and too much for a core's cache.
        options = {"forceinline": False} | options
        compiler = _numba.njit(nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True, **options)
        compiled: Any = compiler(function)
        if cache and function.__closure__ is None:  # the file is named after the code alone
            compiled._cache = _Cache(function)
        returned: Function = compiled
        return returned

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
        return _CACHE is None or not kept.holds_code(_CACHE)

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
            raise IndexError("no function has this number")
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
