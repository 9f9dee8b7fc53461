"""Tests that need a large package. Only a process that runs such a test imports the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import pytest


@dataclass(frozen=True)
class Tensor:
    """How to make a tensor. It is not made yet, because torch takes seconds to import."""

    data: object
    dtype: str = ""  # a name in torch; "": as the data say
    options: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        more = [*([self.dtype] if self.dtype else []), *self.options]
        return f"tensor({', '.join([repr(self.data), *more])})"

    def make(self) -> Any:
        """The tensor."""
        import torch

        dtypes = {"": None, "uint8": torch.uint8}
        return torch.tensor(self.data, dtype=dtypes[self.dtype], **self.options)


def made(value: object) -> Any:
    """The value itself. If it is the description of a tensor, the tensor."""
    return value.make() if isinstance(value, Tensor) else value


def need(package: str, extra: str) -> None:
    """Skip the module that calls this if there is no such package. `pytest.importorskip` would import the package."""
    if find_spec(package) is None:
        reason = f"{package} is not installed: pip install 'mirr-lab[{extra}]'"
        pytest.skip(reason, allow_module_level=True)
