"""A table's row of numbers. It has named blocks, and each block begins where the block before it ends.

The rows are flat, so that lists and arrays are indexed alike, compiled or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A name of a row: where its numbers begin, how many there are, and what they mean."""

    name: str
    place: int
    size: int
    meaning: str


class Table:
    """The names of a row. Each declaration returns the place of the first number of its block."""

    def __init__(self, title: str, *, services: int, journeys: int) -> None:
        self.title = title
        self.blocks: list[Block] = []
        self._services = services
        self._journeys = journeys

    @property
    def size(self) -> int:
        """How many numbers are declared so far."""
        return self.blocks[-1].place + self.blocks[-1].size if self.blocks else 0

    def block(self, name: str, size: int, meaning: str) -> int:
        """So many numbers under one name."""
        found = Block(name, self.size, size, meaning)
        self.blocks.append(found)
        return found.place

    def one(self, name: str, meaning: str) -> int:
        """A single number."""
        return self.block(name, 1, meaning)

    def per_service(self, name: str, meaning: str) -> int:
        """A number for each service, in the vocabulary's order."""
        return self.block(name, self._services, meaning)

    def per_journey(self, name: str, meaning: str) -> int:
        """A number for each journey, in the vocabulary's order."""
        return self.block(name, self._journeys, meaning)

    def filled(self, values: Mapping[str, float | Sequence[float]]) -> list[float]:
        """The row with each block's numbers. Raises ValueError if a block lacks numbers or is unknown."""
        if set(values) != {block.name for block in self.blocks}:
            wrong = sorted(set(values) ^ {block.name for block in self.blocks})
            raise ValueError(f"{self.title}: every block is filled once, and no other; see {', '.join(wrong)}")
        row: list[float] = []
        for block in self.blocks:
            value = values[block.name]
            own = [float(value)] if isinstance(value, int | float) else [float(each) for each in value]
            if len(own) != block.size:
                raise ValueError(f"{self.title}: {block.name} has {block.size} numbers; got {len(own)}")
            row += own
        return row

    def picture(self) -> str:
        """The row as a table in Markdown, for `env/simulator/README.md`."""
        lines = ["| places | name | what |", "|---|---|---|"]
        for block in self.blocks:
            last = block.place + block.size - 1
            places = f"{block.place}" if block.size == 1 else f"{block.place} to {last}"
            lines.append(f"| {places} | `{block.name}` | {block.meaning} |")
        return "\n".join(lines)
