"""Values as callers give them, checked before anything happens with them.

A whole number may be Python's, numpy's or torch's, or a 0-d array or tensor. Booleans, floats and texts are no whole
numbers, because nobody means them as one.
"""

from __future__ import annotations

import math
import operator
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mirr.env.quoting import quoted

WHOLE_NUMBERS = "iu"  # numpy's kinds of dtypes: signed and unsigned
_NUMBERS = f"{WHOLE_NUMBERS}f"


class NotWhole(ValueError):
    """The value is not a whole number. The caller's message says what it has to be."""


class NotReal(ValueError):
    """The value is not a number. The caller's message says what it has to be."""


class BadConfig(ValueError):
    """A configuration that cannot be played. The message names the field and says what belongs there."""


@runtime_checkable
class _Tensor(Protocol):
    """A tensor, which may be on an accelerator."""

    def cpu(self) -> object:
        """The same in ordinary memory."""


def as_array(value: object) -> NDArray[np.generic] | None:
    """`value` as an array, also from an accelerator; None if it cannot be one, or if some of it is masked."""
    if isinstance(value, np.ma.MaskedArray):
        return None if np.ma.is_masked(value) else value.data
    if isinstance(value, np.ndarray):
        return value
    try:
        array: NDArray[np.generic] = np.asarray(value.cpu() if isinstance(value, _Tensor) else value)
    except Exception:  # noqa: BLE001 - ragged lists, tensors with gradients, and whatever a caller's own class raises
        return None
    return array


def whole_number(value: object) -> int:
    """`value` as a plain int. Raises NotWhole."""
    if type(value) is int:  # by far the most frequent, and `bool` is another type
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    array = as_array(value)
    if array is None or array.ndim != 0 or array.dtype.kind not in WHOLE_NUMBERS:
        raise NotWhole(f"{quoted(value)} is not a whole number")
    return operator.index(array[()])


def real_number(value: object) -> float:
    """`value` as a plain float, which may be infinite or NaN. Booleans and texts are no numbers. Raises NotReal."""
    number = _number(value)
    if number is None:
        raise NotReal(f"{value!r} is not a number")
    return number


def whole_field(name: str, value: object, *, least: int, most: int | None = None) -> int:
    """The whole number of a field. Raises BadConfig with its name, as in `EpisodeConfig(max_steps=...)`."""
    wanted = f"from {least} up" if most is None else f"from {least} to {most}"
    try:
        number = whole_number(value)
    except NotWhole as error:
        raise BadConfig(f"{name} is a whole number {wanted}; got {quoted(value)}") from error
    if number < least or (most is not None and number > most):
        raise BadConfig(f"{name} is a whole number {wanted}; got {quoted(number)}")
    return number


def number_field(
    name: str, value: object, *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf
) -> float:
    """The finite number of a field, at least `least`, more than `above`, at most `most`. Raises BadConfig."""
    number = _number(value)
    if number is None or not math.isfinite(number) or not least <= number <= most or number <= above:
        bounds = [f"from {least:g}"] if least > -math.inf else []
        bounds += [f"above {above:g}"] if above > -math.inf else []
        bounds += [f"to {most:g}" if least > -math.inf else f"at most {most:g}"] if most < math.inf else []
        raise BadConfig(f"{name} is a number {' '.join(bounds) or 'that is finite'}; got {quoted(value)}")
    return number


def flag_field(name: str, value: object) -> bool:
    """The flag of a field. Raises BadConfig."""
    if not isinstance(value, bool | np.bool_):
        raise BadConfig(f"{name} is True or False; got {quoted(value)}")
    return bool(value)


def each_name_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object as JSON has it. Raises ValueError if a name is there twice: the first value would silently lose."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name} is there a second time in the same object")
        found[name] = value
    return found


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:  # a whole number with hundreds of digits
            return math.inf
    array = as_array(value)
    if array is None or array.ndim != 0 or array.dtype.kind not in _NUMBERS:
        return None
    return float(array[()])
