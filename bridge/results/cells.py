"""The episodes of one agent in one tier of one world: a file of JSON lines, from which an interrupted run goes on.

The first line says whose episodes they are. Then comes a line for each episode. A line is on disk before the next
episode begins, and only whole lines count. So a run that was killed loses the episode that was under way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from mirr.bridge.results.episodes import Played, parse_played
from mirr.env.quoting import quoted
from mirr.env.record import RecordError
from mirr.env.record_values import Json, Line, Misfit, text, tier_or_null
from mirr.env.vocabulary import Tier

SCHEMA = "mirr-results"
SCHEMA_VERSION = 1

FOLDER = "episodes"
"""Where the cells are, in the folder of the results."""


@dataclass(frozen=True, order=True)
class Cell:
    """One agent in one tier of one world."""

    world: str
    tier: Tier
    policy: str

    def __str__(self) -> str:
        return f"{self.policy} in {self.world}, {self.tier}"

    def path(self, results: Path) -> Path:
        """Its file, in the folder of the results."""
        return results / FOLDER / f"{self.world}-{self.tier}-{self.policy}.jsonl"


@dataclass(kw_only=True)
class Episodes:
    """The episodes of a cell."""

    by_seed: dict[int, Played] = field(default_factory=dict)  # one for each seed that was played to an end
    void: int = 0  # episodes in which the world failed; their seeds can be played again

    def take(self, played: Played) -> bool:
        """Add an episode. Returns False, and changes nothing, if its seed has one already."""
        if not played.valid:
            self.void += 1
            return True
        if played.seed in self.by_seed:
            return False
        self.by_seed[played.seed] = played
        return True

    @property
    def in_order(self) -> list[Played]:
        """Those that are not void, by seed."""
        return [self.by_seed[seed] for seed in sorted(self.by_seed)]


class CellFile:
    """The open file of a cell. Raises RecordError if it cannot be read or written."""

    def __init__(self, cell: Cell, results: Path) -> None:
        self._path = cell.path(results)
        self._cell = cell
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            content = self._path.read_bytes() if self._path.exists() else b""
            whole = content.rfind(b"\n") + 1  # what a killed run wrote last may be half a line
            self.episodes = _parsed(self._path, content[:whole])[1] if whole else Episodes()
            self._file: IO[bytes] = self._path.open("ab")
            self._file.truncate(whole)
            if not whole:
                self._begin()
        except OSError as error:
            raise self._refusal(error) from error

    def add(self, several: Iterable[Played]) -> None:
        """Write episodes that are over. One whose seed is there already is left out."""
        self._write([played.to_json() for played in several if self.episodes.take(played)])

    def forget(self) -> None:
        """Forget every episode: they are to be played anew."""
        self.episodes = Episodes()
        self._file.truncate(0)
        self._begin()

    def _begin(self) -> None:
        head = {"world": self._cell.world, "tier": self._cell.tier, "policy": self._cell.policy}
        self._write([{"schema": SCHEMA, "version": SCHEMA_VERSION} | head])

    def _write(self, lines: list[Line]) -> None:
        try:
            self._file.write(b"".join(json.dumps(line, allow_nan=False).encode() + b"\n" for line in lines))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> RecordError:
        return RecordError(f"cannot write the results {self._path}: {error.strerror}; next: another --out DIR")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> CellFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_cells(results: Path) -> dict[Cell, Episodes]:
    """Every cell in the folder of the results, by the names of the files. Raises RecordError."""
    found: dict[Cell, Episodes] = {}
    for path in sorted((results / FOLDER).glob("*.jsonl")):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RecordError(f"cannot read the results {path}: {error.strerror}") from error
        if whole := content.rfind(b"\n") + 1:
            cell, episodes = _parsed(path, content[:whole])
            found[cell] = episodes
    return found


def _parsed(path: Path, content: bytes) -> tuple[Cell, Episodes]:
    """The cell of a file, and its episodes. Raises RecordError, which names file and line."""
    episodes = Episodes()
    cell: Cell | None = None
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            raw: Json = json.loads(line)
            if not isinstance(raw, dict):
                raise Misfit(f"{quoted(raw)} is not an object")
            if cell is None:
                cell = _cell(path, raw)
            else:
                episodes.take(parse_played(raw))
        except RecordError:
            raise
        except ValueError as error:  # no JSON, or a Misfit
            raise RecordError(f"{path}, line {number}: not a line of results ({error})") from error
    assert cell is not None  # the content has at least one line
    return cell, episodes


def _cell(path: Path, raw: Line) -> Cell:
    """The cell that the first line of a file names. Raises RecordError and Misfit."""
    if (raw.get("schema"), raw.get("version")) != (SCHEMA, SCHEMA_VERSION):
        found = f"{quoted(raw.get('schema'))} {quoted(raw.get('version'))}"
        raise RecordError(f"{path} has schema {found}; this reads {SCHEMA} {SCHEMA_VERSION}")
    tier = tier_or_null(raw.get("tier"))
    if tier is None:
        raise Misfit("the cell has no tier")
    cell = Cell(text(raw.get("world")), tier, text(raw.get("policy")))
    if cell.path(path.parent.parent) != path:
        raise RecordError(f"{path} holds the episodes of {cell}, which belong into {cell.path(Path()).name}")
    return cell
