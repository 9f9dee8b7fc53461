"""The report and its tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirr.bridge.results.cells import Cell, Episodes
from mirr.bridge.results.episodes import Played
from mirr.bridge.results.report import (
    Order,
    page,
    put_into,
    ranges,
    read_report,
    report_of,
    short_tables,
    table,
    write_report,
)
from mirr.env.record import RecordError
from mirr.env.record_values import Line
from mirr.env.vocabulary import Tier
from tests.bridge.results.episodes import EXHAUSTED, RESOLVED, VOID

ORDER = Order(policies=("random", "heuristic"), worlds=("sim", "docker"))


def cell_of(*several: Played) -> Episodes:
    episodes = Episodes()
    for played in several:
        episodes.take(played)
    return episodes


def small_report() -> Line:
    cells = {
        Cell("docker", Tier.EASY, "heuristic"): cell_of(replace(RESOLVED, seed=9, source="record 0123456789abcdef")),
        Cell("sim", Tier.HARD, "random"): cell_of(EXHAUSTED),
        Cell("sim", Tier.EASY, "heuristic"): cell_of(RESOLVED, EXHAUSTED, VOID),
        Cell("sim", Tier.EASY, "random"): cell_of(EXHAUSTED),
    }
    return report_of(cells, ORDER, main=["heuristic"], version="0.1.0")


def test_rows_are_in_the_order_of_tiers_agents_and_worlds() -> None:
    assert [(cell["tier"], cell["policy"], cell["world"]) for cell in small_report()["cells"]] == [
        ("easy", "random", "sim"),
        ("easy", "heuristic", "sim"),
        ("easy", "heuristic", "docker"),
        ("hard", "random", "sim"),
    ]


def test_a_row_says_how_many_seeds_and_who_played_them() -> None:
    cell = small_report()["cells"][2]
    assert (cell["seeds"], cell["episodes"], cell["void"], cell["sources"]) == ("9", 1, 0, {"records": 1})
    cell = small_report()["cells"][1]
    assert (cell["seeds"], cell["episodes"], cell["void"], cell["sources"]) == ("1 to 2", 2, 1, {RESOLVED.source: 2})


def test_a_figure_stands_with_its_interval() -> None:
    rows = table(small_report()["cells"][1:3]).splitlines()
    assert rows[0] == (
        "| tier | agent | world | episodes | success | clean | diagnosed | reward | steps to mitigate | s to mitigate "
        "| failed requests | s outside objectives | needless actions |"
    )
    assert rows[2] == (
        "| easy | `heuristic` | sim | 2 | 50.0% (9.5 to 90.5) | 50.0% (9.5 to 90.5) | 50.0% (9.5 to 90.5) "
        "| 21.5 (-2.5 to 45.5) | 3.0 | 6.0 | 522.5 (45.0 to 1000.0) | 33.0 (6.0 to 60.0) | 1.00 (0.00 to 2.00) |"
    )
    assert rows[3].startswith("| easy | `heuristic` | docker | 1 | 100.0% (20.7 to 100.0) |")


def test_the_short_table_has_the_main_agents_and_what_the_original_published() -> None:
    short = short_tables(small_report())
    assert "`random`" not in short
    assert short.count("| easy | `heuristic` |") == 2
    assert "| heuristic | its README | ~68% | ~99% | ~81 |" in short
    assert "| random | its results file | 26% | 4% | -18.1 |" in short


def test_the_page_says_which_seeds_were_played_by_which_commit() -> None:
    written = page(small_report())
    assert "| easy | `heuristic` | sim | 1 to 2 | 1 | `c0ffee000` |" in written
    assert "| easy | `heuristic` | docker | 9 | 0 | records |" in written


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_report(small_report(), tmp_path)
    assert read_report(tmp_path / "results.json") == small_report()
    assert (tmp_path / "results.md").read_text() == page(small_report())


def test_tables_are_put_between_the_marks_of_a_page(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- measured: results -->\nold\n<!-- end -->\nafter\n")
    put_into(readme, small_report())
    put_into(readme, small_report())
    assert readme.read_text() == (
        f"before\n<!-- measured: results -->\n{short_tables(small_report())}\n<!-- end -->\nafter\n"
    )


def test_a_page_without_marks_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("no marks\n")
    with pytest.raises(RecordError) as error:
        put_into(readme, small_report())
    assert str(error.value) == (
        "README.md has 0 places for the results; it needs one: <!-- measured: results --> and <!-- end -->"
    )
    assert readme.read_text() == "no marks\n"


def test_a_report_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(RecordError) as error:
        read_report(path)
    assert str(error.value) == f"cannot read the report {path}: No such file or directory; next: mirr results"
    path.write_text('{"schema": "something"}')
    with pytest.raises(RecordError) as error:
        read_report(path)
    assert str(error.value) == f"{path} is not a report with schema mirr-results-report 1; next: mirr results"


def test_seeds_are_told_in_few_words() -> None:
    assert ranges([]) == ""
    assert ranges([7]) == "7"
    assert ranges([4, 1, 2, 3, 9, 20, 21]) == "1 to 4, 9, 20 to 21"
