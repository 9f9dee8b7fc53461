"""The report on all cells: one JSON file, and Markdown tables that are made from it alone."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirr.bridge.fidelity.figure import Figure
from mirr.bridge.results.cells import Cell, Episodes
from mirr.bridge.results.episodes import Played
from mirr.bridge.results.figures import BOOTSTRAP_SEED, DRAWS, RULES, Measure, Unit, figures
from mirr.bridge.results.original import their_table
from mirr.bridge.whole_file import write_whole
from mirr.env.record import RecordError
from mirr.env.record_values import Line
from mirr.env.vocabulary import Tier

SCHEMA = "mirr-results-report"
SCHEMA_VERSION = 1

JSON_NAME, PAGE_NAME = "results.json", "results.md"

SHORT = (Measure.SUCCESS, Measure.CLEAN, Measure.REWARD, Measure.TIME_TO_MITIGATE)
"""The columns of the short table. Nobody reads thirteen of them on a first page."""

BEGIN, END = "<!-- measured: results -->", "<!-- end -->"
_MARKED = re.compile(f"({re.escape(BEGIN)}\n).*?({re.escape(END)})", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Order:
    """The order of the rows: by tier, then by agent, then by world. What is not listed comes last."""

    policies: tuple[str, ...]
    worlds: tuple[str, ...]

    def place(self, cell: Cell) -> tuple[int, int, str, int, str]:
        """Where a cell belongs."""
        return (
            tuple(Tier).index(cell.tier),
            _index(self.policies, cell.policy),
            cell.policy,
            _index(self.worlds, cell.world),
            cell.world,
        )


def _index(names: tuple[str, ...], name: str) -> int:
    return names.index(name) if name in names else len(names)


def report_of(
    cells: Mapping[Cell, Episodes],
    order: Order,
    *,
    main: Collection[str],
    version: str,
    earlier: Line | None = None,
) -> Line:
    """The report. `main` are the agents that the short table shows, and `version` is that of mirr. Rows of an `earlier`
    report stay as they were, unless there are episodes for them."""
    rows = {} if earlier is None else {_cell_of(row): row for row in earlier["cells"]}
    rows |= {cell: _cell_json(cell, episodes) for cell, episodes in cells.items()}
    return {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "mirr": version,
        "intervals": {
            "level": 0.95,
            "rates": "Wilson",
            "means": f"percentiles of a bootstrap over episodes: {DRAWS} draws, seed {BOOTSTRAP_SEED}",
        },
        "main": [name for name in order.policies if name in main],
        "cells": [rows[cell] for cell in sorted(rows, key=order.place)],
    }


def _cell_of(row: Line) -> Cell:
    return Cell(row["world"], Tier(row["tier"]), row["policy"])


def _cell_json(cell: Cell, episodes: Episodes) -> Line:
    valid = episodes.in_order
    return {
        "world": cell.world,
        "tier": cell.tier,
        "policy": cell.policy,
        "episodes": len(valid),
        "void": episodes.void,
        "seeds": ranges(played.seed for played in valid),
        "sources": _sources(valid),
        "figures": {measure: _figure_json(figure) for measure, figure in figures(valid).items()},
    }


def _figure_json(figure: Figure) -> Line:
    numbers = {"value": figure.value, "low": figure.low, "high": figure.high}
    return {name: None if number is None else round(number, 6) for name, number in numbers.items()} | {"of": figure.of}


def _sources(valid: Iterable[Played]) -> Line:
    """How many episodes each commit played, and how many come from records."""
    counted: dict[str, int] = {}
    for played in valid:
        source = "records" if played.source.startswith("record ") else played.source
        counted[source] = counted.get(source, 0) + 1
    return counted


def ranges(seeds: Iterable[int]) -> str:
    """Seeds in a few words, as in `1 to 1000, 4000`."""
    found: list[list[int]] = []
    for seed in sorted(seeds):
        if found and seed == found[-1][1] + 1:
            found[-1][1] = seed
        else:
            found.append([seed, seed])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in found)


def read_report(path: Path) -> Line:
    """The report in a file. Raises RecordError."""
    try:
        report: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RecordError(f"cannot read the report {path}: {error.strerror}; next: mirr results") from error
    except ValueError as error:
        raise RecordError(f"{path} is not JSON ({error}); next: mirr results") from error
    if not isinstance(report, dict) or (report.get("schema"), report.get("version")) != (SCHEMA, SCHEMA_VERSION):
        raise RecordError(f"{path} is not a report with schema {SCHEMA} {SCHEMA_VERSION}; next: mirr results")
    return report


def write_report(report: Line, results: Path) -> None:
    """Write the report and its page into the folder of the results. Raises RecordError."""
    texts = {JSON_NAME: json.dumps(report, indent=1) + "\n", PAGE_NAME: page(report)}
    for name, text in texts.items():
        _replace(results / name, text)


def _replace(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}") from error


def put_into(page_path: Path, report: Line) -> None:
    """Put the short tables between the marks of a page, such as README.md. Raises RecordError."""
    try:
        text = page_path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"cannot read {page_path}: {error.strerror}") from error
    _replace(page_path, with_tables(text, report, page_path.name))


def with_tables(text: str, report: Line, name: str) -> str:
    """A page's text with the short tables between its marks. Raises RecordError unless it has one place for them."""
    short = short_tables(report)
    written, count = _MARKED.subn(lambda marks: f"{marks[1]}{short}\n{marks[2]}", text)
    if count != 1:
        raise RecordError(f"{name} has {count} places for the results; it needs one: {BEGIN} and {END}")
    return written


