"""The rows of the simulator. Each name has its own place, rows are filled by name, and the page shows the rows.

`python -m tests.env.test_rows` writes the tables into `env/simulator/README.md`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mirr.env.simulator.fast import rows
from mirr.env.simulator.fast.table import Table
from mirr.env.vocabulary import ACTIONS, FaultMode, Feature, Journey, Service

PAGE = Path(__file__).parents[2] / "env/simulator/README.md"
BEGIN, END = "<!-- rows -->\n", "<!-- end -->\n"


def pictures() -> str:
    """The text of all tables, as on the page."""
    return "".join(f"\n### {each.title}\n\n{each.picture()}\n" for each in rows.TABLES) + "\n"


def test_every_name_has_the_place_of_its_block() -> None:
    for each in rows.TABLES:
        for block in each.blocks:
            assert getattr(rows, block.name) == block.place, block.name


def test_blocks_follow_each_other_without_a_gap() -> None:
    for each in rows.TABLES:
        end = 0
        for block in each.blocks:
            assert block.place == end, block.name
            assert block.size > 0, block.name
            end += block.size
        assert each.size == end


def test_the_numbers_agree_with_the_vocabulary() -> None:
    assert [getattr(rows, service.name) for service in Service] == list(range(rows.SERVICES))
    assert [getattr(rows, journey.name) for journey in Journey] == list(range(rows.JOURNEYS))
    assert (len(FaultMode), len(Feature), len(ACTIONS)) == (rows.MODES, rows.FEATURES, rows.ACTIONS)


def test_a_row_must_be_filled_by_name_and_completely() -> None:
    table = Table("toy", services=5, journeys=3)
    table.one("A", "one number")
    table.per_journey("B", "three")
    assert table.filled({"B": [1, 2, 3], "A": 0}) == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=r"^toy: every block is filled once, and no other; see B$"):
        table.filled({"A": 0})
    with pytest.raises(ValueError, match=r"^toy: B has 3 numbers; got 2$"):
        table.filled({"A": 0, "B": [1, 2]})


def test_the_page_shows_the_rows() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert shown == pictures(), "write the tables again: python -m tests.env.test_rows"


def main() -> None:
    """Writes the tables into the page."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    PAGE.write_text(text[:begin] + pictures() + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
