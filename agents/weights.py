"""Files of weights in the format safetensors: eight bytes of length, a JSON header, then the numbers. Needs only numpy.

Only float32 and float16 are read and written. A float16 becomes a float32 when it is read.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

SIZE_KEY: Final = "size"
"""The text about a checkpoint that has the size of its network, as JSON."""

S = TypeVar("S")
MOST_HEADER_BYTES: Final = 1_000_000
_TYPES: Final[dict[str, np.dtype[Any]]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
_NAMES: Final = {dtype: name for name, dtype in _TYPES.items()}


class BadCheckpoint(ValueError):
    """A file of weights that cannot be used. The message says what is wrong with it, and what to do."""


def save_weights(path: Path, weights: Mapping[str, NDArray[np.floating]], about: Mapping[str, str]) -> None:
    """Write weights and a few texts `about` them. The file appears whole or not at all."""
    header: dict[str, object] = {"__metadata__": dict(about)}
    parts, at = [], 0
    for name, value in sorted(weights.items()):
        part = np.ascontiguousarray(value).tobytes()
        header[name] = {"dtype": _NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [at, at + len(part)]}
        parts.append(part)
        at += len(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of eight bytes
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))
    os.replace(unfinished, path)


def load_weights(path: Path, command: str) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """The weights in a file and the texts about them. `command` makes such files. Raises BadCheckpoint."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror}", command) from error
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 0 < length <= min(MOST_HEADER_BYTES, len(content) - 8):
        raise _bad(path, "is no file of weights: its header does not fit into it", command)
    try:
        header = json.loads(content[8 : 8 + length])
        about = header.pop("__metadata__", {})
        return {name: _array(content[8 + length :], **entry) for name, entry in header.items()}, about
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # whatever a damaged header may bring about
        raise _bad(path, f"is damaged: {error}", command) from error


def load_network(
    path: Path, size_type: Callable[..., S], shapes_of: Callable[[S], Mapping[str, tuple[int, ...]]], command: str
) -> tuple[S, dict[str, NDArray[np.float32]]]:
    """The size of a network and its weights, which have the shapes that this size asks for. `command` makes such files.
    Raises BadCheckpoint."""
    weights, about = load_weights(path, command)
    try:
        size = size_type(**json.loads(about[SIZE_KEY]))
        expected = shapes_of(size)
    except (KeyError, TypeError, ValueError) as error:
        raise BadCheckpoint(f"{path} does not say how large its network is; next: {command} --out DIR") from error
    found = {name: value.shape for name, value in weights.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise BadCheckpoint(
            f"{path} does not fit this version: {name} has shape {found.get(name)}, expected {expected.get(name)}; "
            f"next: {command} --out DIR"
        )
    return size, weights


def _array(numbers: bytes, *, dtype: str, shape: list[int], data_offsets: list[int]) -> NDArray[np.float32]:
    kind, (begin, end) = _TYPES[dtype], data_offsets
    if end > len(numbers):
        raise ValueError(f"it ends {end - len(numbers)} bytes too early")
    if end - begin != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{end - begin} bytes cannot hold the shape {shape}")
    found: NDArray[np.float32] = np.frombuffer(numbers[begin:end], dtype=kind).reshape(shape).astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError("it has numbers that are not finite")
    return found


def _bad(path: Path, what: str, command: str) -> BadCheckpoint:
    return BadCheckpoint(f"{path} {what}; next: {command} --out DIR writes a new one")