def short_tables(report: Line) -> str:
    """The table of the main agents, and what the original MIRR published."""
    cells = [cell for cell in report["cells"] if cell["policy"] in report["main"]]
    return f"{table(cells, SHORT)}\n\n{their_table()}"


def page(report: Line) -> str:
    """The page with every agent."""
    return (
        "# Results\n\n"
        "Written by `mirr results` from `results.json`. "
        "In brackets: the 95% interval, Wilson's for rates, a bootstrap's for means. "
        "Steps and seconds to mitigate are of resolved episodes. Void episodes, in which the world failed, count "
        "nowhere else.\n\n"
        f"{table(report['cells'])}\n\n"
        "What the original MIRR published about its own agents, in its own environment and with its own rewards. "
        "Nothing of it was measured here, and its two sources differ:\n\n"
        f"{their_table()}\n\n"
        "## Which episodes\n\n"
        f"{_seeds_table(report['cells'])}\n"
    )


def table(cells: Iterable[Line], measures: Collection[Measure] = tuple(Measure)) -> str:
    """A row for each cell and a column for each of these measures, as Markdown."""
    headings = ["tier", "agent", "world", "episodes", *(RULES[measure].heading for measure in measures)]
    return "\n".join(_markdown(headings, (_row(cell, measures) for cell in cells)))


def _row(cell: Line, measures: Collection[Measure]) -> list[str]:
    numbers = (_text(RULES[measure].unit, cell["figures"][measure]) for measure in measures)
    return [cell["tier"], f"`{cell['policy']}`", cell["world"], f"{cell['episodes']:,}", *numbers]


def _text(unit: Unit, figure: Line) -> str:
    """A figure with its interval, as in `99.8% (99.3 to 99.9)`."""
    if figure["value"] is None:
        return "-"
    scale, mark = (100.0, "%") if unit is Unit.RATE else (1.0, "")
    digits = 2 if unit is Unit.ACTIONS else 1
    value, low, high = (
        None if figure[name] is None else f"{scale * figure[name]:z.{digits}f}" for name in ("value", "low", "high")
    )
    return f"{value}{mark}" if low is None else f"{value}{mark} ({low} to {high})"


def _seeds_table(cells: Iterable[Line]) -> str:
    headings = ["tier", "agent", "world", "seeds", "void", "played by"]
    rows = (
        [cell["tier"], f"`{cell['policy']}`", cell["world"], cell["seeds"], str(cell["void"]), _played_by(cell)]
        for cell in cells
    )
    return "\n".join(_markdown(headings, rows))


def _played_by(cell: Line) -> str:
    sources: dict[str, int] = cell["sources"]
    named = ((f"`{source[:9]}`" if source != "records" else source, count) for source, count in sources.items())
    return ", ".join(name if len(sources) == 1 else f"{name} ({count})" for name, count in named)


def _markdown(headings: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield "|---" * len(headings) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
