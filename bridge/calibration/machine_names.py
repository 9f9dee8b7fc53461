"""The machines whose speeds the simulator can have."""

from __future__ import annotations

from enum import StrEnum

from mirr.env.quoting import quoted
from mirr.env.vocabulary import UnknownName


class MachineName(StrEnum):
    """A profile of the simulator's parameters, chosen by its machine."""

    REFERENCE = "reference"  # the same everywhere
    HERE = "here"  # this machine, as `mirr calibrate --quick` measured it


def parse_machine_name(name: str) -> MachineName:
    """The machine of that name. Raises UnknownName."""
    try:
        return MachineName(name)
    except ValueError as error:
        raise UnknownName(f"unknown machine {quoted(name)}; one of: {', '.join(MachineName)}") from error
