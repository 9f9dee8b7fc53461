"""Numbers of actions, checked before anything happens, and which actions are still of use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mirr.env.checks import WHOLE_NUMBERS, NotWhole, as_array, whole_number
from mirr.env.quoting import quoted
from mirr.env.vocabulary import Action, Diagnose, DiagnoseNone, Rollback, ScaleUp


class NotAnAction(ValueError):
    """What was given is not the number of an action. The message says what is."""


def action_number(value: object, count: int) -> int:
    """The number of one of `count` actions, from a whole number or a 0-d array or tensor of one. Raises NotAnAction."""
    try:
        number = whole_number(value)
    except NotWhole as error:
        raise NotAnAction(f"an action is an Action or its number; got {quoted(value)}") from error
    if not 0 <= number < count:
        raise NotAnAction(f"action numbers go from 0 to {count - 1}; got {quoted(number)}")
    return number


def action_numbers(values: object, size: int) -> NDArray[np.int64]:  # (size,)
    """One action number for each of `size` environments; whether such actions exist is not checked here.

    Raises NotAnAction for another shape, and for anything but whole numbers: 3.7, '3' and True are refused.
    """
    if type(values) is np.ndarray and values.dtype == np.int64 and values.shape == (size,):
        return np.ascontiguousarray(values)  # what a trainer passes in each step, and nothing is wrong with it
    array = _joined(values) if isinstance(values, list | tuple) and len(values) == size else as_array(values)
    if array is None:
        raise NotAnAction(f"action numbers are whole numbers; got {quoted(values)}")
    if array.shape != (size,):
        raise NotAnAction(f"a batch of {size} takes {size} action numbers; got shape {array.shape}")
    mixed = isinstance(values, list | tuple) and any(_is_flag(value) for value in values)
    if array.dtype.kind not in WHOLE_NUMBERS or mixed:
        raise NotAnAction(f"action numbers are whole numbers; got {quoted(values)}")
    if array.dtype.kind == "u" and array.astype(np.uint64).max(initial=0) > np.iinfo(np.int64).max:
        raise NotAnAction(f"action numbers are whole numbers of 64 bits; got {quoted(values)}")
    return np.ascontiguousarray(array, dtype=np.int64)


def _joined(values: Sequence[object]) -> NDArray[np.generic] | None:
    """As `as_array`. Where numpy makes floats of whole numbers of several types, such as int64 beside uint64, they stay
    whole."""
    array = as_array(values)
    if array is None or array.dtype.kind != "f":
        return array
    try:
        return np.array([whole_number(value) for value in values], dtype=object).astype(np.int64)
    except (NotWhole, OverflowError):
        return array


def _is_flag(value: object) -> bool:
    """Whether one of several values is True or False. Beside numbers, numpy would silently make it 1 or 0."""
    if isinstance(value, bool | np.bool_):
        return True
    if isinstance(value, int | np.integer):
        return False
    array = as_array(value)
    return array is not None and array.dtype.kind == "b"


def still_of_use(taken: Action, accepted: bool, other: Action, *, one_fault: bool) -> bool:
    """Whether `other` may still be useful after `taken`, as far as the agent can know. With `one_fault`, there is
    exactly one, from the beginning; else there may be none, or a second one may follow."""
    match taken:
        case Diagnose() | DiagnoseNone():
            if one_fault:
                return not isinstance(other, Diagnose | DiagnoseNone)  # the first one counts
            return other != taken and not isinstance(other, DiagnoseNone)
        case Rollback():
            return other != taken or not one_fault  # there is no earlier release left, until one is deployed
        case ScaleUp():
            return other != taken or not accepted
        case _:
            return True
